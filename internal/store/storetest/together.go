package storetest

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/store"
)

func togetherStories() []story {
	return []story{
		{"the same ids from several streams at one moment", sameIDs},
		{"deleting while the same event comes again", deleteRace},
		{"reads during commits see whole batches", readsDuringCommits},
		{"a lease is held by one", lease},
		{"many change the same events at once", countsTogether},
		{"questions during commits count whole batches", wholeBatches},
		{"an erasure while roll-ups are tidied", erasedFromUsers},
		{"declarations that differ", declaredTogether},
		{"two streams at one moment count each event once in metrics", projectionsTogether},
	}
}

// sameIDs lets several streams store the same ids at once, each in an order of its own: every id
// is stored once, the others count it as a duplicate, and nobody waits in a circle.
func sameIDs(b *bench) {
	const streams, ids = 4, 2_000
	stores := []*store.Store{b.store, b.store, b.store, b.store}
	if b.store.Dialect() == "postgres" {
		stores = []*store.Store{b.store, b.another(), b.another(), b.store}
	}
	for round := range 3 {
		results, failures := make([]store.Result, streams), make([]error, streams)
		var wg sync.WaitGroup
		for n, s := range stores {
			from := b.cursorOf(fmt.Sprint("stream ", n))
			batch := store.Batch{From: from, Seq: from.Seq + 1}
			for i := range ids {
				batch.Events = append(batch.Events, at(fmt.Sprintf("%d-%d", round, (i*(2*n+1)*7+n*31)%ids), time.Duration(n)*time.Hour))
			}
			wg.Go(func() { results[n], failures[n] = s.Commit(b.Context(), &batch) })
		}
		wg.Wait()
		var stored, duplicate int
		for n := range streams {
			b.ok(failures[n])
			duplicate += len(results[n].Duplicates)
			stored += ids - len(results[n].Duplicates)
		}
		if stored != ids || duplicate != (streams-1)*ids {
			b.Errorf("round %d: stored %d, duplicates %d", round, stored, duplicate)
		}
	}
	if got := b.stats(-time.Hour, 24*time.Hour).TotalEvents; got != 3*ids {
		b.Errorf("%d events in the table", got)
	}
}

// deleteRace deletes an event while another store is told to store it again.
func deleteRace(b *bench) {
	second := b.store
	if b.store.Dialect() == "postgres" {
		second = b.another()
	}
	for round := range 50 {
		id := fmt.Sprint("e", round)
		b.commit(at(id, 0))
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := b.store.Delete(b.Context(), id); err != nil {
				b.Error(err)
			}
		})
		from := b.cursor
		result, err := second.Commit(b.Context(), &store.Batch{From: from, Seq: from.Seq + 1, Events: []event.Event{at(id, time.Hour)}})
		wg.Wait()
		b.ok(err)
		b.wantDuplicates(result, id)
		b.cursor = result.Cursor
	}
	if got := b.ids(store.Filter{}); len(got) != 0 {
		b.Errorf("came back: %v", got)
	}
}

// readsDuringCommits stores batches of 50 while others read: they see multiples of 50 only.
func readsDuringCommits(b *bench) {
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for seen := int64(0); ctx.Err() == nil; {
				stats, err := b.store.Stats(b.Context(), epoch.Add(-time.Hour), epoch.Add(24*time.Hour))
				if err != nil || stats.TotalEvents%50 != 0 || stats.TotalEvents < seen {
					b.Errorf("%d events after %d, %v", stats.TotalEvents, seen, err)
					return
				}
				seen = stats.TotalEvents
			}
		})
	}
	g := NewGenerator(1, epoch)
	for range 40 {
		events := g.Events(50)
		b.commit(events...)
		// A reader that begins after the commit sees it.
		if _, err := b.store.Get(b.Context(), events[49].ID); err != nil {
			b.Error(err)
		}
	}
	cancel()
	wg.Wait()
}

func lease(b *bench) {
	release, ok, err := b.store.Lease(b.Context(), "stream")
	b.ok(err)
	if !ok {
		b.Fatal("a free lease was not had")
	}
	if b.store.Dialect() != "postgres" {
		release()
		return // one process has the whole database
	}
	second := b.another()
	_, ok, err = second.Lease(b.Context(), "stream")
	b.ok(err)
	if ok {
		b.Error("a lease was had twice")
	}
	other, ok, err := second.Lease(b.Context(), "another stream")
	b.ok(err)
	if !ok {
		b.Error("the lease of another stream was not had")
	}
	other()
	release()
	again, ok, err := second.Lease(b.Context(), "stream")
	b.ok(err)
	if !ok {
		b.Fatal("a released lease was not had")
	}
	again()
}
