package app

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/pgtest"
	"github.com/tidemark-obs/tidemark/internal/proctest"
	"github.com/tidemark-obs/tidemark/internal/transfer"
)

// A command that works on a service's data while it is away delivers nothing and lets nothing expire;
// the service finds all that there is to do when it is back.
func TestACommandDeliversNothing(t *testing.T) {
	var away, requests, got atomic.Int64
	away.Store(1)
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		var body struct{ Events []any }
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Error(err)
		}
		if away.Load() > 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		got.Add(int64(len(body.Events)))
	}))
	defer hook.Close()
	cfg := testConfig(t.TempDir())
	a := start(t, cfg, Options{})
	body := fmt.Sprintf(`{"name": "crm", "kind": "webhook", "format": "json", "url": %q, "allow_private_addresses": true, "batch": {"linger_ms": 1}}`, hook.URL)
	if status, answer := call(t, a, "POST", "/api/analytics/destinations", body); status != http.StatusCreated {
		t.Fatalf("%d %v", status, answer)
	}
	if status, answer := call(t, a, "POST", "/api/analytics/track", `{"event": "one"}`); status != http.StatusOK {
		t.Fatalf("%d %v", status, answer)
	}
	stop(t, a)
	away.Store(0)
	before := requests.Load()
	for _, write := range []bool{false, true} {
		p, err := openPeer(t.Context(), cfg, io.Discard, write)
		if err != nil {
			t.Fatal(err)
		}
		if write {
			submit(t, p, "two")
		}
		if err := p.settle(t.Context()); err != nil {
			t.Error(err)
		}
		parts, ok := p.(*partsPeer)
		if !ok {
			t.Fatalf("it works through a %T", p)
		}
		for _, s := range parts.app.stops {
			if s.what == "destinations" {
				t.Error("destinations run")
			}
		}
		if err := p.close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if n := requests.Load() - before; n > 0 {
		t.Errorf("%d requests were sent by a command", n)
	}
	a = start(t, cfg, Options{})
	proctest.Eventually(t, time.Minute, "both events", func() error {
		if n := got.Load(); n < 2 {
			return fmt.Errorf("%d have come", n)
		}
		return nil
	})
	stop(t, a)
}

func submit(t *testing.T, p peer, id string) {
	t.Helper()
	row := transfer.Row{Number: 1, JSON: []byte(fmt.Sprintf(`{"event_name": "n", "event_id": %q}`, id))}
	if refused, err := p.intake().Submit(t.Context(), []transfer.Row{row}); err != nil || len(refused) > 0 {
		t.Errorf("%v %v", refused, err)
	}
}

// A command that imports leaves nothing in the journal when no destination waits for it.
func TestAnImportEmptiesTheJournal(t *testing.T) {
	p, err := openPeer(t.Context(), testConfig(t.TempDir()), io.Discard, true)
	if err != nil {
		t.Fatal(err)
	}
	for n := range 5 {
		submit(t, p, fmt.Sprint(n))
	}
	if err := p.settle(t.Context()); err != nil {
		t.Error(err)
	}
	proctest.Eventually(t, time.Minute, "an empty journal", func() error {
		if s := p.(*partsPeer).app.journal.State(); s.FirstSeq < s.LastSeq {
			return fmt.Errorf("it has %d to %d", s.FirstSeq, s.LastSeq)
		}
		return nil
	})
	if err := p.close(t.Context()); err != nil {
		t.Error(err)
	}
}

// What waits in a journal belongs into the database of its service: an export from there has it, and
// nobody takes it into an embedded database, which is none or the one from before a move.
func TestCommandsKeepToTheServicesDatabase(t *testing.T) {
	cfg := testConfig(t.TempDir())
	cfg.Database.URL = pgtest.URL(t)
	stop(t, start(t, cfg, Options{}))
	leaveInJournal(t, cfg, `{"event": "late", "event_id": "late"}`)
	forgotten := cfg
	forgotten.Database.URL = ""
	into := testConfig(t.TempDir())
	a, err := New(forgotten, Options{Log: io.Discard})
	ok(t, err)
	for name, err := range map[string]error{
		"a start":        a.Start(t.Context()),
		"what reads":     forgotten.HasData(),
		"an import":      Import{Path: "-", In: strings.NewReader("{}"), Log: io.Discard}.Run(t.Context(), forgotten),
		"an import from": Import{From: cfg.Data.Dir, Log: io.Discard}.Run(t.Context(), into),
	} {
		if !errs.Is(err, errs.Conflict) || !strings.Contains(err.Error(), "in PostgreSQL") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if list := everything(t, cfg); len(list) != 1 || list[0].ID != "late" {
		t.Errorf("an export has %v", list)
	}
}

// A command that meets another one says so; there is no service to ask.
func TestTwoCommandsOnOneDirectory(t *testing.T) {
	cfg := testConfig(t.TempDir())
	stop(t, start(t, cfg, Options{}))
	release, err := lockDir(cfg.Data.Dir)
	ok(t, err)
	err = Export{Out: io.Discard, Log: io.Discard}.Run(t.Context(), cfg)
	if !errs.Is(err, errs.Unavailable) || !strings.Contains(err.Error(), "held by another command") {
		t.Errorf("%v", err)
	}
	ok(t, release())
}
