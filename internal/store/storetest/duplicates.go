package storetest

import (
	"fmt"
	"slices"
	"time"

	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/store"
)

func duplicateStories() []story {
	return []story{
		{"the first of a batch wins", firstOfBatchWins},
		{"an id is known whatever its timestamp", whateverTimestamp},
		{"an id is known after a restart", knownAfterRestart},
		{"an id is known at the end of its window", knownInWindow},
		{"a deleted event stays a duplicate", deletedStays},
		{"a deleted event is forgotten after its window", deletedForgotten},
		{"ids beyond what memory holds are known", beyondMemory},
		{"a probe does not make an id known", probeForgets},
	}
}

func (b *bench) wantDuplicates(result store.Result, want ...string) {
	b.Helper()
	got := slices.Sorted(slices.Values(result.Duplicates))
	slices.Sort(want)
	if !slices.Equal(got, want) {
		b.Errorf("duplicates %q, want %q", got, want)
	}
}

func firstOfBatchWins(b *bench) {
	first, second := at("a", 0), at("a", time.Hour)
	first.Name, second.Name = "first", "second"
	result := b.commit(at("z", 0), first, at("b", 0), second, second)
	b.wantDuplicates(result, "a", "a")
	if c := result.Cursor.Counts; c.Stored != 3 || c.Duplicate != 2 {
		b.Errorf("counts %+v", c)
	}
	got, err := b.store.Get(b.Context(), "a")
	b.ok(err)
	if got.Name != "first" {
		b.Errorf("kept the %s", got.Name)
	}
}

func whateverTimestamp(b *bench) {
	b.wantDuplicates(b.commit(at("a", 0), at("b", 0)))
	b.wantDuplicates(b.commit(at("b", -100*24*time.Hour), at("c", 0), at("a", 100*24*time.Hour)), "a", "b")
	b.wantDuplicates(b.commit(at("c", 0)), "c")
	if got := b.ids(store.Filter{}); len(got) != 3 {
		b.Errorf("events %v", got)
	}
}

func knownAfterRestart(b *bench) {
	b.commit(at("a", 0), at("b", 0))
	b.ok(b.store.Delete(b.Context(), "b"))
	b.reopen()
	b.wantDuplicates(b.commit(at("a", 0), at("b", 0), at("c", 0)), "a", "b")
}

func knownInWindow(b *bench) {
	b.commit(at("a", 0))
	b.clock.advance(48 * time.Hour)
	b.reopen()
	b.wantDuplicates(b.commit(at("a", 48*time.Hour)), "a")
}

func deletedStays(b *bench) {
	b.commit(at("a", 0))
	b.ok(b.store.Delete(b.Context(), "a"))
	b.clock.advance(48 * time.Hour)
	b.ok(b.store.Prune(b.Context(), b.clock.Now()))
	b.wantDuplicates(b.commit(at("a", time.Hour), at("b", 0), at("a", 0)), "a", "a")
	if got := b.ids(store.Filter{}); !slices.Equal(got, []string{"b"}) {
		b.Errorf("events %v", got)
	}
}

func deletedForgotten(b *bench) {
	b.commit(at("a", 0))
	b.ok(b.store.Delete(b.Context(), "a"))
	b.clock.advance(store.Window + time.Second)
	b.ok(b.store.Prune(b.Context(), b.clock.Now()))
	b.wantDuplicates(b.commit(at("a", 0)))
}

func beyondMemory(b *bench) {
	b.cfg.MaxRecentIDs = 1000
	b.reopen()
	// More than a filter's first segment.
	each := 60_000
	if b.store.Dialect() == "postgres" { // which has none
		each = 5_000
	}
	name := func(i int) string { return fmt.Sprintf("event-%d", i) }
	for round := range 4 {
		batch := store.Batch{}
		for i := range each {
			batch.Events = append(batch.Events, at(name(round*each+i), time.Duration(round)*time.Second))
		}
		b.wantDuplicates(b.commitBatch(batch))
	}
	for _, new := range []string{"new", "newer"} {
		b.wantDuplicates(b.commit(at(name(0), 0), at(new, 0), at(name(3*each), 0)), name(0), name(3*each))
		b.reopen()
	}
}

func probeForgets(b *bench) {
	some := []event.Event{at("a", 0), at("b", 0)}
	for range 2 {
		b.ok(b.store.Probe(b.Context(), slices.Repeat(some, 2)))
	}
	b.wantDuplicates(b.commit(some...))
	b.wantDuplicates(b.commit(some...), "a", "b")
}
