package httpapi

import (
	"errors"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tidemark-obs/tidemark/internal/errs"
)

// maxLocation bounds a location in bytes: the keys in it are the client's to choose.
const maxLocation = 128

// decode reads the body of a request into a value that keeps nothing of it.
func (s *bodies) decode(w http.ResponseWriter, r *http.Request, into any) error {
	b, err := s.read(w, r)
	if err != nil {
		return err
	}
	defer b.release()
	return decode(b.buf, into)
}

// decode reads a small JSON document strictly: no unknown keys, none twice, UTF-8 only.
func decode(raw []byte, into any) error {
	err := json.Unmarshal(raw, into, json.RejectUnknownMembers(true))
	var syntax *jsontext.SyntacticError
	var semantic *json.SemanticError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &syntax) && errors.Is(err, jsontext.ErrDuplicateName):
		return invalid(string(syntax.JSONPointer), "stands twice")
	case errors.As(err, &syntax):
		return errs.Wrap(errs.Malformed, "the body is not valid JSON", err)
	case errors.As(err, &semantic) && errors.Is(err, json.ErrUnknownName):
		return invalid(string(semantic.JSONPointer), "is not known here")
	case errors.As(err, &semantic):
		return invalid(string(semantic.JSONPointer), "has the wrong type or is out of range")
	default:
		return errs.Wrap(errs.Malformed, "the body is not valid JSON", err)
	}
}

// invalid is the error of one fault in a body.
func invalid(location, message string) error {
	if len(location) > maxLocation {
		location = strings.ToValidUTF8(location[:maxLocation], "") + "…"
	}
	return &errs.Error{Kind: errs.Invalid, Detail: "the request is invalid",
		Fields: []errs.Field{{Location: location, Message: message}}}
}
