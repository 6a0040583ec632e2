package store_test

import (
	"testing"

	"github.com/tidemark-obs/tidemark/internal/leaktest"
	"github.com/tidemark-obs/tidemark/internal/pgtest"
	"github.com/tidemark-obs/tidemark/internal/store"
	"github.com/tidemark-obs/tidemark/internal/store/storetest"
)

// bothDatabases are the configurations of an empty database of each kind.
var bothDatabases = map[string]func(t *testing.T) store.Config{
	"duckdb":   func(t *testing.T) store.Config { return store.Config{Dir: t.TempDir()} },
	"postgres": func(t *testing.T) store.Config { return store.Config{URL: pgtest.URL(t)} },
}

func TestMain(m *testing.M) { leaktest.Main(m) }

// The two suites go side by side: each waits for its database most of the time. A short run, as the
// one with the race detector is, asks PostgreSQL little: one question after the other, our code is
// the same as with DuckDB.
func TestDuckDB(t *testing.T) {
	t.Parallel()
	storetest.Run(t, bothDatabases["duckdb"])
}

func TestPostgres(t *testing.T) {
	t.Parallel()
	run := storetest.Run
	if testing.Short() {
		run = storetest.RunWriting
	}
	run(t, bothDatabases["postgres"])
}
