package client

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// inFront puts a proxy before the service: what decide does not answer goes on to it.
func (s *service) inFront(decide func(w http.ResponseWriter, r *http.Request) (answered bool)) string {
	s.t.Helper()
	target, err := url.Parse(s.url)
	if err != nil {
		s.t.Fatal(err)
	}
	transport := &http.Transport{}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }, Transport: transport,
		ErrorLog: log.New(io.Discard, "", 0)}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !decide(w, r) {
			proxy.ServeHTTP(w, r)
		}
	}))
	s.t.Cleanup(func() {
		front.Close()
		transport.CloseIdleConnections()
	})
	return front.URL
}

// TestAStormIsWaitedOutAsTold answers every other request with 429 or 503 and when to come back:
// nothing comes sooner, not even on Close, and all is stored once.
func TestAStormIsWaitedOutAsTold(t *testing.T) {
	s := newService(t)
	const wait = time.Second
	var mu sync.Mutex
	var n, refused, early int
	var notBefore time.Time
	address := s.inFront(func(w http.ResponseWriter, _ *http.Request) bool {
		mu.Lock()
		defer mu.Unlock()
		if time.Now().Before(notBefore) {
			early++
		}
		n++
		if n%2 == 0 || refused == 4 {
			return false
		}
		refused++
		w.Header().Set("Retry-After", "1")
		w.WriteHeader([]int{http.StatusTooManyRequests, http.StatusServiceUnavailable}[refused%2])
		notBefore = time.Now().Add(wait)
		return true
	})
	c := s.client(func(c *Config) { c.URL = address })
	ids := load(c, 2000, func() {})
	if st := closeNow(t, c); st.Sent != uint64(len(ids)) || st.Retries != 4 {
		t.Errorf("%+v", st)
	}
	mu.Lock()
	defer mu.Unlock()
	if early > 0 || refused != 4 {
		t.Errorf("%d requests came before they were asked for, after %d refusals", early, refused)
	}
	s.whole("load", ids)
}

// TestASlowServiceHoldsNobodyUp has a service that answers nothing until all is tracked: each
// policy takes what fits, and says exactly how many events it did not take.
func TestASlowServiceHoldsNobodyUp(t *testing.T) {
	for _, policy := range []struct {
		name string
		is   Policy
		last bool // the last event is taken
	}{{"drop the newest", DropNewest, false}, {"drop the oldest", DropOldest, true}, {"block", Block, false}} {
		t.Run(policy.name, func(t *testing.T) {
			s := newService(t)
			arrived, open := make(chan struct{}, 1000), make(chan struct{})
			address := s.inFront(func(_ http.ResponseWriter, r *http.Request) bool {
				arrived <- struct{}{}
				select {
				case <-open:
					return false
				case <-r.Context().Done():
					return true
				}
			})
			c := s.client(func(c *Config) {
				c.URL, c.MaxBuffered, c.WhenFull, c.BlockFor = address, 50<<10, policy.is, time.Millisecond
			})
			const tracked = 2001
			pad := map[string]any{"pad": strings.Repeat("x", 200)} // larger than the others: it does not slip in
			for range batchEvents {
				c.Track(t.Context(), "load", nil)
			}
			<-arrived // what is under way takes no more room
			load(c, tracked-batchEvents-1, func() {})
			c.Track(t.Context(), "load", pad, EventID("last"))
			st := balanced(t, c)
			if st.Tracked != tracked || st.Dropped.Full == 0 || st.Sent != 0 || st.Dropped.Full+st.Pending != tracked {
				t.Errorf("while it is slow: %+v", st)
			}
			close(open)
			st = closeNow(t, c)
			got := s.stored("load")
			if uint64(len(got)) != st.Sent || st.Sent+st.Dropped.Full != tracked || (got["last"] == 1) != policy.last {
				t.Errorf("%d are stored, %+v", len(got), st)
			}
		})
	}
}

// TestARoomMadeIsUsedByThoseWhoBlock tracks more than fits against a service that keeps answering:
// who blocks loses nothing.
func TestARoomMadeIsUsedByThoseWhoBlock(t *testing.T) {
	s := newService(t)
	c := s.client(func(c *Config) { c.MaxBuffered, c.WhenFull, c.BlockFor = 20<<10, Block, time.Minute })
	ids := load(c, 4000, func() {})
	if st := closeNow(t, c); st.Sent != uint64(len(ids)) || st.Dropped.Total() != 0 {
		t.Errorf("%+v", st)
	}
	s.whole("load", ids)
}

// TestASpoolOutlivesAServiceThatComesAndGoes tracks with a spool while the service is killed and
// refuses, and the client is closed before it is done: the next client sends the rest.
func TestASpoolOutlivesAServiceThatComesAndGoes(t *testing.T) {
	s := newService(t)
	var shut atomic.Bool
	address := s.inFront(func(w http.ResponseWriter, _ *http.Request) bool {
		if shut.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		return shut.Load()
	})
	dir := t.TempDir()
	there := func(c *Config) { c.URL, c.SpoolDir = address, dir }
	first := s.client(there)
	l := startLoad(first, 8000)
	l.release(2000)
	await(t, func() bool { return first.Stats().Sent > 500 })
	s.kill()
	l.release(2000)
	s.start()
	before := first.Stats().Sent
	l.release(2000)
	await(t, func() bool { return first.Stats().Sent > before+500 })
	shut.Store(true)
	ids := l.all()
	abandon(t, first)
	left := balanced(t, first)
	if left.Pending == 0 || left.Dropped.Total() > 0 {
		t.Errorf("%+v", left)
	}
	shut.Store(false)
	second := s.client(there)
	if st := closeNow(t, second); st.Recovered != left.Pending || st.Sent != st.Recovered {
		t.Errorf("%+v, the first one left %d", st, left.Pending)
	}
	s.whole("load", ids)
}
