package ingest

import (
	"context"
	"sync"
	"time"

	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/journal"
)

// owed holds counts that could not be written because the journal took nothing; they go with
// the next entry that is written. A crash before that forgets both sides of each count, so that
// the sums still hold.
type owed struct {
	mu     sync.Mutex
	counts event.Counts
}

func (o *owed) add(c *event.Counts) {
	o.mu.Lock()
	defer o.mu.Unlock()
	d := *c
	d.Accepted = 0 // what was not written was not accepted
	o.counts.Add(&d)
}

func (o *owed) take() event.Counts {
	o.mu.Lock()
	defer o.mu.Unlock()
	c := o.counts
	o.counts = event.Counts{}
	return c
}

func (o *owed) read() event.Counts {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.counts
}

// settleOwed writes owed counts when no event comes by to carry them.
func (p *Pipeline) settleOwed(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			p.writeOwed(ctx)
		}
	}
}

func (p *Pipeline) writeOwed(ctx context.Context) {
	if c := p.owed.read(); c.IsZero() || p.cfg.Log.State().Err != nil {
		return
	}
	// An error needs no word here: append gave the counts back, and the journal reports its own state.
	_, _ = p.append(ctx, journal.Entry{})
}
