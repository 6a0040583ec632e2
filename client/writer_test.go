package client

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// bare is a ResponseWriter that can nothing but what it must.
type bare struct{ http.ResponseWriter }

// TestTheWriterCanWhatTheServersCan compares what handlers see with and without the middleware.
func TestTheWriterCanWhatTheServersCan(t *testing.T) {
	can := func(w http.ResponseWriter) string {
		_, f := w.(http.Flusher)
		_, h := w.(http.Hijacker)
		_, p := w.(http.Pusher)
		_, r := w.(io.ReaderFrom)
		_, n := w.(closeNotifier)
		return fmt.Sprint(f, h, p, r, n)
	}
	h := (*Client)(nil).Middleware(MiddlewareConfig{})
	ask := func(around func(http.Handler) http.Handler, http2 bool, strip bool) (got string) {
		inner := around(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			got = can(w)
			if !strip {
				if err := http.NewResponseController(w).EnableFullDuplex(); err != nil && !http2 {
					t.Errorf("the controller: %v", err)
				}
			}
			if n, err := io.Copy(w, strings.NewReader("copied")); n != 6 || err != nil {
				t.Error(n, err)
			}
		}))
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strip {
				w = bare{w}
			}
			inner.ServeHTTP(w, r)
		}))
		s.EnableHTTP2 = http2
		if http2 {
			s.StartTLS()
		} else {
			s.Start()
		}
		defer s.Close()
		res, err := s.Client().Get(s.URL)
		if err != nil {
			t.Fatal(err)
		}
		if text, _ := io.ReadAll(res.Body); string(text) != "copied" {
			t.Errorf("%q", text)
		}
		_ = res.Body.Close()
		return got
	}
	for _, http2 := range []bool{false, true} {
		for _, strip := range []bool{false, true} {
			plain := ask(func(h http.Handler) http.Handler { return h }, http2, strip)
			if got := ask(h, http2, strip); got != plain {
				t.Errorf("HTTP/2 %v, bare %v: %s, without %s", http2, strip, got, plain)
			}
		}
	}
}

// part is what writers of other middleware are put together from.
type part struct{ w *httptest.ResponseRecorder }

type (
	flusher interface{ Flush() }
	taker   interface {
		Hijack() (net.Conn, *bufio.ReadWriter, error)
	}
	pusher interface {
		Push(string, *http.PushOptions) error
	}
)

var errTaken = errors.New("taken over")

func (p part) Flush()                                       { p.w.Flush() }
func (p part) Hijack() (net.Conn, *bufio.ReadWriter, error) { return nil, nil, errTaken }
func (p part) Push(string, *http.PushOptions) error         { return errTaken }
func (p part) ReadFrom(r io.Reader) (int64, error)          { return io.Copy(p.w, r) }
func (p part) CloseNotify() <-chan bool                     { return nil }

// TestTheWriterCanWhatOthersCan has writers as other middleware leaves them, in combinations that
// net/http has not, and uses all that they can.
func TestTheWriterCanWhatOthersCan(t *testing.T) {
	type w = http.ResponseWriter
	for name, combine := range map[string]func(w, part) w{
		"nothing": func(w w, _ part) w { return bare{w} },
		"a flusher": func(w w, p part) w {
			return struct {
				bare
				flusher
			}{bare{w}, p}
		},
		"a hijacker": func(w w, p part) w {
			return struct {
				bare
				taker
			}{bare{w}, p}
		},
		"a pusher": func(w w, p part) w {
			return struct {
				bare
				pusher
			}{bare{w}, p}
		},
		"a reader": func(w w, p part) w {
			return struct {
				bare
				io.ReaderFrom
			}{bare{w}, p}
		},
		"flusher, reader": func(w w, p part) w {
			return struct {
				bare
				flusher
				io.ReaderFrom
			}{bare{w}, p, p}
		},
		"all but reader": func(w w, p part) w {
			return struct {
				bare
				flusher
				taker
				pusher
				closeNotifier
			}{bare{w}, p, p, p, p}
		},
		"all": func(w w, p part) w {
			return struct {
				bare
				part
			}{bare{w}, p}
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := &fake{}
			c := f.client(t, nil)
			out := httptest.NewRecorder()
			outer := combine(out, part{out})
			h := c.Middleware(MiddlewareConfig{})(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { useAll(t, w, skillsOf(outer)) }))
			h.ServeHTTP(outer, httptest.NewRequest("GET", "/", nil))
			closeNow(t, c)
			if out.Flushed != (skillsOf(outer)&flushes != 0) || out.Body.String() != "copiedtoo" || out.Header().Get("X-Response-Time") == "" {
				t.Errorf("flushed %v, %q, %v", out.Flushed, out.Body, out.Header())
			}
			if e := f.batches[0][0]; e["status_code"] != 200.0 || e["properties"].(map[string]any)["response_bytes"] != 9.0 {
				t.Errorf("%v", e)
			}
		})
	}
}

func useAll(t *testing.T, w http.ResponseWriter, want skills) {
	if got := skillsOf(w); got != want {
		t.Errorf("the handler has %b, without the middleware %b", got, want)
	}
	if n, err := io.Copy(w, strings.NewReader("copied")); n != 6 || err != nil {
		t.Error(n, err)
	}
	if n, err := io.WriteString(w, "too"); n != 3 || err != nil {
		t.Error(n, err)
	}
	if f, ok := w.(http.Flusher); ok {
		f.Flush()
	}
	if h, ok := w.(http.Hijacker); ok {
		if _, _, err := h.Hijack(); !errors.Is(err, errTaken) {
			t.Error(err)
		}
	}
	if p, ok := w.(http.Pusher); ok {
		if err := p.Push("/", nil); !errors.Is(err, errTaken) {
			t.Error(err)
		}
	}
	if n, ok := w.(closeNotifier); ok && n.CloseNotify() != nil {
		t.Error("another channel")
	}
}
