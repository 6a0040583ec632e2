package httpapi

import (
	"io"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json"

	"github.com/tidemark-obs/tidemark/internal/errs"
)

// jsonType is a header value that all answers share; nobody changes it.
var jsonType = []string{"application/json"}

// writeJSON answers with a document.
func writeJSON(w http.ResponseWriter, status int, v any) error {
	body, err := encode(v)
	if err != nil {
		return errs.Wrap(errs.Internal, "write the answer", err)
	}
	writeRaw(w, status, body)
	return nil
}

// encode writes JSON with its maps in order, so that equal answers are equal texts.
func encode(v any) ([]byte, error) {
	body, err := json.Marshal(v, json.Deterministic(true))
	return append(body, '\n'), err
}

// format is how huma writes answers. It reads no bodies.
func format() huma.Format {
	return huma.Format{Marshal: func(w io.Writer, v any) error {
		body, err := encode(v)
		if err != nil {
			return err
		}
		_, _ = w.Write(body) // a client that left is no error of ours; huma would panic
		return nil
	}}
}

// unbuffered is from where net/http would send a body in chunks unless it knows the length.
const unbuffered = 2 << 10

// writeRaw answers with JSON text.
func writeRaw(w http.ResponseWriter, status int, body []byte) {
	w.Header()["Content-Type"] = jsonType
	if len(body) >= unbuffered {
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	}
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that left is no error of ours
}
