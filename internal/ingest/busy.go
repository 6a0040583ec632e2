package ingest

import (
	"math"
	"sync"
	"time"
)

const (
	// memory is about how far back it counts whether the store was at work.
	memory = 300 * time.Millisecond

	// muchBusy is the part of that time from which the store is busy. A load that it takes with ease
	// stays below, because the writer rests between transactions.
	muchBusy = 1.0 / 3
)

// occupancy is the part of the last while during which the store was at work; the longer ago, the
// less it counts.
type occupancy struct {
	mu      sync.Mutex
	level   float64   // at at
	at      time.Time // of the last change
	working bool      // since then
}

// turn notes that the store begins or ends a transaction.
func (o *occupancy) turn(working bool, now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.level, o.at, o.working = o.now(now), now, working
}

func (o *occupancy) read(now time.Time) float64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.now(now)
}

// now is the level carried on to a time; o.mu is held.
func (o *occupancy) now(t time.Time) float64 {
	fade := math.Exp(-max(t.Sub(o.at).Seconds(), 0) / memory.Seconds())
	if o.working {
		return 1 - (1-o.level)*fade
	}
	return o.level * fade
}

// Busy reports whether this process spends so much of its time on storing that others on the machine
// should give way. How many events wait does not say that: where others take the processors, the
// doors take in less, and few wait. But when none does, there is nothing to give way to. It may be
// asked often.
func (p *Pipeline) Busy() bool {
	if p.writer.occupancy.read(p.cfg.Now()) < muchBusy {
		return false
	}
	_, pending, _ := p.counts()
	return pending > 0
}
