package app

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/ingest"
	"github.com/tidemark-obs/tidemark/internal/pgtest"
	"github.com/tidemark-obs/tidemark/internal/proctest"
)

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// hook is a webhook that can be away, and knows which events it was sent.
type hook struct {
	*httptest.Server
	mu   sync.Mutex
	away bool
	ids  []string
}

func newHook(t *testing.T) *hook {
	h := &hook{away: true}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			Events []struct {
				ID string `json:"event_id"`
			}
		}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Error(err)
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.away {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		for _, e := range body.Events {
			h.ids = append(h.ids, e.ID)
		}
	}))
	t.Cleanup(h.Close)
	return h
}

func (h *hook) back() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.away = false
}

func (h *hook) sent() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.ids)
}

// old are events of years ago, as another service had them.
func old(n int) string {
	var b strings.Builder
	for i := range n {
		at := time.Date(2024, 3, 1, i%24, i%60, 0, 0, time.UTC).AddDate(0, 0, i%40).Format(time.RFC3339)
		fmt.Fprintf(&b, `{"event_name":"n%d","event_id":"old%d","user_id":"u%d","timestamp":%q,"received_at":%q,"properties":{"plan":"p%d","amount":%d}}`+"\n",
			i%3, i, i%20, at, at, i%4, i)
	}
	return b.String()
}

// questions are asked before and after a move.
func questions() []string {
	const span = "start_date=2024-03-01&end_date=2024-05-01"
	return []string{
		"stats?" + span, "timeseries?interval=day&group_by=event_name&" + span, "timeseries?interval=day&metric=users&" + span,
		"breakdown?by=properties.plan&" + span, "timeseries?interval=week&metric=sum:amount&" + span,
		"stats?start_date=2024-03-01&end_date=2030-01-01", "breakdown?by=event_name&start_date=2025-01-01&end_date=2025-03-01",
	}
}

func answers(t *testing.T, a *App, key string) (all []map[string]any) {
	t.Helper()
	for _, q := range questions() {
		status, answer := callAs(t, a, key, "GET", "/api/analytics/events/"+q, "")
		if status != 200 {
			t.Fatalf("%s: %d %v", q, status, answer)
		}
		delete(answer, "as_of")
		all = append(all, answer)
	}
	return all
}

// TestAMoveKeepsTotalsOfMetrics has counted events that are gone, and has others in its journal.
func TestAMoveKeepsTotalsOfMetrics(t *testing.T) {
	cfg := testConfig(t.TempDir())
	cfg.Statistics.Metrics = []Metric{{Event: "buy"}}
	a := start(t, cfg, Options{})
	for i := range 5 {
		call(t, a, "POST", "/api/analytics/track", fmt.Sprintf(`{"event": "buy", "event_id": "b%d"}`, i))
	}
	call(t, a, "POST", "/api/analytics/flush", "")
	call(t, a, "DELETE", "/api/analytics/events/b0", "")
	stop(t, a)
	leaveInJournal(t, cfg, `{"event": "buy", "event_id": "late"}`)

	cfg.Database.URL = pgtest.URL(t)
	for range 2 {
		ok(t, Import{From: cfg.Data.Dir, Log: io.Discard}.Run(t.Context(), cfg))
	}
	b := start(t, cfg, Options{})
	proctest.Eventually(t, time.Minute, "the totals", func() error {
		if text := scrapeText(t, b); !strings.Contains(text, "\ntidemark_event_buy_total 6") {
			return fmt.Errorf("metrics: %s", text)
		}
		return nil
	})
}

// leaveInJournal leaves an event in the journal, as a service does that is killed.
func leaveInJournal(t *testing.T, cfg Config, raw string) {
	t.Helper()
	a, err := New(cfg, Options{Log: io.Discard})
	ok(t, err)
	ok(t, a.take(t.Context(), a.lock, a.startTelemetry, a.openStore, a.openJournal, a.makeRooms, a.load))
	items := make([]ingest.Item, 1)
	items[0].Warnings, items[0].Err = a.live.DecodeMoved([]byte(raw), &items[0].Event)
	_, err = a.pipeline.Submit(t.Context(), event.Analytics, items)
	ok(t, errors.Join(err, items[0].Err, a.Stop(t.Context())))
}

// TestAServiceMovesWithAllItHas moves a service whose oldest events have expired, with a destination that
// is behind, a person who is refused, and settings and keys of its own.
func TestAServiceMovesWithAllItHas(t *testing.T) {
	h := newHook(t)
	source := testConfig(t.TempDir())
	source.Statistics = Statistics{Dimensions: []Dimension{{Property: "plan"}}, Numbers: []Number{{Property: "amount"}}}
	a := start(t, source, Options{})
	file := filepath.Join(t.TempDir(), "old.ndjson")
	ok(t, os.WriteFile(file, []byte(old(500)), 0o600))
	ok(t, Import{Path: file, Log: io.Discard}.Run(t.Context(), source))
	ok(t, a.store.TidyRollups(t.Context()))
	ok(t, Maintain(t.Context(), source, false, io.Discard, io.Discard))
	body := fmt.Sprintf(`{"name": "crm", "kind": "webhook", "format": "json", "url": %q, "allow_private_addresses": true, "batch": {"linger_ms": 1}}`, h.URL)
	call(t, a, "POST", "/api/analytics/destinations", body)
	fill(t, a, 300)
	call(t, a, "DELETE", "/api/analytics/events/e299", "") // of the newest message
	call(t, a, "POST", "/api/analytics/config", `{"buffer_size": 77}`)
	if status, erased := call(t, a, "DELETE", "/api/analytics/users/u7?refuse=true", ""); status != 200 || erased["events"] != 6.0 {
		t.Fatalf("erase: %d %v", status, erased)
	}
	ok(t, a.store.TidyRollups(t.Context())) // what was lost of sketches is there again
	want, left := answers(t, a, ""), everything(t, source)
	if want[0]["total_events"] != 500.0 || len(left) != 292 {
		t.Fatalf("%d events are left to move, and of those that are gone are counted: %v", len(left), want[0])
	}
	stop(t, a)
	k, err := OpenKeys(t.Context(), source, io.Discard)
	ok(t, err)
	key, _, err := k.Create(t.Context(), "ops", []string{"admin"})
	ok(t, errors.Join(err, k.Close()))

	target := source // the same service, which now needs its key
	target.Database.URL = pgtest.URL(t)
	target.Statistics = defaultStatistics()
	for range 2 {
		var log bytes.Buffer
		if err := (Import{From: source.Data.Dir, Log: &log}).Run(t.Context(), target); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(log.String(), "taken over as well: access keys") || strings.Contains(log.String(), "not taken over") {
			t.Errorf("told: %s", log.String())
		}
	}
	same(t, everything(t, target), left)
	h.back()
	target.Statistics = source.Statistics
	b := start(t, target, Options{})
	for i, got := range answers(t, b, key) {
		if !reflect.DeepEqual(got, want[i]) {
			t.Errorf("%s\n is %v\nwas %v", questions()[i], got, want[i])
		}
	}
	if _, stats := callAs(t, b, key, "GET", "/api/analytics/stats", ""); fmt.Sprint(stats["config"].(map[string]any)["buffer_size"]) != "77" {
		t.Errorf("settings %v", stats["config"])
	}
	callAs(t, b, key, "POST", "/api/analytics/track", `{"event": "e", "event_id": "refused", "user_id": "u7"}`)
	callAs(t, b, key, "POST", "/api/analytics/track", `{"event": "e", "event_id": "e299"}`)
	callAs(t, b, key, "POST", "/api/analytics/flush", "")
	for id, want := range map[string]string{"refused": "dead_lettered", "e299": "duplicate"} {
		if _, r := callAs(t, b, key, "GET", "/api/analytics/receipts/"+id, ""); r["status"] != want {
			t.Errorf("%s: %v, want %s", id, r, want)
		}
	}
	proctest.Eventually(t, time.Minute, "what the destination had missed", func() error {
		ids := h.sent()
		slices.Sort(ids)
		if ids = slices.Compact(ids); len(ids) < 292 {
			return fmt.Errorf("%d have come", len(ids))
		}
		return nil
	})
	for _, id := range h.sent() {
		if strings.HasPrefix(id, "old") {
			t.Errorf("%s of years ago was delivered", id)
		}
	}
}
