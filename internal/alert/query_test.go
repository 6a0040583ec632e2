package alert

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestQueriesAreBounded(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t.TempDir())
	cfg.APIMaxSamples, cfg.APITimeout = 50, 2*time.Second
	w := newWorld(t, cfg)
	w.waitFor("level")
	status, answer := w.get("query_range", "query", "vector(1)", "start", "0", "end", "1000", "step", "1")
	if status != http.StatusUnprocessableEntity || answer["errorType"] != "execution" || !strings.Contains(fmt.Sprint(answer["error"]), "too many samples") {
		t.Errorf("too many samples: %d %v", status, answer)
	}
	status, answer = w.get("query", "query", "level", "timeout", "0s")
	if status != http.StatusServiceUnavailable || answer["errorType"] != "timeout" {
		t.Errorf("too slow: %d %v", status, answer)
	}
	status, answer = w.get("query", "query", "level +")
	if status != http.StatusBadRequest || answer["errorType"] != "bad_data" {
		t.Errorf("not a query: %d %v", status, answer)
	}
	rec := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodPost, "/api/v1/query", strings.NewReader("query="+strings.Repeat("1", maxQueryBody)))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w.Handler().ServeHTTP(rec, r)
	if rec.Code != http.StatusBadRequest {
		t.Errorf("a body too large: %d %s", rec.Code, rec.Body)
	}
	for range cfg.APIConcurrency {
		w.slots <- struct{}{}
	}
	status, answer = w.get("query", "query", "level")
	if status != http.StatusServiceUnavailable || answer["errorType"] != "unavailable" {
		t.Errorf("too many at once: %d %v", status, answer)
	}
}

func TestOnlyWhatReadsIsAnswered(t *testing.T) {
	t.Parallel()
	w := newWorld(t, testConfig(t.TempDir()))
	w.waitFor("up")
	for _, r := range []*http.Request{
		httptest.NewRequest("POST", "/api/v1/admin/tsdb/delete_series?match[]=up", nil),
		httptest.NewRequest("PUT", "/api/v1/admin/tsdb/snapshot", nil),
		httptest.NewRequest("POST", "/api/v1/write", nil),
		httptest.NewRequest("POST", "/api/v1/read", nil),
		httptest.NewRequest("GET", "/api/v1/status/config", nil),
		httptest.NewRequest("GET", "/api/v1/status/flags", nil),
	} {
		rec := httptest.NewRecorder()
		w.Handler().ServeHTTP(rec, r)
		if rec.Code != http.StatusNotFound {
			t.Errorf("%s %s: %d", r.Method, r.URL, rec.Code)
		}
	}
	for _, path := range []string{"labels", "label/job/values", "metadata", "rules", "alerts", "targets", "status/buildinfo"} {
		if status, answer := w.get(path); status != http.StatusOK || answer["status"] != "success" {
			t.Errorf("%s: %d %v", path, status, answer)
		}
	}
	if status, answer := w.get("series", "match[]", "up"); status != http.StatusOK || !strings.Contains(fmt.Sprint(answer), "tidemark") {
		t.Errorf("series: %d %v", status, answer)
	}
	rec := httptest.NewRecorder()
	r := httptest.NewRequest("GET", "/api/v1/labels", nil)
	r.Header.Set("Origin", "https://elsewhere.example")
	w.Handler().ServeHTTP(rec, r)
	if rec.Header().Get("Access-Control-Allow-Origin") != "" {
		t.Error("a page of another origin may read")
	}
}

const remoteRules = `
groups:
  - name: remote
    rules:
      - record: level:double
        expr: level * 2
      - record: constant
        expr: "3"
      - record: level:own # of recorded series alone
        expr: max_over_time(level:double[1m]) + on () constant
      - record: level:both
        expr: level - on () level:double or level - ignoring (job, instance) constant
      - alert: LevelHigh
        expr: level > 10
        for: 1s
`

// TestRulesAskAnotherServer lets one evaluator ask another one's Prometheus HTTP API.
func TestRulesAskAnotherServer(t *testing.T) {
	t.Parallel()
	server := newWorldAt(t, testConfig(t.TempDir()), 12)
	server.waitFor("level")
	var authorization string
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		authorization = r.Header.Get("Authorization")
		server.Handler().ServeHTTP(w, r)
	}))
	t.Cleanup(web.Close)
	cfg := testConfig(t.TempDir(), writeRules(t, remoteRules))
	cfg.QueryURL, cfg.QueryTokenFile = web.URL, filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(cfg.QueryTokenFile, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, cfg)
	w.level.Set(1) // its own level is not asked for
	if v := w.waitFor("level:double"); v != "24" {
		t.Errorf("recorded %s", v)
	}
	if v := w.waitFor("constant"); v != "3" {
		t.Errorf("recorded %s", v)
	}
	if v := w.waitFor("level:own"); v != "27" {
		t.Errorf("of recorded series alone: %s", v)
	}
	if v := w.waitFor("level:both"); v != "-12" {
		t.Errorf("of both: %s", v)
	}
	w.waitFor(`ALERTS{alertname="LevelHigh",alertstate="firing"}`)
	w.waitFor(`count_over_time(ALERTS{alertname="LevelHigh",alertstate="pending"}[10m])`)

	web.Close()
	if authorization != "Bearer secret" {
		t.Errorf("authorization %q", authorization)
	}
	eventually(t, "failed queries", func() error {
		_, answer := w.get("rules")
		if text := fmt.Sprint(answer); !strings.Contains(text, "health:err") || !strings.Contains(text, "alerts.query_url") {
			return errors.New(text)
		}
		if metric(t, w.reg, "prometheus_rule_evaluation_failures_total") == 0 {
			return errors.New("no failure counted")
		}
		return nil
	})
	for _, a := range w.notified() {
		if !a.ResolvedAt.IsZero() {
			t.Error("an alert was resolved because the server does not answer")
		}
	}
}

func TestAnswersOfAnotherServerAreBounded(t *testing.T) {
	t.Parallel()
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for chunk := make([]byte, 1<<20); ; {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	}))
	t.Cleanup(web.Close)
	e := newWorld(t, testConfig(t.TempDir()))
	cfg := testConfig(t.TempDir())
	cfg.QueryURL = web.URL
	query, err := cfg.remoteQuery(e.metrics)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := query(t.Context(), "up", time.Now()); err == nil || !strings.Contains(err.Error(), "more than 16777216 bytes") {
		t.Errorf("an answer without end: %v", err)
	}
}
