//go:build linux

package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// sink is a server that counts events by id.
type sink struct {
	mu       sync.Mutex
	ids      map[string]int
	requests int
	// before may answer instead; it gets the request's number, from 1.
	before func(n int, w http.ResponseWriter) bool
}

func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, "body", http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	if s.before != nil && s.before(s.requests, w) {
		return
	}
	var events []sent
	if len(body) > 0 && body[0] == '{' {
		body = append(append([]byte{'['}, body...), ']')
	}
	if err := json.Unmarshal(body, &events); err != nil {
		http.Error(w, "json", http.StatusBadRequest)
		return
	}
	for _, e := range events {
		s.ids[e.EventID]++
	}
	_, _ = io.WriteString(w, strings.Repeat("x", 80*len(events)))
}

func serve(t *testing.T, s *sink) (addr string) {
	t.Helper()
	s.ids = map[string]int{}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

func TestLoadSendsEachEventOnce(t *testing.T) {
	for name, l := range map[string]load{
		"batches":      {over: 4, batch: 100, events: 20_000},
		"singles":      {over: 16, batch: 1, events: 3000},
		"by the clock": {over: 16, batch: 1, rate: 2000, time: 500 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			s := &sink{}
			l.addr, l.path = serve(t, s), "/x"
			var counted atomic.Int64
			out, err := send(t.Context(), l, &counted)
			if err != nil {
				t.Fatal(err)
			}
			want := l.events
			if want == 0 {
				want = 1000
			}
			if out.Accepted != want || counted.Load() != int64(want) || len(s.ids) != want {
				t.Errorf("accepted %d, counted %d, arrived %d; want %d", out.Accepted, counted.Load(), len(s.ids), want)
			}
			if len(out.Refused) > 0 || len(out.Took) != out.Requests || out.Elapsed <= 0 {
				t.Errorf("outcome: refused %v, %d times of %d requests, elapsed %v", out.Refused, len(out.Took), out.Requests, out.Elapsed)
			}
		})
	}
}

func TestLoadComesBackWhenToldTo(t *testing.T) {
	s := &sink{before: func(n int, w http.ResponseWriter) bool {
		if n%5 != 0 {
			return false
		}
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	}}
	var counted atomic.Int64
	out, err := send(t.Context(), load{addr: serve(t, s), path: "/x", over: 4, batch: 10, events: 200}, &counted)
	if err != nil {
		t.Fatal(err)
	}
	if out.Accepted != 200 || len(s.ids) != 200 {
		t.Errorf("accepted %d, arrived %d; want 200", out.Accepted, len(s.ids))
	}
	if n := out.Refused[http.StatusServiceUnavailable]; n == 0 || n != s.requests/5 {
		t.Errorf("%d refusals of %d requests counted", n, s.requests)
	}
	for id, n := range s.ids {
		if n != 1 {
			t.Errorf("%s arrived %d times", id, n)
		}
	}
}

func TestLoadCountsRefusals(t *testing.T) {
	s := &sink{before: func(n int, w http.ResponseWriter) bool {
		w.WriteHeader(http.StatusUnprocessableEntity)
		return true
	}}
	var counted atomic.Int64
	out, err := send(t.Context(), load{addr: serve(t, s), path: "/x", over: 2, batch: 10, events: 100}, &counted)
	if err != nil {
		t.Fatal(err)
	}
	if out.Accepted != 0 || out.Refused[http.StatusUnprocessableEntity] != 10 || len(out.Took) != 0 {
		t.Errorf("outcome: %+v", out)
	}
}

// A server that stalls delays requests that are not sent yet; their latency is from when they
// were due.
func TestLatencyCountsFromTheTimeARequestWasDue(t *testing.T) {
	const stall = 300 * time.Millisecond
	began := make(chan struct{})
	s := &sink{before: func(n int, _ http.ResponseWriter) bool {
		if n == 20 {
			close(began)
			<-time.After(stall) // the mutex is held: nobody else is answered
		}
		return false
	}}
	var counted atomic.Int64
	out, err := send(t.Context(), load{addr: serve(t, s), path: "/x", over: 2, batch: 1, rate: 200, time: time.Second}, &counted)
	if err != nil {
		t.Fatal(err)
	}
	<-began
	if out.Accepted != 200 {
		t.Fatalf("accepted %d, want 200: a stall must not thin out the load", out.Accepted)
	}
	slow := 0
	for _, took := range latencies(out.Took) {
		if took > stall/3 {
			slow++
		}
	}
	// 200/s for the two thirds of the stall in which a request has more than a third of it to wait.
	if slow < 30 {
		t.Errorf("%d requests saw the stall, want about 40", slow)
	}
}

func TestLoadStopsWithItsContextAndItsServer(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := &sink{before: func(n int, _ http.ResponseWriter) bool {
		if n == 50 {
			cancel()
		}
		return false
	}}
	var counted atomic.Int64
	l := load{addr: serve(t, s), path: "/x", over: 2, batch: 1, time: time.Minute}
	if _, err := send(ctx, l, &counted); err == nil {
		t.Error("no error after the context ended")
	}
	closing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
	}))
	defer closing.Close()
	l.addr = strings.TrimPrefix(closing.URL, "http://")
	if _, err := send(t.Context(), l, &counted); err == nil {
		t.Error("no error from a server that closes")
	}
	closing.Close()
	if _, err := send(t.Context(), l, &counted); err == nil {
		t.Error("no error without a server")
	}
}

func TestWindowsAndQuantiles(t *testing.T) {
	var all []answered
	for i := range 1000 {
		all = append(all, answered{due: time.Duration(i) * time.Second, took: time.Duration(i+1) * time.Millisecond})
	}
	q := quantilesOf(latencies(all))
	want := quantiles{N: 1000, P50: 501 * time.Millisecond, P99: 991 * time.Millisecond, P999: time.Second, Max: time.Second}
	if q != want {
		t.Errorf("got %+v, want %+v", q, want)
	}
	if got := latencies(all, window{10 * time.Second, 12 * time.Second}, window{20 * time.Second, 21 * time.Second}); len(got) != 3 {
		t.Errorf("%d in the windows, want 3", len(got))
	}
	if (quantilesOf(nil) != quantiles{}) {
		t.Error("quantiles of nothing")
	}
}
