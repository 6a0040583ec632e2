//go:build linux

package faults

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/proctest"
)

// counterpart is a service that events go to: it notes in which order ids came first, and fails now
// and then unless it is sound.
type counterpart struct {
	sound bool
	slow  time.Duration // how long an answer takes
	ids   idsOf
	away  atomic.Bool

	leave   func(away bool) // of what is no HTTP server; nil = away is heeded
	collect func() error    // notes what has come to what is no HTTP server

	mu        sync.Mutex
	order     map[string]int
	again     int // ids that came again
	tries     int
	now, most int // requests at the same time
}

func newCounterpart(t *testing.T) (c *counterpart, url string) {
	t.Helper()
	c = &counterpart{order: make(map[string]int), ids: cloudEventIDs}
	web := httptest.NewServer(c)
	t.Cleanup(web.Close)
	return c, web.URL
}

func (c *counterpart) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil || c.away.Load() {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	ids, err := c.ids(body)
	if err != nil || len(ids) == 0 {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	c.begin()
	defer c.end()
	lapse(c.slow)
	if c.fails() {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	c.take(ids...)
}

func (c *counterpart) fails() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tries++
	return c.tries%7 == 0 && !c.sound
}

func (c *counterpart) take(ids ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range ids {
		if _, known := c.order[id]; known {
			c.again++
			continue
		}
		c.order[id] = len(c.order)
	}
}

// setAway takes it away, or brings it back.
func (c *counterpart) setAway(away bool) {
	if c.leave != nil {
		c.leave(away)
		return
	}
	c.away.Store(away)
}

// has waits until everything that was acknowledged has come, each number after the one before.
func (c *counterpart) has(t *testing.T, name string, b *book, said int) {
	t.Helper()
	proctest.Eventually(t, 3*time.Minute, "everything to come to "+name, func() error {
		if c.collect != nil {
			if err := c.collect(); err != nil {
				return err
			}
		}
		return errors.Join(c.lacks(b), c.inOrder(said))
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	t.Logf("%s got %d events and %d repetitions, some of which are the client's", name, len(c.order), c.again)
}

func (c *counterpart) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now++
	c.most = max(c.most, c.now)
}

func (c *counterpart) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now--
}

// TestKillWhileDelivering kills the process while events go on to destinations of every kind, one of
// which is away most of the time. Each gets everything that was acknowledged, in order.
func TestKillWhileDelivering(t *testing.T) {
	story(t)
	onEach(t, func(t *testing.T, url string) {
		steadfast, first := newCounterpart(t)
		absent, second := newCounterpart(t)
		absent.away.Store(true)
		s, b := newService(t, url), newBook()
		s.start()
		s.addWebhook("steadfast", first)
		s.addWebhook("absent", second)
		all := counterparts(t, s)
		all["steadfast"], all["absent"] = steadfast, absent
		l := startLoad(t, b, pressure{workers: 4, perSecond: 2000, batch: 100}, s)
		said, stopSaying := 0, make(chan struct{})
		var saying sync.WaitGroup
		saying.Go(func() { said = countAloud(l, s, 0, stopSaying) })
		for range pick(4, 40) {
			b.awaitYes(t, 1+rand.IntN(2000))
			s.Kill()
			s.start()
		}
		absent.away.Store(false)
		b.awaitYes(t, 1)
		l.stop()
		close(stopSaying)
		saying.Wait()
		for name, c := range all {
			c.has(t, name, b, said)
		}
		verify(t, b, nil, s)
	})
}

// countAloud sends numbers one after the other, each until it is acknowledged and with a pause in
// between, and returns how many.
func countAloud(l *load, s *service, pause time.Duration, stop <-chan struct{}) int {
	for n := 0; ; {
		select {
		case <-stop:
			return n
		default:
		}
		id := fmt.Sprintf("number-%d", n)
		out, sent := l.book.post(l.client, s.address()+"/api/analytics/track", singleBody(id), []string{id})
		if sent {
			l.book.note(out, id)
		}
		if out == yes {
			n++
			lapse(pause)
			continue
		}
		lapse(20 * time.Millisecond)
	}
}

// inOrder checks that the numbers came one after the other.
func (c *counterpart) inOrder(n int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, last := 0, -1; i < n; i++ {
		at, came := c.order[fmt.Sprintf("number-%d", i)]
		if !came || at < last {
			return fmt.Errorf("number %d of %d came: %v, after the next: %v", i, n, came, at < last)
		}
		last = at
	}
	return nil
}
