package ingest

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/journal"
	"github.com/tidemark-obs/tidemark/internal/store"
)

// tail follows the journal's end by headers only and adds up what its messages state, whoever
// wrote them. Starting from the store's cursor, it needs no memory of its own over restarts.
type tail struct {
	log    Log
	logger *slog.Logger

	mu      sync.Mutex
	known   bool
	seq     uint64
	counts  event.Counts // the doors' side only: received, rejected, sampled_out, accepted
	writers *continuity
	marks   marks
	changed chan struct{}
}

func newTail(log Log, logger *slog.Logger) *tail {
	return &tail{log: log, logger: logger, changed: make(chan struct{})}
}

// follow runs until ctx ends or the journal cannot be read; it starts at the cursor.
func (t *tail) follow(ctx context.Context, from store.Cursor) error {
	after := startAfter(from, t.log.State())
	t.begin(from, after)
	r, err := t.log.Read(ctx, after, true)
	if err != nil {
		return err
	}
	defer r.Close()
	for {
		m, err := r.Next(ctx)
		if err != nil {
			return err
		}
		t.take(&m)
	}
}

func (t *tail) begin(from store.Cursor, after uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.known, t.seq = true, after
	t.counts = from.Counts
	t.writers = continueFrom(from, after)
	t.marks = marks{}
	t.wake()
}

func (t *tail) take(m *journal.Message) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := m.Counts
	c.Accepted = t.writers.accepted(m)
	t.counts.Add(&c)
	t.seq = m.Seq
	t.marks.note(m)
	t.wake()
}

// settledAt is when the newest known message up to seq was written.
func (t *tail) settledAt(seq uint64) (time.Time, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.marks.settled(seq)
}

// wake tells those who wait in reach; the caller holds the lock.
func (t *tail) wake() {
	close(t.changed)
	t.changed = make(chan struct{})
}

func (t *tail) position() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.seq
}

// reach waits until the tail has seen seq, at most for limit.
func (t *tail) reach(ctx context.Context, seq uint64, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		t.mu.Lock()
		there, changed := t.known && t.seq >= seq, t.changed
		t.mu.Unlock()
		if there {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (t *tail) read() (event.Counts, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.counts, t.known
}
