package otlptest

import (
	"errors"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	logsv1 "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	metricsv1 "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	tracev1 "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	logpb "go.opentelemetry.io/proto/otlp/logs/v1"
	metricpb "go.opentelemetry.io/proto/otlp/metrics/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	_ "google.golang.org/grpc/encoding/gzip" // clients may compress
	"google.golang.org/grpc/status"

	"github.com/tidemark-obs/tidemark/internal/proctest"
)

// Sink is a running collector.
type Sink struct {
	grpc, http string

	mu      sync.Mutex
	refuse  bool
	headers map[string]string
	spans   []*tracepb.ResourceSpans
	logs    []*logpb.ResourceLogs
	metrics []*metricpb.ResourceMetrics
	changed chan struct{} // closed and replaced when something arrives
}

// Start runs a sink until the test ends.
func Start(tb testing.TB) *Sink {
	tb.Helper()
	s := &Sink{changed: make(chan struct{}), headers: map[string]string{}}
	forGRPC, forHTTP := listen(tb), listen(tb)
	s.grpc, s.http = forGRPC.Addr().String(), forHTTP.Addr().String()
	g := grpc.NewServer()
	tracev1.RegisterTraceServiceServer(g, traces{s: s})
	logsv1.RegisterLogsServiceServer(g, logs{s: s})
	metricsv1.RegisterMetricsServiceServer(g, metrics{s: s})
	var served sync.WaitGroup
	served.Go(func() {
		if err := g.Serve(forGRPC); err != nil && !errors.Is(err, grpc.ErrServerStopped) { // stopped before it began
			tb.Errorf("the sink's gRPC server: %v", err)
		}
	})

	h := &http.Server{Handler: s.handler(), ReadHeaderTimeout: 10 * time.Second}
	served.Go(func() {
		if err := h.Serve(forHTTP); !errors.Is(err, http.ErrServerClosed) {
			tb.Errorf("the sink's HTTP server: %v", err)
		}
	})
	tb.Cleanup(func() {
		g.Stop()
		if err := h.Close(); err != nil {
			tb.Error(err)
		}
		served.Wait()
	})
	return s
}

func listen(tb testing.TB) net.Listener {
	tb.Helper()
	l, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	return l
}

// Endpoint is the URL for a protocol: grpc or http/protobuf.
func (s *Sink) Endpoint(protocol string) string {
	if protocol == "grpc" {
		return "http://" + s.grpc
	}
	return "http://" + s.http
}

// Refuse makes the sink answer that it is unwell, until it is called with false.
func (s *Sink) Refuse(refuse bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse = refuse
}

// Header returns the last value of a request header that arrived, by its lower-case name.
func (s *Sink) Header(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.headers[name]
}

// Wait waits until ok says so, asking after each arrival, and fails the test after two minutes.
func (s *Sink) Wait(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	limit := time.NewTimer(2 * time.Minute)
	defer limit.Stop()
	for {
		s.mu.Lock()
		changed := s.changed
		s.mu.Unlock()
		if ok() {
			return
		}
		select {
		case <-changed:
		case <-limit.C:
			tb.Fatalf("the sink waited in vain for %s", what)
		}
	}
}

// Spans returns every span that arrived.
func (s *Sink) Spans() []*tracepb.Span {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []*tracepb.Span
	for _, r := range s.spans {
		for _, scope := range r.GetScopeSpans() {
			all = append(all, scope.GetSpans()...)
		}
	}
	return all
}

// Records returns every log record that arrived; those with an event name are events.
func (s *Sink) Records() []*logpb.LogRecord {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []*logpb.LogRecord
	for _, r := range s.logs {
		for _, scope := range r.GetScopeLogs() {
			all = append(all, scope.GetLogRecords()...)
		}
	}
	return all
}

// Events returns the log records with an event name.
func (s *Sink) Events() []*logpb.LogRecord {
	var events []*logpb.LogRecord
	for _, r := range s.Records() {
		if r.GetEventName() != "" {
			events = append(events, r)
		}
	}
	return events
}

// Metrics returns the newest state of every metric that arrived, by name: newest by its own time,
// since a collector sends several exports at once and again what was not answered.
func (s *Sink) Metrics() map[string]*metricpb.Metric {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[string]*metricpb.Metric{}
	for _, r := range s.metrics {
		for _, scope := range r.GetScopeMetrics() {
			for _, m := range scope.GetMetrics() {
				if taken(m) >= taken(all[m.GetName()]) {
					all[m.GetName()] = m
				}
			}
		}
	}
	return all
}

// taken is when a metric's points were taken, in nanoseconds; zero without a metric or points.
func taken(m *metricpb.Metric) (at uint64) {
	for _, p := range m.GetSum().GetDataPoints() {
		at = max(at, p.GetTimeUnixNano())
	}
	for _, p := range m.GetGauge().GetDataPoints() {
		at = max(at, p.GetTimeUnixNano())
	}
	for _, p := range m.GetHistogram().GetDataPoints() {
		at = max(at, p.GetTimeUnixNano())
	}
	for _, p := range m.GetExponentialHistogram().GetDataPoints() {
		at = max(at, p.GetTimeUnixNano())
	}
	return at
}

// Exports returns every export of metrics that arrived, oldest first.
func (s *Sink) Exports() []*metricpb.ResourceMetrics {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*metricpb.ResourceMetrics(nil), s.metrics...)
}

// take runs keep unless the sink refuses.
func (s *Sink) take(headers map[string]string, keep func()) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refuse {
		return status.Error(codes.InvalidArgument, "the sink refuses")
	}
	for k, v := range headers {
		s.headers[k] = v
	}
	keep()
	close(s.changed)
	s.changed = make(chan struct{})
	return nil
}

func (s *Sink) takeSpans(h map[string]string, r *tracev1.ExportTraceServiceRequest) error {
	return s.take(h, func() { s.spans = append(s.spans, r.GetResourceSpans()...) })
}

func (s *Sink) takeLogs(h map[string]string, r *logsv1.ExportLogsServiceRequest) error {
	return s.take(h, func() { s.logs = append(s.logs, r.GetResourceLogs()...) })
}

func (s *Sink) takeMetrics(h map[string]string, r *metricsv1.ExportMetricsServiceRequest) error {
	return s.take(h, func() { s.metrics = append(s.metrics, r.GetResourceMetrics()...) })
}

// Silent listens, takes connections and never answers, until the test ends. It returns its URL.
func Silent(tb testing.TB) string {
	tb.Helper()
	l := listen(tb)
	var served sync.WaitGroup
	var conns []net.Conn
	served.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return // closed
			}
			conns = append(conns, c)
		}
	})
	tb.Cleanup(func() {
		err := l.Close()
		served.Wait()
		for _, c := range conns {
			err = errors.Join(err, c.Close())
		}
		if err != nil {
			tb.Error(err)
		}
	})
	return "http://" + l.Addr().String()
}

// Nobody returns a URL at which nobody listens.
func Nobody(tb testing.TB) string {
	tb.Helper()
	return "http://" + proctest.FreeAddress(tb)
}
