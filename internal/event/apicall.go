package event

import (
	"strings"
	"unicode/utf8"
)

// serverErrors is the first status that is the server's own fault. What a client did wrong
// (4xx) is an ordinary request: a service is not ill because it refuses.
const serverErrors = 500

// APICall is the short form of one request that a service answered.
type APICall struct {
	Method     string
	Path       string
	StatusCode int
	DurationMS *float64 // milliseconds; nil = unknown
	UserAgent  string
}

// Event returns the api_request event or, from status 500 up, the api_error event of
// severity high. It is named "METHOD path" without the query, cut to nameLength characters;
// the properties keep the path whole. The caller fills in who and when.
func (a *APICall) Event(nameLength int) Event {
	e := base(a.name(nameLength), APIRequest)
	if a.StatusCode >= serverErrors {
		e.Type, e.Severity = APIError, High
	}
	e.UserAgent = a.UserAgent
	status := float64(a.StatusCode)
	var o objectWriter
	o.text("method", a.Method)
	o.text("path", a.Path)
	o.number("status_code", &status)
	o.number("duration_ms", a.DurationMS)
	e.Properties = o.object()
	return e
}

func (a *APICall) name(limit int) string {
	path, _, _ := strings.Cut(a.Path, "?")
	name := a.Method + " " + path
	if len(name) <= limit {
		return name
	}
	for i, n := 0, 0; i < len(name); n++ {
		if n == limit {
			return name[:i]
		}
		_, size := utf8.DecodeRuneInString(name[i:])
		i += size
	}
	return name
}
