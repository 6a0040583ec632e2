package alert

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb"
)

const waitingRules = `
groups:
  - name: waiting
    rules:
      - {alert: Waits, expr: level > 10, for: 1h}
      - {alert: Fires, expr: level > 10, for: 2s}
`

// TestForSurvivesARestart restarts while one alert is pending and another fires.
func TestForSurvivesARestart(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t.TempDir(), writeRules(t, waitingRules))
	w := newWorldAt(t, cfg, 11)
	before := w.waitFor(`ALERTS_FOR_STATE{alertname="Waits"}`)
	w.waitFor(`ALERTS{alertname="Fires",alertstate="firing"}`)
	w.waitFor(`time() - ALERTS_FOR_STATE{alertname="Waits"} > 3`)
	w.stop()

	restart := time.Now()
	w = newWorldAt(t, cfg, 11)
	// How long it was pending counts on; how long the service was down does not.
	value := w.waitFor(fmt.Sprintf(`ALERTS_FOR_STATE{alertname="Waits"} < %d`, restart.Unix()-1))
	since, err := strconv.ParseFloat(value, 64)
	if err != nil {
		t.Fatal(err)
	}
	if was, _ := strconv.ParseFloat(before, 64); since < was {
		t.Errorf("pending since %v, before the restart since %v", since, was)
	}
	w.waitFor(fmt.Sprintf(`ALERTS_FOR_STATE{alertname="Fires"} < %d and ignoring(alertstate) ALERTS{alertname="Fires",alertstate="firing"}`, restart.Unix()-1))
}

// stored runs a world until it has some samples, and stops it.
func stored(t *testing.T, cfg Config) {
	t.Helper()
	w := newWorldAt(t, cfg, 5)
	w.waitFor(`count_over_time(level[1m]) >= 3`)
	w.stop()
}

func TestDamagedLogIsRepaired(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t.TempDir())
	stored(t, cfg)
	segments, err := filepath.Glob(filepath.Join(cfg.Dir, storeDir, "wal", "0*"))
	if err != nil || len(segments) == 0 {
		t.Fatalf("no segments: %v", err)
	}
	text, err := os.ReadFile(segments[0])
	if err != nil {
		t.Fatal(err)
	}
	for i := len(text) / 2; i < len(text)/2+64; i++ {
		text[i] ^= 0xff
	}
	if err := os.WriteFile(segments[0], text, 0o600); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, cfg)
	w.waitFor("up")
	if n := metric(t, w.reg, "prometheus_tsdb_wal_corruptions_total"); n != 1 {
		t.Errorf("%v corruptions counted", n)
	}
	if log := w.log.String(); !strings.Contains(log, "level=WARN") || !strings.Contains(log, "repair") {
		t.Errorf("the log does not tell:\n%s", log)
	}
}

func TestStoreThatCannotBeReadIsMovedAside(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t.TempDir())
	dir := filepath.Join(cfg.Dir, storeDir)
	for _, wrong := range []string{"wal", "chunks_head", "wal"} { // a file where a directory should be
		if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o700), os.WriteFile(filepath.Join(dir, wrong), nil, 0o600)); err != nil {
			t.Fatal(err)
		}
		w := newWorld(t, cfg)
		w.waitFor("up")
		if !strings.Contains(w.log.String(), "level=ERROR") {
			t.Error("the log does not tell")
		}
		w.stop()
	}
	if n := len(asides(t, cfg)); n != keptAside {
		t.Errorf("%d directories aside", n)
	}
}

func asides(t *testing.T, cfg Config) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(cfg.Dir, aside+"*"))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// block writes a block of one series that ends at the given time.
func block(t *testing.T, cfg Config, series string, end time.Time) string {
	t.Helper()
	dir := filepath.Join(cfg.Dir, storeDir)
	w, err := tsdb.NewBlockWriter(slog.New(slog.DiscardHandler), dir, blockRange.Milliseconds())
	if err != nil {
		t.Fatal(err)
	}
	app := w.Appender(t.Context())
	for i := range int64(1000) {
		_, appErr := app.Append(0, labels.FromStrings("__name__", series), end.Add(-time.Hour).UnixMilli()+3000*i, float64(i*i))
		err = errors.Join(err, appErr)
	}
	err = errors.Join(err, app.Commit())
	id, flushErr := w.Flush(t.Context())
	if err := errors.Join(err, flushErr, w.Close()); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, id.String())
}

func TestDamagedBlockIsMovedAside(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t.TempDir())
	good := block(t, cfg, "good", time.Now().Add(-6*time.Hour))
	bad := block(t, cfg, "bad", time.Now().Add(-3*time.Hour))
	if err := os.WriteFile(filepath.Join(bad, "index"), []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, cfg)
	w.waitFor("up")
	w.waitFor("last_over_time(good[1d])")
	if got := w.values("last_over_time(bad[1d])"); len(got) > 0 {
		t.Errorf("the damaged block answers %v", got)
	}
	if found := asides(t, cfg); len(found) != 1 || !strings.HasSuffix(found[0], filepath.Base(bad)) {
		t.Errorf("aside: %v", found)
	}
	if _, err := os.Stat(good); err != nil {
		t.Error(err)
	}
}

func TestStoreFromTheFutureIsMovedAside(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t.TempDir())
	appendAt(t, cfg, time.Now().Add(3*time.Hour))
	w := newWorld(t, cfg)
	w.waitFor("up") // the sample would keep all current ones out
	if len(asides(t, cfg)) != 1 || !strings.Contains(w.log.String(), "from the future") {
		t.Errorf("aside: %v; log:\n%s", asides(t, cfg), w.log)
	}
}

// appendAt puts one sample in the closed store.
func appendAt(t *testing.T, cfg Config, at time.Time) {
	t.Helper()
	db, err := tsdb.Open(filepath.Join(cfg.Dir, storeDir), nil, nil, cfg.storeOptions(), nil)
	if err != nil {
		t.Fatal(err)
	}
	app := db.Appender(context.Background())
	_, err = app.Append(0, labels.FromStrings("__name__", "early"), at.UnixMilli(), 1)
	if err := errors.Join(err, app.Commit(), db.Close()); err != nil {
		t.Fatal(err)
	}
}

// TestClockSetBack finds, while it runs, that its samples are from the future.
func TestClockSetBack(t *testing.T) {
	t.Parallel()
	var back atomic.Bool
	cfg := testConfig(t.TempDir())
	w := &world{t: t, reg: prometheus.NewRegistry(), log: &logBuffer{}}
	deps := w.deps()
	deps.Now = func() time.Time {
		if back.Load() {
			return time.Now().Add(-time.Hour)
		}
		return time.Now()
	}
	e, err := New(cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	w.Evaluator, e.check = e, 50*time.Millisecond
	if err := e.Start("127.0.0.1:1"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.stop)
	w.waitFor("up")
	back.Store(true)
	eventually(t, "restart", func() error {
		if testutil.ToFloat64(e.metrics.restarts) == 0 {
			return errors.New("none counted")
		}
		return nil
	})
	back.Store(false)
	w.waitFor("up")
}

func TestRetention(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t.TempDir())
	now := time.Now()
	old := block(t, cfg, "old", now.Add(-16*24*time.Hour))
	first := block(t, cfg, "first", now.Add(-9*time.Hour))
	second := block(t, cfg, "second", now.Add(-6*time.Hour))
	for _, step := range []struct {
		maxBytes   int64
		gone, kept string
	}{{64 << 20, old, first}, {1, first, ""}} {
		cfg.MaxBytes = step.maxBytes
		reg := prometheus.NewRegistry()
		db, err := openStore(&cfg, reg, slog.New(slog.DiscardHandler), time.Now)
		if err != nil {
			t.Fatal(err)
		}
		if n := metric(t, reg, "prometheus_tsdb_retention_limit_bytes"); n != float64(step.maxBytes) {
			t.Errorf("limit of %v bytes, want %v", n, step.maxBytes)
		}
		if n := metric(t, reg, "prometheus_tsdb_retention_limit_seconds"); n != (15 * 24 * time.Hour).Seconds() {
			t.Errorf("limit of %v seconds", n)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(step.gone); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("with %d bytes the oldest block is still there: %v", step.maxBytes, err)
		}
		if step.kept != "" {
			for _, dir := range []string{step.kept, second} {
				if _, err := os.Stat(dir); err != nil {
					t.Error(err)
				}
			}
		}
	}
}

// metric is the sum of a metric's values.
func metric(t *testing.T, g prometheus.Gatherer, name string) float64 {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			sum := 0.0
			for _, m := range f.GetMetric() {
				sum += m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
			return sum
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

func TestAFullDiskIsWaitedFor(t *testing.T) {
	t.Parallel()
	for _, err := range []error{
		&os.PathError{Op: "open", Path: "/x/01ARZ3NDEKTSV4RRFFQ69G5FAV", Err: syscall.ENOSPC},
		fmt.Errorf("opening: %w", &os.PathError{Err: syscall.EROFS}),
	} {
		if !passing(err) {
			t.Errorf("%v would move the store aside", err)
		}
	}
	if passing(errors.New("corrupted")) {
		t.Error("damage would be waited for")
	}
}
