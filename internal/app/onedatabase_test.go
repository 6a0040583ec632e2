package app

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/pgtest"
)

// refuses checks that nothing is taken into a database where the directory's service does not have its events.
func refuses(t *testing.T, cfg Config, why string) {
	t.Helper()
	a, err := New(cfg, Options{Log: io.Discard})
	ok(t, err)
	row := `{"event_name": "astray", "event_id": "astray"}`
	for name, err := range map[string]error{
		"a start":   a.Start(t.Context()),
		"an import": Import{Path: "-", In: strings.NewReader(row), Log: io.Discard}.Run(t.Context(), cfg),
		"upkeep":    Maintain(t.Context(), cfg, false, io.Discard, io.Discard),
	} {
		if !errs.Is(err, errs.Conflict) || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// until is a log that ends a command at what a move says when the events are in the new database, and the
// rest is not.
type until struct{ end func() }

func (u until) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte("imported:")) {
		u.end()
	}
	return len(p), nil
}

// TestAServiceHasItsEventsInOneDatabase moves a service with an interruption: until the move is complete it
// goes on where it was, with a ledger that adds up, and from then on only in the new database.
func TestAServiceHasItsEventsInOneDatabase(t *testing.T) {
	duck := testConfig(t.TempDir())
	a := start(t, duck, Options{})
	fill(t, a, 1_200)
	_, before := call(t, a, "GET", "/api/analytics/ledger", "")
	stop(t, a)
	pg := duck
	pg.Database.URL = pgtest.URL(t)
	refuses(t, pg, "--from "+duck.Data.Dir)

	ctx, cancel := context.WithCancel(t.Context())
	if err := (Import{From: duck.Data.Dir, Log: until{cancel}}).Run(ctx, pg); err == nil {
		t.Fatal("the move was not interrupted")
	}
	left := pg
	left.Data.Dir = movingDir(duck.Data.Dir) // as when it is killed
	leaveInJournal(t, left, `{"event": "copy", "event_id": "copy"}`)
	refuses(t, pg, "--from "+duck.Data.Dir)

	var log logBuffer
	a = start(t, duck, Options{Log: &log})
	if _, l := call(t, a, "GET", "/api/analytics/ledger", ""); l["lost"] != 0.0 || l["accepted"] != before["accepted"] || l["duplicate"] != 0.0 {
		t.Errorf("ledger after the interruption: %v, before: %v", l, before)
	}
	if status, answer := call(t, a, "DELETE", "/api/analytics/users/u7", ""); answer["events"] != 24.0 {
		t.Errorf("erasing: %d %v", status, answer)
	}
	stop(t, a)
	if _, err := os.Stat(left.Data.Dir); err == nil || strings.Contains(log.String(), "ERROR") {
		t.Errorf("what the move left: %v; told: %s", err, log.String())
	}

	for range 2 {
		ok(t, Import{From: duck.Data.Dir, Log: io.Discard}.Run(t.Context(), pg))
		refuses(t, duck, "in PostgreSQL")
	}
	if _, err := OpenKeys(t.Context(), duck, io.Discard); !errs.Is(err, errs.Conflict) {
		t.Errorf("keys of the database from before: %v", err)
	}
	want := everything(t, pg)
	stop(t, start(t, pg, Options{}))

	back := testConfig(t.TempDir()) // as the refusal says
	text, err := os.ReadFile(filepath.Join(duck.Data.Dir, "tidemark.duckdb"))
	ok(t, err)
	ok(t, os.WriteFile(filepath.Join(back.Data.Dir, "tidemark.duckdb"), text, 0o600))
	stop(t, start(t, back, Options{}))
	same(t, everything(t, back), want)
}

// TestAnErasureReachesOnlyItsOwnService moves a service where a person was erased into a database that has
// events of the person from another.
func TestAnErasureReachesOnlyItsOwnService(t *testing.T) {
	duck := testConfig(t.TempDir())
	a := start(t, duck, Options{})
	fill(t, a, 100)
	call(t, a, "DELETE", "/api/analytics/users/u7", "")
	stop(t, a)
	other, pg := testConfig(t.TempDir()), duck
	other.Database.URL = pgtest.URL(t)
	pg.Database.URL = other.Database.URL
	b := start(t, other, Options{})
	call(t, b, "POST", "/api/analytics/track", `{"event": "login", "event_id": "others", "user_id": "u7"}`)
	call(t, b, "POST", "/api/analytics/flush", "")
	stop(t, b)
	ok(t, Import{From: duck.Data.Dir, Log: io.Discard}.Run(t.Context(), pg))
	b = start(t, other, Options{})
	if status, answer := call(t, b, "GET", "/api/analytics/events/others", ""); status != 200 {
		t.Errorf("the other service's event: %d %v", status, answer)
	}
}
