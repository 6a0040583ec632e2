package alert

import (
	"context"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/storage"
)

// metrics are the evaluator's own; those of Prometheus' engine that are worth their series are
// let through by name beside them.
type metrics struct {
	storeUp  prometheus.Gauge
	restarts prometheus.Counter
	commits  prometheus.Counter
	queries  *prometheus.CounterVec
	refused  prometheus.Counter
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		storeUp: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "tidemark_metric_store_up",
			Help: "1 while the built-in metric store is open and rules are evaluated, 0 while it cannot be opened.",
		}),
		restarts: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tidemark_metric_store_restarts_total",
			Help: "Times the built-in metric store was closed and opened again because the clock was set back.",
		}),
		commits: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tidemark_metric_store_commit_failures_total",
			Help: "Scrapes and rule evaluations whose samples could not be written to the built-in metric store.",
		}),
		queries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tidemark_alerts_remote_queries_total",
			Help: "Queries of rules to the server at alerts.query_url, by result: success or error.",
		}, []string{"result"}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tidemark_metric_queries_refused_total",
			Help: "Requests to the Prometheus HTTP API that were refused because too many were under way.",
		}),
	}
	m.queries.WithLabelValues("success")
	m.queries.WithLabelValues("error")
	for _, c := range []prometheus.Collector{m.storeUp, m.restarts, m.commits, m.queries, m.refused} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// shown are the metrics of Prometheus' engine that appear among the service's own.
func shown(name string) bool {
	switch name {
	case "prometheus_rule_evaluations_total", "prometheus_rule_evaluation_failures_total",
		"prometheus_rule_group_iterations_total", "prometheus_rule_group_iterations_missed_total",
		"prometheus_rule_group_last_duration_seconds", "prometheus_rule_group_last_evaluation_timestamp_seconds",
		"prometheus_rule_group_interval_seconds", "prometheus_rule_group_rules",
		"prometheus_tsdb_head_series", "prometheus_tsdb_head_samples_appended_total",
		"prometheus_tsdb_storage_blocks_bytes", "prometheus_tsdb_wal_storage_size_bytes",
		"prometheus_tsdb_retention_limit_bytes", "prometheus_tsdb_retention_limit_seconds",
		"prometheus_tsdb_size_retentions_total", "prometheus_tsdb_time_retentions_total",
		"prometheus_tsdb_wal_corruptions_total", "prometheus_tsdb_compactions_failed_total",
		"prometheus_tsdb_out_of_bound_samples_total", "prometheus_tsdb_out_of_order_samples_total",
		"prometheus_target_scrapes_exceeded_sample_limit_total", "prometheus_target_scrapes_exceeded_body_size_limit_total":
		return true
	default:
		return false
	}
}

// registrations registers what is to be shown, remembers it, and drops the rest.
type registrations struct {
	prometheus.Registerer
	done []prometheus.Collector
}

// Register registers a collector if it is to be shown.
func (r *registrations) Register(c prometheus.Collector) error {
	if !shown(nameOf(c)) {
		return nil
	}
	err := r.Registerer.Register(c)
	if err == nil {
		r.done = append(r.done, c)
	}
	// The engine counts samples from the first one on; an increase() would not see it.
	switch nameOf(c) {
	case "prometheus_tsdb_head_samples_appended_total",
		"prometheus_tsdb_out_of_bound_samples_total", "prometheus_tsdb_out_of_order_samples_total":
		if of, ok := c.(*prometheus.CounterVec); ok {
			of.WithLabelValues("float")
			of.WithLabelValues("histogram")
		}
	}
	return err
}

// MustRegister is Register for several, for libraries that take no error.
func (r *registrations) MustRegister(all ...prometheus.Collector) {
	for _, c := range all {
		if err := r.Register(c); err != nil {
			panic(err)
		}
	}
}

// undo removes everything that was registered.
func (r *registrations) undo() {
	for _, c := range r.done {
		r.Unregister(c)
	}
	r.done = nil
}

// nameOf is the name of a collector's first metric. A Desc tells its name only in its text.
func nameOf(c prometheus.Collector) string {
	descs := make(chan *prometheus.Desc)
	go func() { c.Describe(descs); close(descs) }()
	name := ""
	for d := range descs {
		if name == "" {
			_, rest, _ := strings.Cut(d.String(), `fqName: "`)
			name, _, _ = strings.Cut(rest, `"`)
		}
	}
	return name
}

// counted counts the transactions that the store does not take.
type counted struct {
	storage.Appendable
	storage.AppendableV2
	failed prometheus.Counter
}

// Appender is what rules write with.
func (c counted) Appender(ctx context.Context) storage.Appender {
	return countedAppender{c.Appendable.Appender(ctx), c.failed}
}

// AppenderV2 is what scrapes write with.
func (c counted) AppenderV2(ctx context.Context) storage.AppenderV2 {
	return countedAppenderV2{c.AppendableV2.AppenderV2(ctx), c.failed}
}

type countedAppender struct {
	storage.Appender
	failed prometheus.Counter
}

func (a countedAppender) Commit() error {
	err := a.Appender.Commit()
	if err != nil {
		a.failed.Inc()
	}
	return err
}

type countedAppenderV2 struct {
	storage.AppenderV2
	failed prometheus.Counter
}

func (a countedAppenderV2) Commit() error {
	err := a.AppenderV2.Commit()
	if err != nil {
		a.failed.Inc()
	}
	return err
}
