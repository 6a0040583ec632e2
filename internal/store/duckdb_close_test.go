package store_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/store"
)

// TestDuckDBOpensAgainAfterCancelledQueries cancels queries at any moment and closes the database,
// over and over. What a query left in a connection must not keep the file from being opened again.
func TestDuckDBOpensAgainAfterCancelledQueries(t *testing.T) {
	dir, rounds := t.TempDir(), 300
	if testing.Short() {
		rounds = 60
	}
	for range rounds {
		opened := make(chan *store.Store, 1)
		go func() {
			s, err := store.Open(context.Background(), store.Config{Dir: dir})
			if err != nil {
				t.Error(err)
			}
			opened <- s
		}()
		var s *store.Store
		select {
		case s = <-opened:
		case <-time.After(time.Minute):
			t.Fatal("the database cannot be opened again") // and never will: the library waits in a loop
		}
		if s == nil {
			return
		}
		if _, err := s.Migrate(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Duration(rand.IntN(3_000))*time.Microsecond, cancel)
		var asking sync.WaitGroup
		for range 3 {
			asking.Go(func() {
				for range 2 {
					if _, err := s.Cursor(ctx, "stream"); err != nil && ctx.Err() == nil {
						t.Error(err)
					}
				}
			})
		}
		asking.Wait()
		cancel()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
