package destination

import (
	"context"
	"runtime"
	"time"
)

const (
	// What an event costs of a processor's time, generously: to be read and passed through the filter,
	// and to go out. Both were measured with a webhook; the other kinds cost about as much.
	readCost = 4 * time.Microsecond
	sendCost = 12 * time.Microsecond

	// yieldTo is the part of all processors, one in so many, that is left to destinations while the
	// store is busy.
	yieldTo = 20

	// glance is how soon a rest ends when the store is no longer busy.
	glance = 50 * time.Millisecond
)

// pace has destinations give way while the store is busy: all that run here together then take about
// one in yieldTo of the processors. Events are counted, time is not measured, so that a machine on
// which everything is slow does not have them take more. They never stand still.
type pace struct {
	busy    func() bool
	cores   int
	running func() int // destinations that share
}

func newPace(m *Manager) pace {
	return pace{busy: m.opt.Busy, cores: runtime.GOMAXPROCS(0), running: func() int {
		m.mu.Lock()
		defer m.mu.Unlock()
		return len(m.runners)
	}}
}

// rest waits for what was just read and is about to go out, at most until the store is no longer
// busy or ctx ends.
func (p *pace) rest(ctx context.Context, read, sent int) {
	for left := p.due(read, sent); left > 0 && ctx.Err() == nil && p.busy(); left -= glance {
		pause(ctx, min(left, glance))
	}
}

// due is how long one destination rests for its events.
func (p *pace) due(read, sent int) time.Duration {
	cost := time.Duration(read)*readCost + time.Duration(sent)*sendCost
	return cost * yieldTo * time.Duration(max(p.running(), 1)) / time.Duration(p.cores)
}
