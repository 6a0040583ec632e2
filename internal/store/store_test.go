package store_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/tidemark-obs/tidemark/internal/pgtest"
	"github.com/tidemark-obs/tidemark/internal/store"
	"github.com/tidemark-obs/tidemark/internal/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The two suites go side by side: each waits for its database most of the time. A short run, as the
// one with the race detector is, asks PostgreSQL little: one question after the other, our code is
// the same as with DuckDB.
func TestDuckDB(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) store.Config { return store.Config{Dir: t.TempDir()} })
}

func TestPostgres(t *testing.T) {
	t.Parallel()
	run := storetest.Run
	if testing.Short() {
		run = storetest.RunWriting
	}
	run(t, func(t *testing.T) store.Config { return store.Config{URL: pgtest.URL(t)} })
}
