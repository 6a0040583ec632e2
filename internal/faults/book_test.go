//go:build linux

package faults

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/proctest"
)

// fate is what the client was told about one id, over all times it was sent.
type fate struct {
	yes, no, cut int // answered 2xx; refused; sent and not answered, or answered that nobody knows
}

// book is the client's ledger: every id sent and what was answered.
type book struct {
	mu     sync.Mutex
	fates  map[string]*fate
	total  fate      // events, each time they were sent
	newest time.Time // when the last request of a load began that was acknowledged
	faults []string
}

func newBook() *book { return &book{fates: make(map[string]*fate)} }

// outcome is how sending one event ended.
type outcome int

const (
	yes outcome = iota
	no
	cut
)

func (b *book) note(o outcome, ids ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, id := range ids {
		f := b.fates[id]
		if f == nil {
			f = &fate{}
			b.fates[id] = f
		}
		f.add(o)
		b.total.add(o)
	}
}

func (f *fate) add(o outcome) {
	switch o {
	case yes:
		f.yes++
	case no:
		f.no++
	case cut:
		f.cut++
	}
}

// fault notes an answer that breaks the contract; the story ends with it.
func (b *book) fault(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.faults) < 20 {
		b.faults = append(b.faults, fmt.Sprintf(format, args...))
	}
}

// began notes when a request began that was acknowledged.
func (b *book) began(at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if at.After(b.newest) {
		b.newest = at
	}
}

func (b *book) newestYes() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.newest
}

func (b *book) totals() fate {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.total
}

// awaitYes waits until n more events are acknowledged.
func (b *book) awaitYes(t *testing.T, n int) {
	t.Helper()
	b.await(t, n, func(f fate) int { return f.yes }, "acknowledged")
}

// awaitNo waits until n more events are refused.
func (b *book) awaitNo(t *testing.T, n int) {
	t.Helper()
	b.await(t, n, func(f fate) int { return f.no }, "refused")
}

func (b *book) await(t *testing.T, n int, of func(fate) int, what string) {
	t.Helper()
	from := of(b.totals())
	proctest.Eventually(t, 3*time.Minute, fmt.Sprintf("%d more events %s", n, what), func() error {
		if got := of(b.totals()) - from; got < n {
			return fmt.Errorf("%d so far", got)
		}
		return nil
	})
}
