package storetest

import (
	"slices"
	"sync"
	"time"

	"github.com/tidemark-obs/tidemark/internal/store"
)

func schemaStories() []story {
	return []story{
		{"up, down, up", upDownUp},
		{"a dry run changes nothing", dryRun},
		{"several at once", migrateTogether},
	}
}

func upDownUp(b *bench) {
	b.commit(at("a", 0))
	undone, err := b.store.MigrateDown(b.Context(), 0)
	b.ok(err)
	if _, err := b.store.Cursor(b.Context(), "stream"); err == nil {
		b.Error("the tables are still there")
	}
	done, err := b.store.Migrate(b.Context(), false)
	b.ok(err)
	slices.Reverse(undone)
	if len(done) < 2 || !slices.Equal(done, undone) {
		b.Errorf("down %v, up %v", undone, done)
	}
	b.cursor = b.cursorOf("stream")
	b.wantDuplicates(b.commit(at("a", 0)))
	if got := b.ids(store.Filter{}); len(got) != 1 {
		b.Errorf("events %v", got)
	}
}

func dryRun(b *bench) {
	if list, err := b.store.Migrate(b.Context(), true); err != nil || len(list) != 0 {
		b.Errorf("on the current schema: %v, %v", list, err)
	}
	undone, err := b.store.MigrateDown(b.Context(), 1)
	b.ok(err)
	slices.Reverse(undone)
	for range 2 {
		list, err := b.store.Migrate(b.Context(), true)
		b.ok(err)
		if len(list) == 0 || !slices.Equal(list, undone) {
			b.Errorf("would apply %v, want %v", list, undone)
		}
	}
}

func migrateTogether(b *bench) {
	_, err := b.store.MigrateDown(b.Context(), 0)
	b.ok(err)
	stores := []*store.Store{b.store, b.store}
	if b.store.Dialect() == "postgres" {
		stores = append(stores, b.another(), b.another())
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var applied []string
	start := time.Now()
	for _, s := range stores {
		wg.Go(func() {
			list, err := s.Migrate(b.Context(), false)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				b.Error(err)
			}
			applied = append(applied, list...)
		})
	}
	wg.Wait()
	b.Logf("took %v", time.Since(start))
	if once := slices.Compact(slices.Sorted(slices.Values(applied))); len(once) != len(applied) {
		b.Errorf("applied %v", applied)
	}
	b.commit(at("a", 0))
}
