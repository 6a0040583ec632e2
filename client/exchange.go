package client

import (
	"io"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// In canonical form, so that header maps can be used without converting.
const (
	headerRequestID    = "X-Request-Id"
	headerResponseTime = "X-Response-Time"
)

const maxRequestID = 128

// exchange is one request and its answer, while it is under way.
type exchange struct {
	w       http.ResponseWriter
	start   time.Time
	status  int // 0 = nothing sent yet
	written int64
	body    *countingBody // nil where the length is known before

	id, elapsed [1]string // header values, here to save allocations; empty = none

	first identity // as the request came
	who   atomic.Pointer[identity]
	route atomic.Pointer[string]
}

func newExchange(w http.ResponseWriter, start time.Time) *exchange {
	return &exchange{w: w, start: start}
}

func (x *exchange) headers(w http.ResponseWriter) { w.Header()[headerRequestID] = x.id[:] }

// requestID is the caller's id when it is one we would print, else a new one.
func requestID(r *http.Request, now time.Time) [1]string {
	if v := r.Header[headerRequestID]; len(v) == 1 && validRequestID(v[0]) {
		return [1]string{v[0]}
	}
	return [1]string{string(appendID(make([]byte, 0, 36), now))}
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

// identify finds out who asks: first the headers, then the context.
func (x *exchange) identify(r *http.Request, m *MiddlewareConfig) *identity {
	x.first = identity{user: headerID(r, m.UserHeader), anonymous: headerID(r, m.AnonymousHeader),
		session: headerID(r, m.SessionHeader), request: x}
	if known := identityOf(r.Context()); known != nil {
		for _, f := range []struct {
			to   *string
			from string
		}{{&x.first.user, known.user}, {&x.first.anonymous, known.anonymous}, {&x.first.session, known.session}} {
			if f.from != "" {
				*f.to = f.from
			}
		}
	}
	x.who.Store(&x.first)
	return &x.first
}

// headerID takes no more than an event can have: a header must not spoil the event.
func headerID(r *http.Request, name string) string {
	const longest = 100
	if name == "" {
		return ""
	}
	if v := r.Header.Get(name); len(v) <= longest {
		return v
	}
	return ""
}

// routeSet is what SetRoute said.
func (x *exchange) routeSet() string {
	if r := x.route.Load(); r != nil {
		return *r
	}
	return ""
}

// countingBody counts what is read of a body whose length nobody announced.
type countingBody struct {
	io.ReadCloser
	n atomic.Int64 // the handler's goroutine may still read when the request has ended
}

func (b *countingBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.n.Add(int64(n))
	return n, err
}

func (x *exchange) watchBody(r *http.Request) {
	if r.ContentLength < 0 && r.Body != nil && r.Body != http.NoBody {
		x.body = &countingBody{ReadCloser: r.Body}
		r.Body = x.body
	}
}

func (x *exchange) received(r *http.Request) int64 {
	if x.body != nil {
		return x.body.n.Load()
	}
	return max(r.ContentLength, 0)
}

// begins notes the status and writes X-Response-Time before the header goes.
func (x *exchange) begins(status int) {
	if x.status != 0 {
		return
	}
	x.status = status
	x.stamp()
}

func (x *exchange) stamp() {
	if x.id[0] == "" {
		return
	}
	x.elapsed[0] = milliseconds(time.Since(x.start))
	x.w.Header()[headerResponseTime] = x.elapsed[:]
}

// end decides the status of what the handler left open.
func (x *exchange) end(r *http.Request, whole bool) {
	switch {
	case !whole:
		x.status = http.StatusInternalServerError
		return
	case x.status == 0:
		x.begins(http.StatusOK)
	}
	if x.status >= http.StatusInternalServerError {
		if labeler, ok := otelhttp.LabelerFromContext(r.Context()); ok {
			labeler.Add(semconv.ErrorTypeKey.String(strconv.Itoa(x.status)))
		}
	}
}

// milliseconds prints a duration as 1.23ms.
func milliseconds(d time.Duration) string {
	var buf [24]byte
	b := strconv.AppendFloat(buf[:0], float64(max(d, 0))/float64(time.Millisecond), 'f', 2, 64)
	return string(append(b, "ms"...))
}
