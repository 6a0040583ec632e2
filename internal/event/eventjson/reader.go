package eventjson

import (
	"bytes"
	"errors"
	"io"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tidemark-obs/tidemark/internal/errs"
)

// maxProblems bounds the faults listed for one event, so that a small bad request cannot
// ask for a large answer.
const maxProblems = 100

// reader is the scratch space for reading one event. Everything in it is reused.
type reader struct {
	*Decoder
	source   bytes.Buffer // over the bytes being read; jsontext reads a bytes.Buffer in place
	json     jsontext.Decoder
	out      []byte // values, compacted
	text     []byte // the event's strings, end to end
	unquoted []byte // one string without its escapes
	names    []name // of the members of all open objects, outermost first
	base     string // pointer of the value that path starts from
	path     []step
	problems []errs.Field
	found    found
}

func (r *reader) reset(raw []byte) {
	r.source = *bytes.NewBuffer(raw)
	// The faults jsontext would stop at are found here instead, so that they are reported
	// with their location and beside all others.
	r.json.Reset(&r.source, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	r.out, r.text, r.names = r.out[:0], r.text[:0], r.names[:0]
	r.standAt("")
	r.problems = nil // given away
	r.found.reset()
}

// standAt says that the value read next is the one at this pointer.
func (r *reader) standAt(base string) { r.base, r.path = base, r.path[:0] }

// step is one step from r.base down to the value being read.
type step struct {
	name  []byte // as it stands in the object, without escapes; nil in an array
	index int    // in an array
	safe  bool   // whether name may be shown
}

// pointer is where the reader stands. It stops above a name that is not fit to be shown.
func (r *reader) pointer() string {
	p := []byte(r.base)
	for _, s := range r.path {
		switch {
		case s.name == nil:
			p = strconv.AppendInt(append(p, '/'), int64(s.index), 10)
		case s.safe:
			p = append(p, jsontext.Pointer("").AppendToken(string(s.name))...)
		default:
			return string(p)
		}
	}
	return string(p)
}

// fault notes a problem with the value being read.
func (r *reader) fault(message string) { r.faultAt(r.pointer(), message) }

func (r *reader) faultAt(location, message string) {
	switch n := len(r.problems); {
	case n < maxProblems:
		r.problems = append(r.problems, errs.Field{Location: location, Message: message})
	case n == maxProblems:
		r.problems = append(r.problems, errs.Field{Message: "there are more problems than are listed here"})
	}
}

// faulty reports whether a problem at this location is known already.
func (r *reader) faulty(location string) bool {
	for i := range r.problems {
		if r.problems[i].Location == location {
			return true
		}
	}
	return false
}

// end checks that nothing but white space follows.
func (r *reader) end() error {
	_, err := r.json.ReadToken()
	switch {
	case err == nil:
		return errTrailing
	case errors.Is(err, io.EOF):
		return nil
	default:
		return err
	}
}

var errTrailing = errors.New("data after the JSON value")

// malformed turns an error of jsontext into one that may be shown: a position, no input.
func malformed(what string, err error) *errs.Error {
	var syntax *jsontext.SyntacticError
	switch {
	case errors.Is(err, errTrailing):
		return errs.New(errs.Malformed, what+" is followed by more data")
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return errs.New(errs.Malformed, what+" is not valid JSON: it ends too early")
	case errors.As(err, &syntax):
		return errs.New(errs.Malformed, what+" is not valid JSON at byte "+strconv.FormatInt(syntax.ByteOffset, 10))
	default:
		return errs.New(errs.Malformed, what+" is not valid JSON")
	}
}
