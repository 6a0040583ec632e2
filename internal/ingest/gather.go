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
	late  bool // its first message has waited for flush_interval
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
	b.bytes += len(l.msg.Lines)
}

func (b *work) empty() bool { return b.batch.Seq == 0 }

func (b *work) full(most Bounds) bool {
	return len(b.batch.Events) >= most.Events || b.bytes >= most.Bytes || len(b.batch.Receipts) >= most.Events
}

// gather makes batches. One is due when buffer_size events wait, when the oldest has waited for
// flush_interval, or when somebody waits for it; while the store is busy it goes on growing.
func (w *writer) gather(ctx context.Context, c *continuity, in <-chan load, out chan<- *work) {
	var sent uint64
	b := newWork()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		take, give := in, out
		full := b.full(w.cfg.Bounds)
		if full {
			take = nil
		}
		asked := w.progress.wants() > sent
		enough := full || b.late || asked || len(b.batch.Events) >= w.cfg.Settings().BufferSize
		if b.empty() || !enough {
			give = nil
		}
		select {
		case <-ctx.Done():
			return
		case l, ok := <-take:
			if !ok {
				return
			}
			if b.empty() {
				timer.Reset(w.cfg.Settings().FlushInterval)
			}
			b.add(&l, c)
		case give <- b:
			sent = b.batch.Seq
			b = newWork()
		case <-timer.C:
			b.late = !b.empty()
		case <-w.progress.wanted:
		}
	}
}

func newWork() *work { return &work{seen: make(map[string]uint64, 1)} }
