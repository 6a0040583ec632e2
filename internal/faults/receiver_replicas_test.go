//go:build linux

package faults

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/journal/journaltest"
	"github.com/tidemark-obs/tidemark/internal/pgtest"
	"github.com/tidemark-obs/tidemark/internal/proctest"
)

// TestReplicasDeliverInTurn runs two replicas on one PostgreSQL and one JetStream and kills the one
// that delivers, again and again. At no moment do both deliver, the other one takes over, and in the
// end everything has come, in order.
func TestReplicasDeliverInTurn(t *testing.T) {
	story(t)
	url, nats := pgtest.URL(t), journaltest.StartCluster(t, 1)
	shared := configured("journal:\n  url: " + nats.URL() + "\n")
	first, second, b := newService(t, url, shared), newService(t, url, shared), newBook()
	first.start()
	second.start()
	c, to := newCounterpart(t)
	c.sound, c.slow = true, 20*time.Millisecond
	first.addWebhook("a", to)
	l := startLoad(t, b, pressure{workers: 4, perSecond: 500, batch: 20}, first, second)
	said, stopSaying := 0, make(chan struct{})
	var saying sync.WaitGroup
	saying.Go(func() { said = countAloud(l, first, 10*time.Millisecond, stopSaying) })
	tell := func(when string) {
		c.mu.Lock()
		defer c.mu.Unlock()
		t.Logf("%s: %d events have come, %d repetitions", when, len(c.order), c.again)
	}
	for range pick(2, 10) {
		victim, other := delivering(t, first, second)
		b.awaitYes(t, 300)
		tell("before the kill")
		victim.Kill()
		b.awaitYes(t, 300)
		proctest.Eventually(t, time.Minute, "the other one to take over", func() error {
			if st := other.destination("a"); st.State == "elsewhere" {
				return fmt.Errorf("it is %+v", st)
			}
			return nil
		})
		tell("after it")
		victim.start()
	}
	if n := c.atOnce(); n != 1 {
		t.Errorf("%d requests at once", n)
	}
	victim, _ := delivering(t, first, second)
	if code := victim.Stop(time.Minute); code != 0 { // hands over
		t.Errorf("exit code %d", code)
	}
	victim.start()
	b.awaitYes(t, 300)
	close(stopSaying)
	saying.Wait()
	l.stop()
	proctest.Eventually(t, 3*time.Minute, "everything to come", func() error { return errors.Join(c.lacks(b), c.inOrder(said)) })
	tell("in the end")
	settled(t, first)
	settled(t, second)
	if v := b.judge(stored(t, first)); v.lost+v.duplicated+v.leaked+v.foreign > 0 {
		t.Errorf("%+v", v)
	}
}

// atOnce is how many requests there were at the same time, at most.
func (c *counterpart) atOnce() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.most
}

// delivering waits until one of two delivers, and returns it first.
func delivering(t *testing.T, a, b *service) (it, other *service) {
	t.Helper()
	proctest.Eventually(t, time.Minute, "one that delivers", func() error {
		for _, x := range [][2]*service{{a, b}, {b, a}} {
			all, err := x[0].destinations()
			if err != nil {
				return err
			}
			if st := all["a"].State; st != "" && st != "elsewhere" {
				it, other = x[0], x[1]
				return nil
			}
		}
		return errors.New("neither does")
	})
	return it, other
}
