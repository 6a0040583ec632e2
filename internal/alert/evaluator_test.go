package alert

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/tidemark-obs/tidemark/internal/leaktest"
)

// TestAStopRightAfterTheStartEndsAll stops while the scraper is being told of its targets, at any
// moment of that.
func TestAStopRightAfterTheStartEndsAll(t *testing.T) {
	defer leaktest.None(t, goleak.IgnoreCurrent())
	cfg := testConfig(t.TempDir(), writeRules(t, levelRules))
	for range 20 {
		w := newWorld(t, cfg)
		select {
		case <-time.After(time.Duration(rand.IntN(2_000)) * time.Microsecond):
		case <-t.Context().Done():
		}
		w.stop()
	}
}

func TestItWatchesTheService(t *testing.T) {
	t.Parallel()
	w := newWorld(t, testConfig(t.TempDir(), writeRules(t, levelRules)))
	native := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "native_seconds", Buckets: []float64{1}, NativeHistogramBucketFactor: 1.1,
	})
	counter := prometheus.NewCounter(prometheus.CounterOpts{Name: "things_total"})
	w.reg.MustRegister(native, counter)
	native.Observe(3)
	counter.(prometheus.ExemplarAdder).AddWithExemplar(7, prometheus.Labels{"trace_id": "abc"})
	w.level.Set(6)

	w.waitFor(`up{job="tidemark",instance="127.0.0.1:1"} == 1`)
	if n := w.waitFor(`histogram_count(native_seconds)`); n != "1" {
		t.Errorf("the native histogram has %s observations", n)
	}
	if n := w.waitFor(`native_seconds_bucket{le="+Inf"}`); n != "1" {
		t.Errorf("the classic histogram has %s observations", n)
	}
	// The counter was made at 0 and has been 7 ever since the first scrape: only its created
	// timestamp lets increase see that.
	if n := w.waitFor(`increase(things_total[1m]) > 6`); n == "" {
		t.Error("the counter's first increments were not seen")
	}
	w.waitFor(`level:double == 12`) // it may have been recorded when the level was 0
	eventually(t, "exemplar", func() error {
		_, answer := w.get("query_exemplars", "query", "things_total", "start", "0", "end", "9999999999")
		if !strings.Contains(fmt.Sprint(answer), "abc") {
			return fmt.Errorf("%v", answer)
		}
		return nil
	})
	eventually(t, "the alert", func() error {
		for _, a := range w.notified() {
			if a.Labels.Get("alertname") == "LevelHigh" && a.Annotations.Get("summary") == "level of 127.0.0.1:1 is 12" {
				return nil
			}
		}
		return errors.New("not notified")
	})
	w.level.Set(1)
	eventually(t, "its end", func() error {
		for _, a := range w.notified() {
			if !a.ResolvedAt.IsZero() {
				return nil
			}
		}
		return errors.New("not notified")
	})
}

func TestSeriesThatEndGoStale(t *testing.T) {
	t.Parallel()
	w := newWorld(t, testConfig(t.TempDir()))
	w.level.Set(1)
	w.waitFor("level")
	w.reg.Unregister(w.level)
	eventually(t, "the end of the series", func() error {
		if got := w.values("level"); len(got) > 0 {
			return fmt.Errorf("still %v", got) // a query looks back five minutes unless the series is marked stale
		}
		return nil
	})
}

func TestReload(t *testing.T) {
	t.Parallel()
	file := writeRules(t, levelRules)
	cfg := testConfig(t.TempDir(), file)
	w := newWorldAt(t, cfg, 6)
	w.waitFor(`ALERTS{alertstate="firing"}`)

	rewrite(t, file, strings.Replace(levelRules, "level * 2", "level *", 1))
	_, err := w.Prepare(cfg)
	if err == nil || !strings.Contains(err.Error(), file+":6: ") {
		t.Fatalf("a broken file: %v", err)
	}
	if v := w.waitFor(`level:double + 0 * time()`); v != "12" {
		t.Errorf("after the broken reload the rule gives %s", v)
	}

	rewrite(t, file, strings.Replace(levelRules, "level * 2", "level * 3", 1))
	apply, err := w.Prepare(cfg)
	if err != nil {
		t.Fatal(err)
	}
	apply()
	w.waitFor(`level:double == 18`)
	for _, a := range w.notified() {
		if !a.ResolvedAt.IsZero() {
			t.Error("the alert was resolved by the reload")
		}
	}
}

func TestNewRefusesWhatCannotBe(t *testing.T) {
	t.Parallel()
	w := &world{t: t, reg: prometheus.NewRegistry(), log: &logBuffer{}}
	job := Job{Name: "node", Targets: []string{"127.0.0.1:9100"}, SampleLimit: 1, BodySizeLimit: 1}
	with := func(f func(*Job)) func(*Config) {
		return func(c *Config) { j := job; f(&j); c.Scrape = []Job{j} }
	}
	for want, change := range map[string]func(*Config){
		"nowhere.yaml":               func(c *Config) { c.Rules = []string{"nowhere.yaml"} },
		"alerts.rules[0]":            func(c *Config) { c.Rules = []string{"["} },
		"alerts.query_url":           func(c *Config) { c.QueryURL = "prometheus:9090" },
		"alerts.external_url":        func(c *Config) { c.ExternalURL = "ftp://x" },
		"alerts.storage.max_bytes":   func(c *Config) { c.MaxBytes = 1 },
		"alerts.evaluation_interval": func(c *Config) { c.EvaluationInterval = 0 },
		"whole milliseconds":         func(c *Config) { c.ScrapeInterval = time.Microsecond },
		"wants a name":               with(func(j *Job) { j.Name = "tidemark" }),
		"sample_limit":               with(func(j *Job) { j.SampleLimit = 0 }),
		"above the interval":         with(func(j *Job) { j.Timeout = time.Minute }),
		"targets":                    with(func(j *Job) { j.Targets = nil }),
		"http or https":              with(func(j *Job) { j.Scheme = "ftp" }),
		"ca.pem":                     with(func(j *Job) { j.Scheme, j.CAFile = "https", "ca.pem" }),
		"found multiple":             func(c *Config) { c.Scrape = []Job{job, job} },
	} {
		cfg := testConfig(t.TempDir())
		change(&cfg)
		if _, err := New(cfg, w.deps()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q, got %v", want, err)
		}
	}
}

func TestStopBeforeStart(t *testing.T) {
	t.Parallel()
	w := &world{t: t, reg: prometheus.NewRegistry(), log: &logBuffer{}}
	e, err := New(testConfig(t.TempDir(), writeRules(t, levelRules)), w.deps())
	if err != nil {
		t.Fatal(err)
	}
	w.Evaluator = e
	if status, answer := w.get("query", "query", "up"); status != http.StatusServiceUnavailable || answer["errorType"] != "unavailable" {
		t.Errorf("before the start: %d %v", status, answer)
	}
	w.stop()
}

func TestPatternsThatMatchNothingAreSaid(t *testing.T) {
	t.Parallel()
	w := newWorld(t, testConfig(t.TempDir(), filepath.Join(t.TempDir(), "*.yaml")))
	if log := w.log.String(); !strings.Contains(log, "no file matches alerts.rules") {
		t.Errorf("the log does not say that there are no rules:\n%s", log)
	}
}
