package ingest

import (
	"context"
	"sync"
	"time"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/store"
)

// progress is how far the store is, and who waits for it to get further.
type progress struct {
	mu      sync.Mutex
	cursor  store.Cursor
	known   bool // the cursor has been read at least once
	flush   time.Time
	err     error         // why the store makes no headway, nil when it does
	changed chan struct{} // closed and replaced at each change of what is above
	want    uint64        // the highest position somebody waits for
	wanted  chan struct{} // told when want grows
}

func newProgress() *progress {
	return &progress{changed: make(chan struct{}), wanted: make(chan struct{}, 1)}
}

// advance notes a new cursor; stored tells whether it was this process that stored.
func (p *progress) advance(c store.Cursor, stored bool, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.known && c.Stream == p.cursor.Stream && c.Seq < p.cursor.Seq {
		return
	}
	p.cursor, p.known, p.err = c, true, nil
	if stored {
		p.flush = now
	}
	p.wake()
}

func (p *progress) failed(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err = err
	p.wake()
}

// wake tells those who wait; the caller holds the lock.
func (p *progress) wake() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// state returns the cursor, whether it is known, and why the store makes no headway.
func (p *progress) state() (store.Cursor, bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cursor, p.known, p.err
}

func (p *progress) flushed() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.flush
}

func (p *progress) wants() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.want
}

// wait asks for everything up to seq to be stored at once and waits for it. Where it is not
// patient, it gives up as soon as the store makes no headway.
func (p *progress) wait(ctx context.Context, seq uint64, patient bool) error {
	for {
		done, changed, err := p.ask(seq)
		if done {
			return nil
		}
		if err != nil && !patient {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return errs.Wrap(errs.Unavailable, "the events are safe in the journal but not stored yet", ctx.Err())
		}
	}
}

// ask reports whether everything up to seq is stored, and wants it to be if not.
func (p *progress) ask(seq uint64) (done bool, changed <-chan struct{}, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.known && p.cursor.Seq >= seq || seq == 0 {
		return true, nil, nil
	}
	if p.want < seq {
		p.want = seq
		select {
		case p.wanted <- struct{}{}:
		default: // told already, not yet heard
		}
	}
	return false, p.changed, p.err
}
