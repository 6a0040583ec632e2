package ingest

import (
	"context"
	"time"

	"github.com/tidemark-obs/tidemark/internal/store"
)

// work is a batch being gathered.
type work struct {
	batch store.Batch
	seen  map[string]uint64 // last total of each writer in it
	bytes int
	took  time.Duration // by the store
	late  bool          // its first message has waited for flush_interval
}

func (b *work) add(l *load, c *continuity) {
	counts := l.msg.Counts
	counts.Accepted = c.accepted(&l.msg)
	b.batch.Counts.Add(&counts)
	b.batch.Seq = l.msg.Seq
	b.batch.Events = append(b.batch.Events, l.events...)
	b.batch.Dead = append(b.batch.Dead, l.dead...)
	b.batch.Receipts = append(b.batch.Receipts, l.receipts...)
	b.seen[l.msg.Writer] = l.msg.Total
	b.bytes += l.bytes
}

func (b *work) empty() bool { return b.batch.Seq == 0 }

func (b *work) full(most Bounds) bool {
	return len(b.batch.Events) >= most.Events || b.bytes >= most.Bytes || len(b.batch.Receipts) >= most.Events
}

// While transactions are small, the writer rests restFactor times as long as the last one took,
// at most for flush_interval: each has a fixed cost in CPU and fsyncs, which the doors need
// themselves, and an event that arrives meanwhile waits for the disk. At 50, that is one event in
// fifty, not one in five. So transactions grow with the load until largeBatch, where the fixed
// cost no longer shows, and above it there is no rest.
const (
	restFactor = 50
	largeBatch = 5_000 // events
)

// gatherer makes batches. One is due when buffer_size events wait, when the oldest has waited
// for flush_interval, or when somebody waits for it; while the store is busy or rests it goes on
// growing.
type gatherer struct {
	w       *writer
	writers *continuity
	b       *work
	sent    uint64 // highest position given to the store
	busy    bool
	resting bool
	spare   *work // the batch that was stored last, to be used again
	late    *time.Timer
	rest    *time.Timer
}

// gather runs until ctx ends or in is closed. The store gives batches back on idle.
func (w *writer) gather(ctx context.Context, c *continuity, in <-chan load, out chan<- *work, idle <-chan *work) {
	g := &gatherer{w: w, writers: c, b: newWork(), late: time.NewTimer(time.Hour), rest: time.NewTimer(time.Hour)}
	defer g.late.Stop()
	defer g.rest.Stop()
	for {
		take, give := in, out
		if g.full() {
			take = nil
		}
		if !g.due() {
			give = nil
		}
		select {
		case <-ctx.Done():
			return
		case l, ok := <-take:
			if !ok {
				return
			}
			g.add(&l)
		case give <- g.b:
			g.sent, g.busy = g.b.batch.Seq, true
			g.b = g.next()
		case g.spare = <-idle:
			g.busy, g.resting = false, true
			g.rest.Reset(restFactor * g.spare.took)
		case <-g.rest.C:
			g.resting = false
		case <-g.late.C:
			g.b.late = !g.b.empty()
		case <-w.progress.wanted:
		}
	}
}

func (g *gatherer) add(l *load) {
	if g.b.empty() {
		g.late.Reset(g.w.cfg.Settings().FlushInterval)
	}
	g.b.add(l, g.writers)
}

func (g *gatherer) full() bool { return g.b.full(g.w.cfg.Bounds) }

func (g *gatherer) due() bool {
	if g.busy || g.b.empty() {
		return false
	}
	n := len(g.b.batch.Events)
	return g.full() || g.b.late || n >= largeBatch || g.w.progress.wants() > g.sent ||
		!g.resting && n >= g.w.cfg.Settings().BufferSize
}

// next is an empty batch, in the memory of one that was stored where there is one.
func (g *gatherer) next() *work {
	b := newWork()
	if g.spare != nil {
		events := g.spare.batch.Events
		clear(events)
		b.batch.Events, g.spare = events[:0], nil
	}
	return b
}

func newWork() *work { return &work{seen: make(map[string]uint64, 1)} }
