package client

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestABodyStaysAsItWas has a transport that still reads a request when its answer is there, as one
// may that hears a refusal early.
func TestABodyStaysAsItWas(t *testing.T) {
	f := &fake{}
	var first io.ReadCloser
	early := roundTrip(func(r *http.Request) (*http.Response, error) {
		if first != nil {
			return f.RoundTrip(r)
		}
		first = r.Body
		_, header, _ := refusal(413, nil)(nil)
		return &http.Response{StatusCode: 413, Header: header, Body: http.NoBody, Request: r}, nil
	})
	c := f.client(t, func(c *Config) { c.HTTPClient = &http.Client{Transport: early} })
	for i := range 4 {
		c.Track(t.Context(), "e", nil, EventID(fmt.Sprint(i)))
	}
	if s := closeNow(t, c); s.Sent != 4 {
		t.Errorf("%+v", s)
	}
	text, err := io.ReadAll(first)
	if err != nil {
		t.Fatal(err)
	}
	var events []struct {
		ID string `json:"event_id"`
	}
	if err := json.Unmarshal(text, &events); err != nil || len(events) != 4 || events[3].ID != "3" {
		t.Errorf("%v: the first request became %s", err, text)
	}
}

func TestBodiesAreCompressedWhereThatPays(t *testing.T) {
	f := &fake{}
	c := f.client(t, nil)
	c.Track(t.Context(), "e", typical())
	if err := c.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range batchEvents {
		c.Track(t.Context(), "e", typical())
	}
	closeNow(t, c)
	one, many := f.requests[0], f.requests[1]
	if e := one.Header.Get("Content-Encoding"); e != "" {
		t.Errorf("one event: %q", e)
	}
	if e := many.Header.Get("Content-Encoding"); e != "gzip" || many.ContentLength > batchEvents/4*one.ContentLength {
		t.Errorf("%d events: %q, %d bytes; one has %d", batchEvents, e, many.ContentLength, one.ContentLength)
	}
}

// TestFlushReturnsWhenRefusalsWereReported has a callback that takes a second.
func TestFlushReturnsWhenRefusalsWereReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{answers: []func([]map[string]any) (int, http.Header, string){refusal(422, nil, "/0/event")}}
		told := 0
		c := f.client(t, func(c *Config) {
			c.OnRefused = func(Refusal) {
				time.Sleep(time.Second)
				told++
			}
		})
		c.Track(t.Context(), "", nil)
		if err := c.Flush(t.Context()); err != nil || told != 1 {
			t.Errorf("%v, told %d times", err, told)
		}
		if s := closeNow(t, c); s.Refused != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// TestAnHourWithoutTheService tracks an event every ten seconds while nothing answers, in memory and in a
// spool; in a second hour everything comes, in order and once.
func TestAnHourWithoutTheService(t *testing.T) {
	for name, change := range map[string]func(*Config){"memory": nil, "spool": spooled(t.TempDir())} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fake{}
				began := time.Now()
				away := roundTrip(func(r *http.Request) (*http.Response, error) {
					if time.Since(began) < time.Hour {
						return nil, io.ErrUnexpectedEOF
					}
					return f.RoundTrip(r)
				})
				c := f.client(t, func(c *Config) {
					if change != nil {
						change(c)
					}
					c.HTTPClient = &http.Client{Transport: away}
				})
				const n, pause = 360, 10 * time.Second
				for i := range n {
					c.Track(t.Context(), "e", map[string]any{"n": i})
					time.Sleep(pause)
				}
				if s := balanced(t, c); s.Pending != n || s.Retries < 100 {
					t.Errorf("after an hour: %+v", s)
				}
				time.Sleep(time.Minute)
				if s := closeNow(t, c); s.Sent != n || s.Dropped.Total() > 0 {
					t.Errorf("%+v", s)
				}
				next := 0
				for _, b := range f.batches {
					for _, e := range b {
						if e["properties"].(map[string]any)["n"] != float64(next) {
							t.Fatalf("%v came after %d events", e, next)
						}
						next++
					}
				}
			})
		})
	}
}

type faulty struct{}

func (faulty) Write([]byte) (int, error) { panic("a fault of the application's") }

func TestAFaultyOutputIsCounted(t *testing.T) {
	c, err := New(Config{Mode: Console, Output: faulty{}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	c.Track(t.Context(), "e", nil)
	c.Track(t.Context(), "e", nil)
	if s := closeNow(t, c); s.Tracked != 2 || s.Dropped.IO != 2 {
		t.Errorf("%+v", s)
	}
}

// TestPausesAreByChance has clients that failed together, who must not come back together.
func TestPausesAreByChance(t *testing.T) {
	seen := map[time.Duration]bool{}
	for range 100 {
		d := pause(3, 200*time.Millisecond, 30*time.Second)
		if d < 800*time.Millisecond || d > 1600*time.Millisecond {
			t.Errorf("a pause of %v", d)
		}
		seen[d] = true
	}
	if len(seen) < 90 {
		t.Errorf("%d different pauses of 100", len(seen))
	}
}
