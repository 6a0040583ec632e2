package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/access"
	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/event/eventjson"
	"github.com/tidemark-obs/tidemark/internal/leaktest"
	"github.com/tidemark-obs/tidemark/internal/perf"
	"github.com/tidemark-obs/tidemark/internal/settings"
	"github.com/tidemark-obs/tidemark/internal/store"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// keeper keeps settings and keys in memory.
type keeper struct {
	document []byte
	keys     []store.Key
}

func (k *keeper) LoadSettings(context.Context) ([]byte, error) { return k.document, nil }
func (k *keeper) SaveSettings(_ context.Context, d []byte) error {
	k.document = d
	return nil
}

func (k *keeper) InsertKey(_ context.Context, key store.Key) error {
	k.keys = append(k.keys, key)
	return nil
}
func (k *keeper) Keys(context.Context) ([]store.Key, error) {
	return append([]store.Key{}, k.keys...), nil
}
func (k *keeper) RevokeKey(_ context.Context, id string, at time.Time) error {
	for i := range k.keys {
		if k.keys[i].ID == id {
			k.keys[i].RevokedAt = at
		}
	}
	return nil
}
func (k *keeper) TouchKeys(context.Context, map[string]time.Time) error { return nil }

// still is a machine that does nothing.
type still struct{}

func (still) Read() perf.SystemMetrics {
	return perf.SystemMetrics{MemoryUsageMB: 100, MemoryPercent: 10, CPUPercent: 5, DiskUsagePercent: 96}
}

// world is a server over real settings, access, timings and decoder, and a pipeline and store
// in memory.
type world struct {
	*memory
	*httptest.Server
	api      *Server
	deps     Deps
	settings *settings.Manager
	access   *access.Access
	log      *bytes.Buffer
}

func newDeps(t testing.TB, m *memory, log io.Writer) (Deps, *settings.Manager, *access.Access) {
	t.Helper()
	logger := slog.New(slog.NewJSONHandler(log, nil))
	ctx := context.Background()
	ops, err := perf.NewOperations(perf.Config{Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	k := &keeper{}
	acc, err := access.New(access.Config{Store: k, Logger: logger, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	if err := acc.Load(ctx); err != nil {
		t.Fatal(err)
	}
	set := settings.NewManager(settings.Defaults(), k, logger)
	return Deps{
		Intake: m, Backlog: m, Accounts: m, Events: m, Archive: m, Erasures: m, Upkeep: m, Questions: m, Journeys: m, SQL: m,
		Settings: set, Access: acc, Keys: acc, Operations: ops, System: still{},
		Alerts: m, Silences: m, AlertHistory: m, Destinations: noDestinations{},
		Decoder:          eventjson.NewDecoder(eventjson.Options{Limits: event.DefaultLimits(), Sensitive: eventjson.DefaultSensitive()}),
		Reload:           func(context.Context) error { return nil },
		Metrics:          http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "up 1\n") }),
		ObserveOperation: func(context.Context, string, time.Duration) {},
		Services:         []string{"store:duckdb", "journal:embedded"},
		Logger:           logger, Now: time.Now, Version: "test",
	}, set, acc
}

func newWorld(t testing.TB, change ...func(*Deps)) *world {
	t.Helper()
	w := &world{memory: newMemory(), log: &bytes.Buffer{}}
	var log io.Writer = w.log
	w.deps, w.settings, w.access = newDeps(t, w.memory, log)
	for _, f := range change {
		f(&w.deps)
	}
	w.serve(t)
	return w
}

// serve starts the server; it ends with the test, joined.
func (w *world) serve(t testing.TB) {
	t.Helper()
	api, err := New(w.deps)
	if err != nil {
		t.Fatal(err)
	}
	w.api = api
	w.Server = httptest.NewServer(api)
	t.Cleanup(func() {
		w.Server.Close()
		http.DefaultClient.CloseIdleConnections()
		if err := api.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

// answer is a response, whole.
type answer struct {
	status int
	header http.Header
	body   string
	t      testing.TB
}

func (w *world) do(t testing.TB, method, path, body string, header ...string) answer {
	t.Helper()
	r, err := http.NewRequest(method, w.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header[http.CanonicalHeaderKey(header[i])] = []string{header[i+1]}
	}
	res, err := w.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{status: res.StatusCode, header: res.Header, body: string(b), t: t}
}

// json reads the answer as an object.
func (a answer) json() map[string]any {
	a.t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(a.body), &m); err != nil {
		a.t.Fatalf("%v in %q", err, a.body)
	}
	return m
}

// want checks the status and what every answer must have.
func (a answer) want(status int) answer {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("status %d, want %d: %s", a.status, status, a.body)
	}
	if !strings.HasSuffix(a.header.Get("X-Response-Time"), "ms") {
		a.t.Errorf("X-Response-Time is %q", a.header.Get("X-Response-Time"))
	}
	if a.header.Get("X-Request-ID") == "" {
		a.t.Error("no X-Request-ID")
	}
	return a
}

// problem checks that the answer is a whole problem document and returns it.
func (a answer) problem(status int) Problem {
	a.t.Helper()
	a.want(status)
	if got := a.header.Get("Content-Type"); got != "application/problem+json" {
		a.t.Errorf("Content-Type %q", got)
	}
	var p Problem
	d := json.NewDecoder(strings.NewReader(a.body))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		a.t.Fatalf("%v in %s", err, a.body)
	}
	if p.Status != status || p.Title == "" || p.Type != "about:blank" || p.Detail == "" {
		a.t.Errorf("problem %s", a.body)
	}
	if p.RequestID != a.header.Get("X-Request-ID") {
		a.t.Errorf("request_id %q, header %q", p.RequestID, a.header.Get("X-Request-ID"))
	}
	return p
}
