package otlp

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// The values of the label signal.
const (
	signalMetrics = "metrics"
	signalTraces  = "traces"
	signalLogs    = "logs"
	signalEvents  = "events"
)

// Metrics count what went out and what did not.
type Metrics struct {
	exported, failures, dropped *prometheus.CounterVec
}

// NewMetrics registers the counters, every series from the start.
func NewMetrics(r prometheus.Registerer) *Metrics {
	counter := func(name, help string, signals ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{"signal"})
		for _, s := range signals {
			c.WithLabelValues(s)
		}
		r.MustRegister(c)
		return c
	}
	return &Metrics{
		exported: counter("tidemark_otlp_exported_total",
			"Spans, log records and events that a collector took over OTLP.", signalTraces, signalLogs, signalEvents),
		failures: counter("tidemark_otlp_export_failures_total",
			"OTLP exports that failed after all tries.", signalMetrics, signalTraces, signalLogs, signalEvents),
		dropped: counter("tidemark_otlp_dropped_total",
			"Spans, log records and events given up: the queue was full or their export failed.", signalTraces, signalLogs, signalEvents),
	}
}

// watch counts the exports of one signal and tells when a collector goes away and comes back.
type watch struct {
	exported, dropped prometheus.Counter // nil for metrics, which are not lost: the next export has them
	failures          prometheus.Counter
	logger            *slog.Logger
	down              atomic.Bool
}

func (m *Metrics) watch(signal string, logger *slog.Logger) *watch {
	w := &watch{failures: m.failures.WithLabelValues(signal), logger: logger.With("signal", signal)}
	if signal != signalMetrics {
		w.exported, w.dropped = m.exported.WithLabelValues(signal), m.dropped.WithLabelValues(signal)
	}
	return w
}

// done notes the outcome of one export of n items. One that was cut off because the service ends
// says nothing about the collector.
func (w *watch) done(ctx context.Context, n int, err error) {
	if err == nil {
		if w.exported != nil {
			w.exported.Add(float64(n))
		}
		if w.down.Swap(false) {
			w.logger.Info("the collector takes OTLP again")
		}
		return
	}
	if w.dropped != nil {
		w.dropped.Add(float64(n))
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return
	}
	w.failures.Inc()
	if !w.down.Swap(true) {
		w.logger.Warn("the collector does not take OTLP; what cannot be sent is dropped and counted until it does", "cause", cut(err.Error()))
	}
}

// gate lets no more items in than the queue behind it holds, so that none is lost there unseen.
type gate struct {
	dropped prometheus.Counter

	mu            sync.Mutex
	limit, inside int
}

func (g *gate) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.inside >= g.limit {
		g.dropped.Inc()
		return false
	}
	g.inside++
	return true
}

func (g *gate) leave(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inside = max(0, g.inside-n) // those inside when it was shut are out already
}

// shut lets nothing in any more. It counts what is still inside: a processor that is out of time
// forgets its queue.
func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.dropped.Add(float64(g.inside))
	g.limit, g.inside = 0, 0
}

// cut bounds what a collector may write into the log.
func cut(text string) string {
	const most = 300
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}
