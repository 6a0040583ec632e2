//go:build linux

package faults

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/proctest"
)

// TestReceiverOutage takes away the receivers of destinations of every kind, for ten minutes in the
// long pass, while load goes on. What was acknowledged meanwhile comes when they are back, in order
// and under its ids; another destination has gone on as if nothing was.
func TestReceiverOutage(t *testing.T) {
	story(t)
	steadfast, first := newCounterpart(t)
	absent, second := newCounterpart(t)
	steadfast.sound, absent.sound = true, true
	s, b := newService(t, ""), newBook()
	s.start()
	s.addWebhook("steadfast", first)
	s.addWebhook("absent", second)
	gone := counterparts(t, s)
	gone["absent"] = absent
	leave := func(away bool) {
		for _, c := range gone {
			c.setAway(away)
		}
	}
	l := startLoad(t, b, pressure{workers: 2, perSecond: 150, batch: 10}, s)
	said, stopSaying := 0, make(chan struct{})
	var saying sync.WaitGroup
	saying.Go(func() { said = countAloud(l, s, 50*time.Millisecond, stopSaying) })
	b.awaitYes(t, 200)
	before := startWatch(s)
	lapse(pick(time.Second, time.Minute))
	b.awaitYes(t, 200)
	usual := before.stop()

	leave(true)
	during := startWatch(s)
	over := time.After(pick(3*time.Second, 10*time.Minute))
	for done := false; !done; {
		acknowledged := b.acknowledged()
		proctest.Eventually(t, time.Minute, "everything to come to the other one", func() error { return steadfast.misses(acknowledged) })
		b.awaitYes(t, 100)
		select {
		case <-over:
			done = true
		case <-time.After(pick(200*time.Millisecond, 10*time.Second)):
		}
	}
	for _, name := range pick([]string{"absent"}, slices.Collect(maps.Keys(gone))) {
		proctest.Eventually(t, 2*time.Minute, "the breaker to open", func() error {
			if st := s.destination(name); st.State != "open" {
				return fmt.Errorf("%s is %+v", name, st)
			}
			return nil
		})
	}
	waits := s.destination("absent").LagEvents
	outage := during.stop()
	leave(false)
	b.awaitYes(t, 100)
	close(stopSaying)
	saying.Wait()
	l.stop()
	steadfast.has(t, "steadfast", b, said)
	for name, c := range gone {
		c.has(t, name, b, said)
		if foreign := c.foreign(b); foreign != "" {
			t.Errorf("%s came to %s; nobody sent it", foreign, name)
		}
	}
	t.Logf("lag in seconds of the other one, p50/p99/most: before %v, during the outage %v; %d events waited for the absent one, which lagged by %v",
		usual.of("steadfast"), outage.of("steadfast"), waits, outage.of("absent"))
	if waits == 0 {
		t.Error("nothing waited for the absent one")
	}
	if was, is := usual.of("steadfast"), outage.of("steadfast"); *length == "long" && is[0] > was[0]+2 {
		t.Errorf("the median of the other one's lag was %v s and is %v s", was[0], is[0])
	}
	verify(t, b, nil, s)
}

// standing is what the service says of a destination.
type standing struct {
	State      string  `json:"state"`
	LagEvents  int     `json:"lag_events"`
	LagSeconds float64 `json:"lag_seconds"`
}

// destinations is how they stand, by name.
func (s *service) destinations() (map[string]standing, error) {
	var list struct {
		Destinations []struct {
			Name   string   `json:"name"`
			Status standing `json:"status"`
		} `json:"destinations"`
	}
	err := s.ask("/api/analytics/destinations", &list)
	all := make(map[string]standing)
	for _, d := range list.Destinations {
		all[d.Name] = d.Status
	}
	return all, err
}

func (s *service) destination(name string) standing {
	s.t.Helper()
	all, err := s.destinations()
	if err != nil {
		s.t.Fatal(err)
	}
	return all[name]
}

// watch looks at the lag of all destinations again and again.
type watch struct {
	lags   map[string][]float64
	cancel context.CancelFunc
	done   chan struct{}
}

func startWatch(s *service) *watch {
	ctx, cancel := context.WithCancel(context.Background())
	w := &watch{lags: make(map[string][]float64), cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(w.done)
		for ctx.Err() == nil {
			if all, err := s.destinations(); err == nil {
				for name, d := range all {
					w.lags[name] = append(w.lags[name], d.LagSeconds)
				}
			}
			lapse(100 * time.Millisecond)
		}
	}()
	s.t.Cleanup(func() { w.stop() })
	return w
}

func (w *watch) stop() *watch {
	w.cancel()
	<-w.done
	return w
}

// of are the median, the 99th percentile and the most of a destination's lag in seconds.
func (w *watch) of(name string) [3]float64 {
	all := slices.Sorted(slices.Values(w.lags[name]))
	if len(all) == 0 {
		return [3]float64{}
	}
	at := func(q float64) float64 { return float64(int(1000*all[int(q*float64(len(all)-1))])) / 1000 }
	return [3]float64{at(0.5), at(0.99), at(1)}
}

// acknowledged are the ids that were answered with yes so far.
func (b *book) acknowledged() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var ids []string
	for id, f := range b.fates {
		if f.yes > 0 {
			ids = append(ids, id)
		}
	}
	return ids
}

// misses says which of some ids has not come.
func (c *counterpart) misses(ids []string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	missing, example := 0, ""
	for _, id := range ids {
		if _, came := c.order[id]; !came {
			missing, example = missing+1, id
		}
	}
	if missing > 0 {
		return fmt.Errorf("%d of %d acknowledged events have not come, such as %s; %d have", missing, len(ids), example, len(c.order))
	}
	return nil
}

// lacks says which acknowledged event has not come.
func (c *counterpart) lacks(b *book) error { return c.misses(b.acknowledged()) }

// foreign is an id that came and was never sent, empty when there is none.
func (c *counterpart) foreign(b *book) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	for id := range c.order {
		if b.fates[id] == nil {
			return id
		}
	}
	return ""
}
