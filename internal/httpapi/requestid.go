package httpapi

import (
	"net/http"

	"github.com/google/uuid"
)

// In canonical form, so that header maps can be used without converting.
const (
	headerRequestID    = "X-Request-Id"
	headerResponseTime = "X-Response-Time"
)

const maxRequestID = 128

// requestID is the caller's id when it is one we would print, else a new one.
func requestID(r *http.Request) string {
	if v := r.Header[headerRequestID]; len(v) == 1 && validRequestID(v[0]) {
		return v[0]
	}
	id, err := uuid.NewV7()
	if err != nil { // the system's random source failed; a request is still served
		return uuid.Nil.String()
	}
	return id.String()
}

func validRequestID(id string) bool {
	if len(id) == 0 || len(id) > maxRequestID {
		return false
	}
	for i := range len(id) {
		c := id[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}

// requestIDOf is the id under which a response is sent.
func requestIDOf(w http.ResponseWriter) string {
	if v := w.Header()[headerRequestID]; len(v) > 0 {
		return v[0]
	}
	return ""
}
