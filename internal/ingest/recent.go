package ingest

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/store"
)

// RecentLimit is how many events GET /events/recent can show.
const RecentLimit = 100

// recent keeps the newest accepted events of this process, for the time in which the
// database cannot show them.
type recent struct {
	mu   sync.Mutex
	ring [RecentLimit]event.Event
	next int
	full bool
}

func (r *recent) add(items []Item) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := max(0, len(items)-RecentLimit); i < len(items); i++ {
		if items[i].Err != nil || items[i].Sampled {
			continue
		}
		r.ring[r.next] = items[i].Event
		r.next++
		if r.next == len(r.ring) {
			r.next, r.full = 0, true
		}
	}
}

// forget drops the events of a user.
func (r *recent) forget(userID string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	kept := slices.DeleteFunc(append(slices.Clone(r.ring[r.next:]), r.ring[:r.next]...), func(e event.Event) bool {
		return e.UserID == userID || e.ID == ""
	})
	r.ring = [RecentLimit]event.Event{}
	r.next = copy(r.ring[:], kept) % RecentLimit
	r.full = len(kept) == RecentLimit
}

func (r *recent) list() []event.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.full {
		return slices.Clone(r.ring[:])
	}
	return slices.Clone(r.ring[:r.next])
}

// freshness is how long a read waits for the database to catch up before it answers from
// what this process remembers.
const freshness = 2 * time.Second

// Recent returns the newest events, stored and not yet stored alike, and how many wait to be stored.
func (p *Pipeline) Recent(ctx context.Context, limit int) ([]event.Event, uint64, error) {
	wait, cancel := context.WithTimeout(ctx, freshness)
	defer cancel()
	late := p.WaitStored(wait, p.end())
	stored, err := p.cfg.Sink.List(ctx, store.Filter{}, store.Page{Limit: limit})
	buffered := p.snapshot().Pending
	if late == nil {
		return stored, buffered, err
	}
	if err != nil {
		stored = nil // the database is away: show what is known without it
	}
	return newest(append(stored, p.recent.list()...), limit), buffered, nil
}

// newest returns the limit newest of the events, each id once.
func newest(events []event.Event, limit int) []event.Event {
	slices.SortStableFunc(events, func(a, b event.Event) int {
		if c := b.Timestamp.Compare(a.Timestamp); c != 0 {
			return c
		}
		return cmp.Compare(b.ID, a.ID)
	})
	seen := make(map[string]bool, len(events))
	events = slices.DeleteFunc(events, func(e event.Event) bool {
		twice := seen[e.ID]
		seen[e.ID] = true
		return twice
	})
	return events[:min(limit, len(events))]
}
