package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/ingest"
	"github.com/tidemark-obs/tidemark/internal/journal"
	"github.com/tidemark-obs/tidemark/internal/store"
	"github.com/tidemark-obs/tidemark/internal/upkeep"
)

// newRealWorld is a server over the real pipeline, journal and embedded database.
func newRealWorld(t *testing.T, change ...func(*Deps)) *world {
	t.Helper()
	ctx, dir := context.Background(), t.TempDir()
	logger := slog.New(slog.NewTextHandler(io.Discard, nil))
	db, err := store.Open(ctx, store.Config{Dir: dir, Logger: logger, Now: time.Now})
	must(t, err)
	t.Cleanup(func() { must(t, db.Close()) })
	_, err = db.Migrate(ctx, false)
	must(t, err)
	log, err := journal.Open(ctx, journal.Config{Dir: filepath.Join(dir, "journal"), Logger: logger, Now: time.Now, MinFree: 1})
	must(t, err)
	t.Cleanup(func() { must(t, log.Close(context.Background())) })

	w := &world{log: &bytes.Buffer{}}
	w.deps, w.settings, w.access = newDeps(t, nil, io.Discard)
	p := ingest.New(ingest.Config{Log: log, Sink: db, Settings: w.settings.Current,
		Logger: logger, Now: time.Now, Bounds: ingest.Bounds{Events: 10_000, Bytes: 8 << 20}})
	p.Start()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		p.Stop(ctx)
	})
	w.deps.Intake, w.deps.Backlog, w.deps.Accounts, w.deps.Events, w.deps.Archive, w.deps.Erasures = p, p, p, db, db, p
	w.deps.Upkeep = upkeep.New(upkeep.Config{Database: db, Now: time.Now, Logger: logger})
	w.deps.Ready = []ReadyCheck{{"queries", db.Ping}}
	for _, f := range change {
		f(&w.deps)
	}
	w.serve(t)
	return w
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// post sends a JSON body.
func (w *world) post(t testing.TB, path, body string, header ...string) answer {
	t.Helper()
	return w.do(t, http.MethodPost, path, body, header...)
}

func (w *world) get(t testing.TB, path string, header ...string) answer {
	t.Helper()
	return w.do(t, http.MethodGet, path, "", header...)
}

// ledgerOf reads the ledger and checks its two equations.
func (w *world) ledgerOf(t testing.TB) ingest.Ledger {
	t.Helper()
	var l ingest.Ledger
	must(t, json.Unmarshal([]byte(w.get(t, "/api/analytics/ledger").want(200).body), &l))
	if l.Received != l.Rejected+l.SampledOut+l.Accepted || l.Accepted != l.Stored+l.Duplicate+l.DeadLettered+l.Pending || l.Lost != 0 {
		t.Errorf("the ledger does not add up: %+v", l)
	}
	return l
}

// TestStoryOfAnEvent walks one event through all that can be done with it.
func TestStoryOfAnEvent(t *testing.T) {
	w := newRealWorld(t)
	tracked := w.post(t, "/api/analytics/track", `{"event":"signup","event_id":"e-1","user_id":"u1","severity":"high",
		"properties":{"plan":"pro","password":"hunter2"},"tags":["web","eu"]}`).want(200)
	if want := `{"success":true,"message":"Event tracked successfully","event_id":"e-1"}` + "\n"; tracked.body != want {
		t.Errorf("track answered %s", tracked.body)
	}
	if n := w.post(t, "/api/analytics/flush", "").want(200).json(); n["success"] != true || n["message"] != "Events flushed successfully" {
		t.Errorf("flush answered %v", n)
	}
	e := w.get(t, "/api/analytics/events/e-1").want(200).json()
	if e["event_name"] != "signup" || e["severity"] != "high" || e["processed"] != false {
		t.Errorf("stored as %v", e)
	}
	if p := e["properties"].(map[string]any); p["plan"] != "pro" || p["password"] == "hunter2" {
		t.Errorf("properties %v", p)
	}

	e = w.do(t, http.MethodPatch, "/api/analytics/events/e-1", `{"processed":true,"severity":"low","tags":["done"],"metadata":{"by":"test"}}`).want(200).json()
	if e["processed"] != true || e["processed_at"] == nil || e["severity"] != "low" || fmt.Sprint(e["tags"]) != "[done]" || fmt.Sprint(e["metadata"]) != "map[by:test]" {
		t.Errorf("patched to %v", e)
	}
	if got := w.get(t, "/api/analytics/receipts/e-1").want(200).json(); got["status"] != "stored" || got["event_id"] != "e-1" {
		t.Errorf("receipt %v", got)
	}
	w.do(t, http.MethodDelete, "/api/analytics/events/e-1", "").want(200)
	w.get(t, "/api/analytics/events/e-1").problem(404)
	w.do(t, http.MethodDelete, "/api/analytics/events/e-1", "").problem(404)
	w.do(t, http.MethodPatch, "/api/analytics/events/e-1", `{"processed":true}`).problem(404)
	// Its id is spent: sent again it is a duplicate of something deleted.
	w.post(t, "/api/analytics/events", `{"event_name":"signup","event_id":"e-1"}`).problem(409)
	if l := w.ledgerOf(t); l.Received != 2 || l.Accepted != 2 || l.Stored != 1 || l.Duplicate != 1 {
		t.Errorf("ledger %+v", l)
	}
}

func TestCreateEventAnswersOnceStored(t *testing.T) {
	w := newRealWorld(t)
	first := w.post(t, "/api/analytics/events", `{"event_name":"order","event_id":"o/1","properties":{"n":1}}`).want(201)
	if got := first.header.Get("Location"); got != "/api/analytics/events/o%2F1" {
		t.Errorf("Location %q", got)
	}
	if e := w.get(t, first.header.Get("Location")).want(200); e.json()["event_id"] != "o/1" || e.json()["received_at"] != first.json()["received_at"] {
		t.Errorf("created %s, stored %s", first.body, e.body)
	}
	again := w.post(t, "/api/analytics/events/", `{"event_name":"order","event_id":"o/1","properties":{"n":2}}`).want(200)
	if fmt.Sprint(again.json()["properties"]) != "map[n:1]" {
		t.Errorf("the same id again answered %s", again.body)
	}
	batch := w.post(t, "/api/analytics/events/batch", `{"events":[{"event_name":"a","event_id":"b-1"},{"event_name":""},{"event_name":"c","event_id":"b-3"}]}`).want(201).json()
	if batch["tracked_count"] != 2.0 || batch["rejected_count"] != 1.0 {
		t.Errorf("batch answered %v", batch)
	}
	w.get(t, "/api/analytics/events/b-1").want(200)
	w.get(t, "/api/analytics/events/b-3").want(200)
	if n := w.post(t, "/api/analytics/events/processed", `{"event_ids":["b-1","b-3","none"]}`).want(200).json(); n["processed_count"] != 2.0 {
		t.Errorf("processed %v", n)
	}
	if n := w.post(t, "/api/analytics/events/processed", `{"event_ids":["b-1"]}`).want(200).json(); n["processed_count"] != 0.0 {
		t.Errorf("processed again %v", n)
	}
}

func TestListWalksAllPagesOnce(t *testing.T) {
	w := newRealWorld(t)
	const total = 250
	var events []string
	for i := range total {
		// Many share a time: the cursor must not lose or repeat those.
		events = append(events, fmt.Sprintf(`{"event_name":"n%d","event_id":"e%03d","user_id":"u%d","timestamp":"2026-03-%02dT00:00:00Z","tags":["t%d","all"],"properties":{"n":%d}}`,
			i%3, i, i%5, 1+i/60, i%2, i))
	}
	w.post(t, "/api/analytics/events/batch", `{"events":[`+strings.Join(events, ",")+`]}`).want(201)

	for _, c := range []struct {
		query       string
		want, pages int
	}{
		{"limit=100", total, 3},
		{"limit=125", total, 2},
		{"limit=1000", total, 1},
		{"limit=50&user_id=u1", 50, 1},
		{"limit=7&event_name=n2", 83, 12},
		{"tags=all&tags=t1", 125, 2},
		{"tags=all,t1", 125, 2},
		{"start_date=2026-03-02&end_date=2026-03-03", 60, 1},
		{"start_date=2026-03-02T00:00:00Z&end_date=2026-03-02T00:00:00.000001Z", 60, 1},
		{"severity=high", 0, 1},
		{"event_type=custom&processed=false&limit=1000", total, 1},
		{"processed=true", 0, 1},
		{"session_id=none", 0, 1},
		{"limit=7&where=" + url.QueryEscape(`[{"field":"properties.n","op":"<","value":20}]`), 20, 3},
		{"event_name=n2&where=" + url.QueryEscape(`[{"field":"user_id","op":"in","value":["u1","u2"]},{"field":"properties.n","op":">=","value":100.5}]`), 20, 1},
	} {
		ids, pages := w.walk(t, c.query)
		seen := map[string]bool{}
		for _, id := range ids {
			seen[id] = true
		}
		if len(ids) != c.want || len(seen) != c.want || pages != c.pages {
			t.Errorf("%s: %d events, %d different, %d pages; want %d on %d", c.query, len(ids), len(seen), pages, c.want, c.pages)
		}
	}
	for _, path := range []string{"/api/analytics/events", "/api/analytics/events/export"} {
		bad := w.get(t, path+"?where="+url.QueryEscape(`[{"field":"sesame","op":"="}]`)).problem(422)
		if told := fmt.Sprint(bad); !strings.Contains(told, "where/0/field") || strings.Contains(told, "sesame") {
			t.Errorf("%s answered %s", path, told)
		}
	}
	st := w.get(t, "/api/analytics/events/stats?start_date=2026-03-01&end_date=2026-04-01").want(200).json()
	if st["total_events"] != 250.0 || st["unique_users"] != 5.0 || st["unprocessed_events"] != 250.0 ||
		fmt.Sprint(st["events_by_type"]) != "map[custom:250]" || fmt.Sprint(st["events_by_severity"]) != "map[low:250]" {
		t.Errorf("stats %v", st)
	}
	top := st["top_events"].([]any)
	if len(top) != 3 || top[0].(map[string]any)["event_name"] != "n0" || top[0].(map[string]any)["count"] != 84.0 {
		t.Errorf("top events %v", top)
	}
	if st := w.get(t, "/api/analytics/events/stats").want(200).json(); st["total_events"] != 0.0 || len(st["top_users"].([]any)) != 0 {
		t.Errorf("the last 30 days have %v", st)
	}
}

// walk reads all pages of a listing.
func (w *world) walk(t *testing.T, query string) (ids []string, pages int) {
	t.Helper()
	for cursor := ""; ; {
		a := w.get(t, "/api/analytics/events?"+query+"&cursor="+url.QueryEscape(cursor)).want(200).json()
		for _, e := range a["events"].([]any) {
			ids = append(ids, e.(map[string]any)["event_id"].(string))
		}
		pages++
		next, ok := a["next_cursor"].(string)
		if !ok {
			return ids, pages
		}
		cursor = next
	}
}

// TestTwelveEndpoints asks all of them as a newcomer would.
func TestTwelveEndpoints(t *testing.T) {
	w := newRealWorld(t)
	w.post(t, "/api/analytics/track", `{"event":"hello"}`).want(200)
	batch := w.post(t, "/api/analytics/batch-track", `[{"event":"a"},{"event":"b","nonsense":1},{"event":"c"}]`).want(200).json()
	if batch["success"] != true || batch["tracked_count"] != 2.0 || batch["rejected_count"] != 1.0 || len(batch["results"].([]any)) != 3 {
		t.Errorf("batch-track answered %v", batch)
	}
	second := batch["results"].([]any)[1].(map[string]any)
	if second["index"] != 1.0 || second["status"] != "rejected" || second["event_id"] != nil || !strings.Contains(second["error"].(string), "/nonsense") {
		t.Errorf("the bad one: %v", second)
	}
	if a := w.post(t, "/api/analytics/user/page-view", `{"path":"/home","user_id":"u1","referrer":"https://example.com/","metadata":{"k":1}}`).want(200).json(); a["message"] != "Page view tracked" {
		t.Errorf("page-view answered %v", a)
	}
	if a := w.post(t, "/api/analytics/user/interaction", `{"interaction_type":"click","element":"#buy","user_id":"u1","page_path":"/","coordinates":{"x":1,"y":2},"metadata":{}}`).want(200).json(); a["message"] != "User interaction tracked" {
		t.Errorf("interaction answered %v", a)
	}
	recent := w.get(t, "/api/analytics/events/recent?limit=3").want(200).json()
	if recent["count"] != 3.0 || len(recent["events"].([]any)) != 3 {
		t.Errorf("recent answered %v", recent)
	}
	newest := recent["events"].([]any)[0].(map[string]any)
	if newest["event_type"] != "user_interaction" || newest["event_name"] != "click" {
		t.Errorf("the newest is %v", newest)
	}
	w.post(t, "/api/analytics/flush", "").want(200)
	stats := w.get(t, "/api/analytics/stats").want(200).json()
	if stats["buffer_size"] != 0.0 || stats["last_flush"] == nil || len(stats["enabled_services"].([]any)) != 2 || stats["config"].(map[string]any)["buffer_size"] != 100.0 {
		t.Errorf("stats answered %v", stats)
	}
	perf := w.get(t, "/api/analytics/performance").want(200).json()
	track := perf["operation_stats"].(map[string]any)["POST /api/analytics/track"].(map[string]any)
	if track["count"] != 1.0 || track["error_count"] != 0.0 || track["p99_ms"] == nil || perf["thresholds"].(map[string]any)["slow_request_ms"] != 2000.0 {
		t.Errorf("performance answered %v", perf)
	}
	for _, name := range []string{"GET /api/analytics/stats", "GET%20%2Fapi%2Fanalytics%2Fstats", "GET%20/api/analytics/stats"} {
		op := w.get(t, "/api/analytics/performance/operation/"+strings.ReplaceAll(name, " ", "%20")).want(200).json()
		if op["operation"] != "GET /api/analytics/stats" || op["stats"].(map[string]any)["count"] != 1.0 {
			t.Errorf("operation answered %v", op)
		}
	}
	w.get(t, "/api/analytics/performance/operation/GET%20/nowhere").problem(404)
	if h := w.get(t, "/api/analytics/health").want(200).json(); h["analytics"].(map[string]any)["enabled"] != true || h["system_health"].(map[string]any)["status"] != "critical" {
		t.Errorf("health answered %v", h)
	}
	config := w.post(t, "/api/analytics/config", `{"buffer_size":50,"thresholds":{"slow_request_ms":10}}`).want(200).json()
	if config["message"] != "Analytics configuration updated" || config["updated_config"].(map[string]any)["buffer_size"] != 50.0 {
		t.Errorf("config answered %v", config)
	}
	if d := w.do(t, http.MethodDelete, "/api/analytics/performance/clear", "").want(200).json(); d["message"] != "Performance metrics cleared" {
		t.Errorf("clear answered %v", d)
	}
	if got := w.get(t, "/api/analytics/performance").want(200).json()["total_metrics_collected"]; got != 1.0 { // the clearing itself
		t.Errorf("%v operations after clearing", got)
	}
	if l := w.ledgerOf(t); l.Received != 6 || l.Rejected != 1 || l.Accepted != 5 || l.Stored != 5 {
		t.Errorf("ledger %+v", l)
	}
}

func TestDisabled(t *testing.T) {
	w := newRealWorld(t)
	w.post(t, "/api/analytics/config", `{"enabled":false}`).want(200)
	a := w.post(t, "/api/analytics/track", `{"event":"x"}`)
	a.problem(503)
	if a.header.Get("Retry-After") != "1" {
		t.Errorf("Retry-After %q", a.header.Get("Retry-After"))
	}
	w.post(t, "/api/analytics/batch-track", `[{"event":"x"},{"event":"y"}]`).problem(503)
	w.post(t, "/api/analytics/events", `{"event_name":"x"}`).problem(503)
	if l := w.ledgerOf(t); l.Received != 4 || l.Rejected != 4 {
		t.Errorf("ledger %+v", l)
	}
	if w.get(t, "/api/analytics/health").want(200).json()["analytics"].(map[string]any)["enabled"] != false {
		t.Error("health says enabled")
	}
}

func TestSampledOut(t *testing.T) {
	w := newRealWorld(t)
	w.post(t, "/api/analytics/config", `{"sample_rates":{"custom":0.000001}}`).want(200)
	a := w.post(t, "/api/analytics/track", `{"event":"x","user_id":"somebody","event_id":"s-1"}`).want(200)
	if want := `{"success":true,"message":"Event tracked successfully","event_id":"s-1","sampled":true}` + "\n"; a.body != want {
		t.Errorf("got %s", a.body)
	}
	if a := w.post(t, "/api/analytics/events", `{"event_name":"x","user_id":"somebody"}`).want(200).json(); a["sampled"] != true || a["event_id"] == "" {
		t.Errorf("POST /events answered %v", a)
	}
	b := w.post(t, "/api/analytics/batch-track", `[{"event":"x","user_id":"somebody"},{"event":""}]`).want(200).json()
	if b["tracked_count"] != 0.0 || b["sampled_count"] != 1.0 || b["rejected_count"] != 1.0 || b["results"].([]any)[0].(map[string]any)["status"] != "sampled" {
		t.Errorf("batch answered %v", b)
	}
	if l := w.ledgerOf(t); l.SampledOut != 3 || l.Rejected != 1 || l.Received != 4 {
		t.Errorf("ledger %+v", l)
	}
}
