package journal

import (
	"context"
	"sync"
	"time"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
)

// Bounds of one group. The bytes are also bounded by what a message may have.
const (
	groupBytes   = 4 << 20
	groupEntries = 8192
)

// group is the entries that become one message.
type group struct {
	ctx     context.Context // ends when the callers are to have their answer
	cancel  context.CancelFunc
	lines   []byte
	counts  event.Counts
	entries int
	taken   chan struct{} // closed when nothing more can join
	done    chan struct{} // closed when seq and err are known
	seq     uint64
	err     error
}

func (g *group) finish(seq uint64, err error) {
	g.seq, g.err = seq, err
	close(g.done)
	g.cancel()
}

// gatherer collects the entries that arrive while a message is under way. It holds one open
// group; entries that do not fit wait until it is taken.
type gatherer struct {
	mu       sync.Mutex
	open     *group
	spares   [][]byte // buffers of finished groups: one is under way while another gathers
	used     bool     // a group was opened since the last shrink
	closed   bool
	maxBytes int
	timeout  time.Duration
	ready    chan struct{} // told when a group was opened; closed with the gatherer
}

func newGatherer(maxBytes int, timeout time.Duration) *gatherer {
	return &gatherer{maxBytes: maxBytes, timeout: timeout, ready: make(chan struct{}, 1)}
}

// join adds an entry to the open group, or waits for the next one to open until ctx ends.
func (q *gatherer) join(ctx context.Context, e *Entry) (*group, error) {
	var full <-chan time.Time
	for {
		g, joined, err := q.tryJoin(e)
		if joined || err != nil {
			return g, err
		}
		if full == nil {
			t := time.NewTimer(q.timeout)
			defer t.Stop()
			full = t.C
		}
		select {
		case <-g.taken:
		case <-ctx.Done():
			return nil, errs.Wrap(errs.Unavailable, "the request ended before its events were written", ctx.Err())
		case <-full:
			return nil, errBusy()
		}
	}
}

func (q *gatherer) tryJoin(e *Entry) (g *group, joined bool, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return nil, false, errClosed()
	}
	g = q.open
	if g == nil {
		g = &group{lines: q.buffer(), taken: make(chan struct{}), done: make(chan struct{})}
		g.ctx, g.cancel = context.WithTimeout(context.Background(), q.timeout)
		q.open, q.used = g, true
		q.ready <- struct{}{} // empty: take drained it when it took the group before
	}
	if g.entries > 0 && (g.entries == groupEntries || len(g.lines)+len(e.Lines) > q.maxBytes) {
		return g, false, nil
	}
	g.lines = append(g.lines, e.Lines...)
	g.counts.Add(&e.Counts)
	g.entries++
	return g, true, nil
}

// take waits for a group and closes it to further entries; nil when the gatherer is closed and empty.
func (q *gatherer) take() *group {
	if _, ok := <-q.ready; !ok {
		return nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	g := q.open
	q.open = nil
	close(g.taken)
	return g
}

// buffer takes a spare one, if there is one.
func (q *gatherer) buffer() []byte {
	n := len(q.spares) - 1
	if n < 0 {
		return nil
	}
	b := q.spares[n]
	q.spares = q.spares[:n]
	return b[:0]
}

// recycle gives back a group's buffer once nothing refers to it.
func (q *gatherer) recycle(lines []byte) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.spares) < 2 {
		q.spares = append(q.spares, lines)
	}
}

// shrink drops the spare buffers when no group has needed one for a while, so that an idle
// journal holds no memory.
func (q *gatherer) shrink() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.used {
		q.spares = nil
	}
	q.used = false
}

// close refuses further entries; the open group can still be taken.
func (q *gatherer) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.closed {
		q.closed = true
		close(q.ready)
	}
}
