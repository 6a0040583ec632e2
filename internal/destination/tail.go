package destination

import (
	"context"
	"log/slog"
	"sort"
	"sync"
	"time"
)

// maxMarks bounds the memory of the tail; beyond it, every other mark is forgotten.
const maxMarks = 8192

// mark is a journal message and how many events were accepted up to and including it, since the tail
// began.
type mark struct {
	seq   uint64
	total uint64
	at    time.Time
}

// tail follows the journal by headers only, so that it is known how many events and how much time
// lie behind a position.
type tail struct {
	log    Log
	logger *slog.Logger
	begun  chan struct{}

	mu    sync.Mutex
	from  uint64 // what was accepted after it is counted
	known bool
	base  uint64 // total before the first mark
	marks []mark
	total uint64
}

func newTail(log Log, logger *slog.Logger) *tail {
	return &tail{log: log, logger: logger, begun: make(chan struct{})}
}

// need says that nothing up to seq is asked for any more. With the first call the tail begins, at
// the first message that there still is.
func (t *tail) need(seq, first uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.known {
		t.from, t.known = max(seq, max(first, 1)-1), true
		close(t.begun)
		return
	}
	i := sort.Search(len(t.marks), func(i int) bool { return t.marks[i].seq > seq })
	if i > 0 {
		t.base = t.marks[i-1].total
		t.marks = append(t.marks[:0], t.marks[i:]...)
	}
}

// run follows until ctx ends.
func (t *tail) run(ctx context.Context) {
	select {
	case <-t.begun:
	case <-ctx.Done():
		return
	}
	t.mu.Lock()
	after := t.from
	t.mu.Unlock()
	for ctx.Err() == nil {
		err := t.follow(ctx, &after)
		if ctx.Err() != nil {
			return
		}
		t.logger.Debug("following the journal again", "cause", err)
		pause(ctx, time.Second)
		if first := t.log.State().FirstSeq; first > after+1 {
			after = first - 1
			t.mu.Lock()
			t.from = after
			t.mu.Unlock()
		}
	}
}

func (t *tail) follow(ctx context.Context, after *uint64) error {
	r, err := t.log.Read(ctx, *after, true)
	if err != nil {
		return err
	}
	defer r.Close()
	for {
		m, err := r.Next(ctx)
		if err != nil {
			return err
		}
		*after = m.Seq
		t.mu.Lock()
		t.total += m.Counts.Accepted
		t.marks = append(t.marks, mark{m.Seq, t.total, m.Time})
		if len(t.marks) > maxMarks {
			for i := range maxMarks / 2 {
				t.marks[i] = t.marks[2*i+1]
			}
			t.marks = append(t.marks[:maxMarks/2], t.marks[len(t.marks)-1])
		}
		t.mu.Unlock()
	}
}

// behind is how many events lie after a position, and when the first of them was written; zero when
// there is none.
func (t *tail) behind(seq uint64) (events uint64, oldest time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := sort.Search(len(t.marks), func(i int) bool { return t.marks[i].seq > seq })
	before := t.base
	if i > 0 {
		before = t.marks[i-1].total
	}
	events = t.total - before
	for ; events > 0 && i < len(t.marks); i++ {
		if t.marks[i].total > before {
			return events, t.marks[i].at
		}
	}
	return events, time.Time{}
}

// covers reports whether all that lies after a position is counted, so that behind knows the oldest.
func (t *tail) covers(seq uint64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.known && seq >= t.from
}
