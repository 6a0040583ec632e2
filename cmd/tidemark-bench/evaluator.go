//go:build linux

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// What the evaluator is loaded with beside the shipped rules.
const (
	watchedSeries = 10_000
	watchedNames  = 100 // of metrics; as many rules look at them
)

// watching is what evaluating alert rules costs.
type watching struct {
	Without      int64         `json:"idle_without_evaluator_bytes"`
	Idle         int64         `json:"idle_with_evaluator_bytes"`
	Loaded       int64         `json:"with_series_bytes"`
	Series       int           `json:"series"`
	Shipped      time.Duration `json:"shipped_rules_ns"` // one evaluation of all, the median
	Rules        int           `json:"rules"`
	Own          time.Duration `json:"rules_ns"`               // one evaluation of all of those, the median
	Theirs       time.Duration `json:"rules_in_prometheus_ns"` // the same in Prometheus, on the same samples
	NoPrometheus string        `json:"prometheus_not_measured_because,omitempty"`
}

// watch measures the evaluator: a service without one, a service as it comes, and one that
// scrapes many series beside a Prometheus that scrapes and evaluates the same.
func (b *bench) watch(ctx context.Context, w *watching) (err error) {
	b.say("evaluator: a service without it")
	if w.Without, _, err = b.idleWith(ctx, "off", "alerts: {enabled: false}\n"); err != nil {
		return err
	}
	b.say("evaluator: a service as it comes, but that its rules are evaluated more often")
	if w.Idle, w.Shipped, err = b.idleWith(ctx, "on", "alerts: {evaluation_interval: 1s}\n"); err != nil {
		return err
	}
	return b.compare(ctx, w)
}

// idleWith starts a service, lets it settle, and reads its memory and how long its rules take.
func (b *bench) idleWith(ctx context.Context, name, config string) (resident int64, rules time.Duration, err error) {
	s, err := b.configured(ctx, name, config)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	if strings.Contains(config, "false") {
		err = s.pause(ctx, b.plan.Watch)
	} else {
		rules, _, err = b.race(ctx, s, nil)
	}
	if err != nil {
		return 0, 0, err
	}
	m, err := memoryOf(s.cmd.Process.Pid)
	return m.Resident, rules, err
}

func (b *bench) configured(ctx context.Context, name, config string) (*service, error) {
	dir := b.below("evaluator-" + name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "tidemark.yaml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return nil, err
	}
	return startService(ctx, b.binary, dir, "", "--config.file="+file)
}

// evaluation is how long the last evaluation of all groups took.
func (s *service) evaluation(ctx context.Context) (time.Duration, error) {
	var answer struct {
		Data struct {
			Groups []struct{ EvaluationTime float64 }
		}
	}
	if err := s.get(ctx, "/api/v1/rules", &answer); err != nil {
		return 0, err
	}
	sum := 0.0
	for _, g := range answer.Data.Groups {
		sum += g.EvaluationTime
	}
	if sum == 0 {
		return 0, errors.New("no rule was evaluated")
	}
	return time.Duration(sum * float64(time.Second)), nil
}

// compare lets the service and a Prometheus scrape one target and evaluate one rule file. Both do
// so at the same moments, which follow from the names of the target and the file: so neither has
// the processors more to itself than the other.
func (b *bench) compare(ctx context.Context, w *watching) (err error) {
	target := httptest.NewServer(manySeries())
	defer target.Close()
	address := strings.TrimPrefix(target.URL, "http://")
	rules := b.below("bench.rules.yaml")
	if err := os.WriteFile(rules, []byte(manyRules()), 0o600); err != nil {
		return err
	}
	b.say("evaluator: %d series, %d rules", watchedSeries, watchedNames)
	s, err := b.configured(ctx, "loaded", fmt.Sprintf(
		"alerts: {evaluation_interval: 1s, scrape_interval: 1s, rules: [%q], scrape: [{job: bench, targets: [%q], sample_limit: %d}]}\n",
		rules, address, 2*watchedSeries))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	p, err := b.startPrometheus(ctx, rules, address)
	if err != nil {
		w.NoPrometheus = err.Error()
	} else {
		defer func() { err = errors.Join(err, p.stop()) }()
	}
	if w.Own, w.Theirs, err = b.race(ctx, s, p); err != nil {
		return err
	}
	w.Series, w.Rules = watchedSeries, watchedNames
	m, err := memoryOf(s.cmd.Process.Pid)
	w.Loaded = m.Resident
	return err
}

// race lets the service evaluate, and Prometheus beside it when there is one. It reads once a
// second how long the last evaluation took; the first third warms up.
func (b *bench) race(ctx context.Context, s, p *service) (own, theirs time.Duration, err error) {
	var ours, others []time.Duration
	for begin := time.Now(); time.Since(begin) < b.plan.Watch; {
		if err := s.pause(ctx, time.Second); err != nil {
			return 0, 0, err
		}
		if time.Since(begin) < b.plan.Watch/3 {
			continue
		}
		d, err := s.evaluation(ctx)
		if err != nil {
			return 0, 0, err
		}
		ours = append(ours, d)
		if p == nil {
			continue
		}
		if d, err = p.evaluation(ctx); err != nil {
			return 0, 0, err
		}
		others = append(others, d)
	}
	return median(ours), median(others), nil
}

// median of nothing is 0.
func median[T cmp.Ordered](all []T) (m T) {
	if len(all) > 0 {
		m = slices.Sorted(slices.Values(all))[len(all)/2]
	}
	return m
}

// startPrometheus starts the real one, which make tools builds.
func (b *bench) startPrometheus(ctx context.Context, rules, target string) (*service, error) {
	if _, err := os.Stat(b.prometheus); err != nil {
		return nil, fmt.Errorf("%w; make tools builds it", err)
	}
	config := b.below("prometheus.yml")
	text := fmt.Sprintf("global: {scrape_interval: 1s, evaluation_interval: 1s}\nrule_files: [%q]\n"+
		"scrape_configs: [{job_name: bench, static_configs: [{targets: [%q]}]}]\n", rules, target)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	p, err := startProcess(exec.Command(b.prometheus, "--config.file="+config, "--web.listen-address="+addr,
		"--storage.tsdb.path="+b.below("prometheus")), b.below("prometheus.log"))
	if err != nil {
		return nil, err
	}
	s := &service{process: p, addr: addr, client: &http.Client{Timeout: 30 * time.Second}}
	if err := s.ready(ctx); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

// manySeries is a target whose values go up at every scrape.
func manySeries() http.Handler {
	var scrapes atomic.Int64
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n := scrapes.Add(1)
		var text strings.Builder
		for i := range watchedNames {
			fmt.Fprintf(&text, "# TYPE bench_%d_total counter\n", i)
			for j := range watchedSeries / watchedNames {
				fmt.Fprintf(&text, "bench_%d_total{part=\"%d\",region=\"%d\"} %d\n", i, j, j%5, n*int64(j+1))
			}
		}
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		_, _ = w.Write([]byte(text.String()))
	})
}

// manyRules look at each metric once: half of them record, half of them alert.
func manyRules() string {
	var text strings.Builder
	text.WriteString("groups:\n  - name: bench\n    rules:\n")
	for i := range watchedNames {
		if i%2 == 0 {
			fmt.Fprintf(&text, "      - {record: \"region:bench_%d:rate1m\", expr: \"sum by (region) (rate(bench_%d_total[1m]))\"}\n", i, i)
		} else {
			fmt.Fprintf(&text, "      - {alert: Bench%d, expr: \"max by (region) (rate(bench_%d_total[1m])) > 1e9\", for: 5s}\n", i, i)
		}
	}
	return text.String()
}
