//go:build linux

package faults

import (
	"math/rand/v2"
	"testing"
	"time"
)

// TestKillUnderLoad kills the process at instants that chance chooses; clients send what was not
// answered once more, under the same ids.
func TestKillUnderLoad(t *testing.T) {
	story(t)
	onEach(t, func(t *testing.T, url string) {
		s, b := newService(t, url), newBook()
		s.start()
		l := startLoad(t, b, steady, s)
		var slowest time.Duration
		for range pick(5, 50) {
			b.awaitYes(t, 1+rand.IntN(2000))
			s.Kill()
			began := time.Now()
			s.start()
			slowest = max(slowest, time.Since(began))
		}
		b.awaitYes(t, 1)
		l.stop()
		verify(t, b, nil, s)
		t.Logf("ready again after %v at most", slowest.Round(time.Millisecond))
	})
}

// TestKillDuringRecovery kills the process again while it starts up or drains what the one
// before left in the journal.
func TestKillDuringRecovery(t *testing.T) {
	story(t)
	onEach(t, func(t *testing.T, url string) {
		s, b := newService(t, url), newBook()
		flood := pressure{workers: 8, perSecond: 1e6, batch: 100}
		for range pick(2, 10) {
			s.start()
			l := startLoad(t, b, flood, s)
			b.awaitYes(t, 20_000)
			s.Kill()
			l.stop()
			for range pick(4, 10) {
				s.launch()
				lapse(time.Duration(rand.IntN(500)) * time.Millisecond)
				s.Kill()
			}
		}
		s.start()
		verify(t, b, nil, s)
	})
}
