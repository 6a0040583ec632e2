package ingest

import (
	"context"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tidemark-obs/tidemark/internal/declared"
	"github.com/tidemark-obs/tidemark/internal/projection"
	"github.com/tidemark-obs/tidemark/internal/store"
)

// Projections say which metrics are made from stored events, and what that takes.
type Projections struct {
	Declared *declared.Set
	Totals   Totals // not needed where no metrics are declared
	Replica  string // the same after a restart, and another for each replica
}

// Totals is what projections need of the store.
type Totals interface {
	Projections(ctx context.Context, stream string) ([]projection.Series, error)
	Elect(ctx context.Context, office, holder string, ttl time.Duration) (store.Term, bool, error)
	Resign(ctx context.Context, office, holder string) error
}

const (
	// termLength is how long this process exports without asking the database whether it still may.
	termLength  = 15 * time.Second
	termRenewal = 3 * time.Second
)

// exporter exports the metrics of the stream that this process stores, while it holds the stream's
// office: two processes may both believe to store a stream, but only one of them exports it.
type exporter struct {
	Projections
	now    func() time.Time
	logger *slog.Logger
	descs  []*prometheus.Desc
	begun  chan struct{} // told when there is a stream to export

	mu     sync.Mutex
	stream string // empty = none
	series map[string]*exported
	term   string    // stream whose office this process holds; empty = none
	until  time.Time // end of the term
	alone  bool      // the term has no end
}

type exported struct {
	projection.Series
	metric prometheus.Metric // as it was exported last; nil after a change
}

// newExporter returns nil where no metrics are declared.
func newExporter(p Projections, now func() time.Time, logger *slog.Logger) *exporter {
	if len(p.Declared.Metrics()) == 0 {
		return nil
	}
	x := &exporter{Projections: p, now: now, logger: logger, begun: make(chan struct{}, 1)}
	metrics := p.Declared.Metrics()
	for i := range metrics {
		x.descs = append(x.descs, prometheus.NewDesc(metrics[i].Name, metrics[i].Help, p.Declared.Labels(&metrics[i]), nil))
	}
	return x
}

// begin reads a stream's totals and exports them from now on, once this process holds the office.
func (x *exporter) begin(ctx context.Context, stream string) error {
	if x == nil {
		return nil
	}
	all, err := x.Totals.Projections(ctx, stream)
	if err != nil {
		return err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.stream, x.series = stream, make(map[string]*exported, len(all))
	x.put(all)
	select {
	case x.begun <- struct{}{}:
	default: // told already, not yet heard
	}
	return nil
}

// update takes over the new totals of some series.
func (x *exporter) update(changed []projection.Series) {
	if x == nil || len(changed) == 0 {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.put(changed)
}

func (x *exporter) put(list []projection.Series) {
	for i := range list {
		key := strconv.Itoa(list[i].Metric) + "\x00" + strings.Join(list[i].Labels, "\x00")
		x.series[key] = &exported{Series: list[i]}
	}
}

// end stops exporting.
func (x *exporter) end() {
	if x == nil {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.stream, x.series = "", nil
}

// run holds the office of the stream that is exported, until ctx ends.
func (x *exporter) run(ctx context.Context) {
	if x == nil {
		return
	}
	tick := time.NewTicker(termRenewal)
	defer tick.Stop()
	held := "" // stream whose office this process may hold
	for {
		select {
		case <-ctx.Done():
			x.resign(context.WithoutCancel(ctx), held)
			return
		case <-x.begun:
		case <-tick.C:
		}
		x.mu.Lock()
		stream := x.stream
		x.mu.Unlock()
		if held != "" && held != stream {
			x.resign(ctx, held)
			held = ""
		}
		if stream != "" {
			held = stream
			x.elect(ctx, stream)
		}
	}
}

func office(stream string) string { return "projections " + stream }

// elect asks for the office. A term counts from before the question: by the database's clock it ends later.
func (x *exporter) elect(ctx context.Context, stream string) {
	ctx, cancel := context.WithTimeout(ctx, termLength)
	defer cancel()
	asked := x.now()
	term, ok, err := x.Totals.Elect(ctx, office(stream), x.Replica, termLength)
	if err != nil {
		x.logger.Debug("the office of a stream's metrics was not renewed", "cause", err)
		return // the term ends by itself
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.term = ""
	if ok {
		x.term, x.until, x.alone = stream, asked.Add(termLength), term.Alone
	}
}

// resign lets a successor begin at once.
func (x *exporter) resign(ctx context.Context, stream string) {
	x.mu.Lock()
	x.term = ""
	x.mu.Unlock()
	if stream == "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, termRenewal)
	defer cancel()
	if err := x.Totals.Resign(ctx, office(stream), x.Replica); err != nil {
		x.logger.Debug("the office of a stream's metrics was not given up and ends by itself", "cause", err)
	}
}

func (x *exporter) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range x.descs {
		ch <- d
	}
}

// Collect exports nothing while the totals are not known, or another process may export them.
func (x *exporter) Collect(ch chan<- prometheus.Metric) {
	for _, m := range x.collect() {
		ch <- m
	}
}

func (x *exporter) collect() []prometheus.Metric {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.term != x.stream || !x.alone && !x.now().Before(x.until) {
		return nil
	}
	list := make([]prometheus.Metric, 0, len(x.series))
	for _, s := range x.series {
		if s.metric == nil {
			s.metric = x.metric(&s.Series)
		}
		list = append(list, s.metric)
	}
	return list
}

func (x *exporter) metric(s *projection.Series) prometheus.Metric {
	m, desc := &x.Declared.Metrics()[s.Metric], x.descs[s.Metric]
	labels := slices.Clone(s.Labels)
	if m.Number < 0 {
		return prometheus.MustNewConstMetricWithCreatedTimestamp(desc, prometheus.CounterValue, float64(s.Count), s.Created, labels...)
	}
	upTo, below := make(map[float64]uint64, len(m.Buckets)), uint64(0)
	for i, bound := range m.Buckets {
		below += s.Buckets[i]
		upTo[bound] = below
	}
	return prometheus.MustNewConstHistogramWithCreatedTimestamp(desc, s.Count, s.Sum, upTo, s.Created, labels...)
}
