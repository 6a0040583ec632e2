package alert

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/prometheus/rules"

	"github.com/tidemark-obs/tidemark/internal/leaktest"
	"github.com/tidemark-obs/tidemark/internal/proctest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// testConfig evaluates ten times a second. It scrapes less often: the interval is a scrape's time
// limit as well, and a busy machine must not make one fail.
func testConfig(dir string, patterns ...string) Config {
	const tick = 100 * time.Millisecond
	return Config{
		Dir: filepath.Join(dir, "metrics"), Rules: patterns, Instance: "127.0.0.1:1",
		ScrapeInterval: 2 * time.Second, EvaluationInterval: tick, QueryTimeout: 5 * time.Second,
		OutageTolerance: time.Hour, ForGracePeriod: tick, ResendDelay: time.Minute,
		Retention: 15 * 24 * time.Hour, MaxBytes: 64 << 20,
		APITimeout: 5 * time.Second, APIMaxSamples: 100_000, APIConcurrency: 2,
	}
}

// world is an evaluator that watches a registry of its own.
type world struct {
	*Evaluator
	t      *testing.T
	reg    *prometheus.Registry
	level  prometheus.Gauge // what rules look at
	log    *logBuffer
	mu     sync.Mutex
	alerts []rules.Alert
}

type logBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func newWorld(t *testing.T, cfg Config) *world {
	t.Helper()
	return newWorldAt(t, cfg, 0)
}

// newWorldAt has the level be that from the first scrape on.
func newWorldAt(t *testing.T, cfg Config, level float64) *world {
	t.Helper()
	w := &world{t: t, reg: prometheus.NewRegistry(), log: &logBuffer{}}
	w.level = prometheus.NewGauge(prometheus.GaugeOpts{Name: "level"})
	w.level.Set(level)
	w.reg.MustRegister(w.level)
	e, err := New(cfg, w.deps())
	if err != nil {
		t.Fatal(err)
	}
	w.Evaluator = e
	if err := e.Start("127.0.0.1:1"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.stop)
	return w
}

func (w *world) deps() Deps {
	return Deps{
		Metrics:  promhttp.HandlerFor(w.reg, promhttp.HandlerOpts{EnableOpenMetrics: true}),
		Registry: w.reg, Notify: w.notify, Now: time.Now, Version: "test",
		Logger: slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
}

func (w *world) notify(_ context.Context, _ string, all ...*rules.Alert) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, a := range all {
		w.alerts = append(w.alerts, *a)
	}
}

func (w *world) notified() []rules.Alert {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]rules.Alert{}, w.alerts...)
}

// stop may be called twice.
func (w *world) stop() {
	if w.Evaluator == nil {
		return
	}
	if err := w.Stop(context.Background()); err != nil {
		w.t.Error(err)
	}
	w.Evaluator = nil
}

// get asks the Prometheus HTTP API.
func (w *world) get(path string, params ...string) (int, map[string]any) {
	w.t.Helper()
	form := url.Values{}
	for i := 0; i < len(params); i += 2 {
		form.Add(params[i], params[i+1])
	}
	r := httptest.NewRequest(http.MethodGet, "/api/v1/"+path+"?"+form.Encode(), nil)
	rec := httptest.NewRecorder()
	w.Handler().ServeHTTP(rec, r)
	var answer map[string]any
	if err := json.Unmarshal(rec.Body.Bytes(), &answer); err != nil {
		w.t.Fatalf("%s: %d %q: %v", path, rec.Code, rec.Body, err)
	}
	return rec.Code, answer
}

// values are the results of a query by HTTP, as text, by their labels.
func (w *world) values(query string) map[string]string {
	w.t.Helper()
	status, answer := w.get("query", "query", query)
	if status != http.StatusOK {
		return nil
	}
	data, _ := answer["data"].(map[string]any)
	all, _ := data["result"].([]any)
	out := make(map[string]string)
	for _, one := range all {
		s, _ := one.(map[string]any)
		labels, _ := json.Marshal(s["metric"])
		if pair, ok := s["value"].([]any); ok {
			out[string(labels)] = fmt.Sprint(pair[1])
		} else {
			out[string(labels)] = fmt.Sprint(s["histogram"])
		}
	}
	return out
}

// eventually waits until f returns nothing to complain of.
func eventually(t *testing.T, what string, f func() error) {
	t.Helper()
	proctest.Eventually(t, 2*time.Minute, what, f)
}

// waitFor waits until a query has a result and returns its only value.
func (w *world) waitFor(query string) string {
	w.t.Helper()
	var value string
	eventually(w.t, query, func() error {
		got := w.values(query)
		for _, v := range got {
			value = v
		}
		if len(got) == 0 {
			return fmt.Errorf("no result; log:\n%s", w.log)
		}
		return nil
	})
	return value
}

func writeRules(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "test.rules.yaml")
	rewrite(t, file, text)
	return file
}

func rewrite(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

const levelRules = `
groups:
  - name: level
    rules:
      - record: level:double
        expr: level * 2
      - alert: LevelHigh
        expr: level:double > 10
        labels: {severity: warning}
        annotations: {summary: "level of {{ $labels.instance }} is {{ $value }}"}
`
