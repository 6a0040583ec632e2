//go:build linux

package faults

import (
	"database/sql"
	"testing"

	_ "github.com/lib/pq" // the test's own sessions
	"github.com/tidemark-obs/tidemark/internal/pgtest"
)

// onEach tells a story on both databases; url is empty for the embedded one.
func onEach(t *testing.T, tell func(t *testing.T, url string)) {
	t.Run("duckdb", func(t *testing.T) { tell(t, "") })
	t.Run("postgres", func(t *testing.T) { tell(t, pgtest.URL(t)) })
}

// session opens the test's own way into a PostgreSQL database.
func session(t *testing.T, url string) *sql.DB {
	t.Helper()
	db, err := sql.Open("postgres", url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}
