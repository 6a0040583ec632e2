//go:build linux

package faults

import (
	"database/sql"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "github.com/duckdb/duckdb-go/v2" // the test's own way into the database file

	"github.com/tidemark-obs/tidemark/internal/pgtest"
)

// TestPoison makes the database refuse one event by a rule that the service does not know: the
// other 4,999 are stored, the one is kept as a dead letter with its reason.
func TestPoison(t *testing.T) {
	story(t)
	t.Run("duckdb", func(t *testing.T) {
		s := newService(t, "")
		s.start()
		s.Stop(2 * time.Minute)
		rule(t, s.dir)
		s.start()
		poisoned(t, s, func() {})
	})
	t.Run("postgres", func(t *testing.T) {
		url := pgtest.URL(t)
		s := newService(t, url)
		s.start()
		db := session(t, url)
		if _, err := db.Exec("ALTER TABLE events ADD CONSTRAINT no_poison CHECK (event_name <> 'poison')"); err != nil {
			t.Fatal(err)
		}
		// The lock lets the events gather, so that the poison stands in one large transaction.
		tx, err := db.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = tx.Rollback() }() // reports ErrTxDone after the release
		if _, err := tx.Exec("LOCK TABLE events IN ACCESS EXCLUSIVE MODE"); err != nil {
			t.Fatal(err)
		}
		poisoned(t, s, func() {
			if err := tx.Rollback(); err != nil {
				t.Fatal(err)
			}
		})
	})
}

// rule gives DuckDB's events table the constraint: it cannot be added, so the table is made anew.
func rule(t *testing.T, dir string) {
	t.Helper()
	db, err := sql.Open("duckdb", filepath.Join(dir, "tidemark.duckdb"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var create string
	if err := db.QueryRow("SELECT sql FROM duckdb_tables() WHERE table_name = 'events'").Scan(&create); err != nil {
		t.Fatal(err)
	}
	create = create[:strings.LastIndexByte(create, ')')] + ", CHECK (event_name <> 'poison'))"
	for _, statement := range []string{"DROP TABLE events", create} {
		if _, err := db.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
}

func poisoned(t *testing.T, s *service, release func()) {
	t.Helper()
	b := newBook()
	const poison = "event-3141"
	sendPoisoned(t, s, b, poison)
	release()
	verify(t, b, []string{poison}, s)
	for id, want := range map[string]string{poison: "dead_lettered", "event-3140": "stored"} {
		var r struct{ Status, Reason string }
		if err := s.ask("/api/analytics/receipts/"+id, &r); err != nil {
			t.Fatal(err)
		}
		if r.Status != want || (r.Reason != "") != (id == poison) {
			t.Errorf("receipt of %s: %+v; want %s", id, r, want)
		}
	}
	if n := metric(t, s, `tidemark_events_dead_lettered_total{reason="store_refused"}`); n != 1 {
		t.Errorf("%v dead letters counted as store_refused", n)
	}
}

// sendPoisoned sends 5,000 events in batches, all good as far as the service can know.
func sendPoisoned(t *testing.T, s *service, b *book, poison string) {
	t.Helper()
	client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	for from := 0; from < 5000; from += 100 {
		events, ids := make([]sample, 100), make([]string, 100)
		for i := range events {
			ids[i] = fmt.Sprintf("event-%d", from+i)
			events[i] = newSample(ids[i])
			if ids[i] == poison {
				events[i].Event = "poison"
			}
		}
		out, _ := b.post(client, s.address()+"/api/analytics/batch-track", encode(events), ids)
		if out != yes {
			t.Fatal("a batch was not acknowledged")
		}
		b.note(yes, ids...)
	}
}
