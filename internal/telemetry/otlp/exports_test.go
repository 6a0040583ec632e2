package otlp

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/telemetry/otlp/otlptest"
)

// station is everything around Exports.
type station struct {
	*Exports
	told     *lines
	registry *prometheus.Registry
	metrics  *Metrics
	tracer   *sdktrace.TracerProvider
}

// lines is a writer for log lines.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *lines) count(part string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.buf.String(), part)
}

// setup exports to an endpoint as the environment says, in quick succession.
func setup(t *testing.T, endpoint, protocol string) *station {
	t.Helper()
	for k, v := range map[string]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
		"OTEL_EXPORTER_OTLP_HEADERS": "x-tenant=blue", "OTEL_EXPORTER_OTLP_TIMEOUT": "60000",
		"OTEL_METRIC_EXPORT_INTERVAL": "100", "OTEL_BSP_SCHEDULE_DELAY": "10", "OTEL_BLRP_SCHEDULE_DELAY": "10",
	} {
		t.Setenv(k, v)
	}
	settings, err := FromEnv()
	if err != nil {
		t.Fatal(err)
	}
	s := &station{told: &lines{}, registry: prometheus.NewRegistry()}
	s.metrics = NewMetrics(s.registry)
	s.Exports, err = New(t.Context(), Config{
		Settings: settings, Resource: resource.NewSchemaless(semconv.ServiceName("here")), Metrics: s.metrics,
		Gatherer: s.registry, Events: true, Logger: slog.New(slog.NewTextHandler(s.told, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	// Both register with their provider, as in the service.
	s.tracer = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(s.SpanProcessor()), sdktrace.WithSampler(sdktrace.AlwaysSample()))
	sdkmetric.NewMeterProvider(sdkmetric.WithReader(s.MetricReader()))
	return s
}

func (s *station) span(name string) {
	_, span := s.tracer.Tracer("test").Start(context.Background(), name)
	span.End()
}

func (s *station) event(name string) {
	s.Events().Offer(context.Background(), &event.Event{ID: name + "-id", Name: name, Type: event.Custom, Severity: event.Low})
}

func (s *station) counted(c *prometheus.CounterVec, signal string) float64 {
	return testutil.ToFloat64(c.WithLabelValues(signal))
}

func TestEverythingArrives(t *testing.T) {
	for _, protocol := range []string{protocolGRPC, protocolHTTP} {
		t.Run(protocol, func(t *testing.T) {
			sink := otlptest.Start(t)
			s := setup(t, sink.Endpoint(protocol), protocol)
			const n = 1500 // more than one batch
			for range n {
				s.span("work")
				s.event("signup")
			}
			logger := slog.New(s.LogHandler(slog.LevelInfo)).With("component", "test")
			logger.Info("hello", "answer", 42)
			logger.Debug("below the level")
			sink.Wait(t, "the service's own counters", func() bool { return sink.Metrics()["tidemark_otlp_exported_total"] != nil })
			// Close would send them too, but waits for seconds only.
			sink.Wait(t, "everything", func() bool { return len(sink.Spans()) >= n && len(sink.Records()) > n })
			s.Close(t.Context())

			if got := len(sink.Spans()); got != n {
				t.Errorf("%d spans arrived, want %d", got, n)
			}
			if got := len(sink.Events()); got != n {
				t.Errorf("%d events arrived, want %d", got, n)
			}
			if got := len(sink.Records()) - len(sink.Events()); got != 1 {
				t.Errorf("%d log lines arrived, want 1", got)
			}
			for signal, want := range map[string]float64{signalTraces: n, signalEvents: n, signalLogs: 1} {
				if got := s.counted(s.metrics.exported, signal); got != want {
					t.Errorf("%v %s counted as exported, want %v", got, signal, want)
				}
				if got := s.counted(s.metrics.dropped, signal); got != 0 {
					t.Errorf("%v %s counted as dropped", got, signal)
				}
			}
			if got := sink.Header("x-tenant"); got != "blue" {
				t.Errorf("the header of the environment arrived as %q", got)
			}
			if text := s.told.buf.String(); text != "" {
				t.Errorf("a collector that is well was worth a log line: %s", text)
			}
		})
	}
}

// A collector that refuses, for ever or for a while, costs a counter and one line each way.
func TestCollectorUnwell(t *testing.T) {
	sink := otlptest.Start(t)
	s := setup(t, sink.Endpoint(protocolGRPC), protocolGRPC)
	sink.Refuse(true)
	for i := range 3 {
		s.event("lost")
		until(t, "a failure to be counted", func() bool { return s.counted(s.metrics.failures, signalEvents) > float64(i) })
	}
	sink.Refuse(false)
	s.event("kept")
	sink.Wait(t, "an event", func() bool { return len(sink.Events()) > 0 })
	until(t, "the recovery to be told", func() bool { return s.told.count("takes OTLP again\" signal=events") == 1 })
	s.Close(t.Context())

	if got := s.told.count(`level=WARN`); got != s.told.count("the collector does not take OTLP") || s.told.count("signal=events cause") != 1 {
		t.Errorf("want one warning about events:\n%s", s.told.buf.String())
	}
	if got := s.counted(s.metrics.dropped, signalEvents); got != 3 {
		t.Errorf("%v events counted as dropped, want 3", got)
	}
	if got := sink.Events(); len(got) != 1 || got[0].GetEventName() != "kept" {
		t.Errorf("%d events arrived, want the one after the recovery", len(got))
	}
}

// A collector that takes connections and never answers holds nobody up: what finds a queue full is
// dropped at once, and closing takes no longer than it may.
func TestCollectorHangs(t *testing.T) {
	for _, protocol := range []string{protocolGRPC, protocolHTTP} {
		t.Run(protocol, func(t *testing.T) {
			t.Setenv("OTEL_BSP_MAX_QUEUE_SIZE", "20")
			t.Setenv("OTEL_BLRP_MAX_QUEUE_SIZE", "20")
			// Some wait in the queues while an export hangs; they must be counted as well.
			t.Setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "5")
			t.Setenv("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", "5")
			s := setup(t, otlptest.Silent(t), protocol)
			const n = 2 * eventsMost
			logger := slog.New(s.LogHandler(slog.LevelInfo))
			began := time.Now()
			for range n {
				s.span("work")
				s.event("signup")
				logger.Info("line")
			}
			for _, signal := range []string{signalTraces, signalLogs, signalEvents} {
				if s.counted(s.metrics.dropped, signal) == 0 {
					t.Errorf("no %s were dropped although the collector hangs", signal)
				}
			}
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			s.Close(ctx)
			if took := time.Since(began); took > time.Minute {
				t.Errorf("offering and closing took %v beside a collector that hangs", took)
			}
			until(t, "everything to be counted as dropped", func() bool {
				for _, signal := range []string{signalTraces, signalLogs, signalEvents} {
					if s.counted(s.metrics.dropped, signal) != n {
						return false
					}
				}
				return true
			})
		})
	}
}

func TestNobodyListens(t *testing.T) {
	s := setup(t, otlptest.Nobody(t), protocolHTTP)
	s.span("work")
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	s.Close(ctx)
	until(t, "the span to be counted as dropped", func() bool { return s.counted(s.metrics.dropped, signalTraces) == 1 })
}

func TestOffMakesNothing(t *testing.T) {
	r := prometheus.NewRegistry()
	e, err := New(t.Context(), Config{Metrics: NewMetrics(r), Gatherer: r, Resource: resource.Empty(), Logger: slog.New(slog.DiscardHandler), Events: true})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close(t.Context())
	if e.SpanProcessor() != nil || e.MetricReader() != nil || e.LogHandler(slog.LevelInfo) != nil || e.Events() != nil {
		t.Error("something is exported although nothing is configured")
	}
}

// until polls a condition of this process.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(2 * time.Minute)
	for !ok() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// An export that ends after its queue was given up makes no room: nobody would send what came in.
func TestAShutGateStaysShut(t *testing.T) {
	g := &gate{limit: 2, dropped: prometheus.NewCounter(prometheus.CounterOpts{Name: "dropped"})}
	for n, want := range []bool{true, true, false} {
		if got := g.enter(); got != want {
			t.Fatalf("item %d is let in: %v", n+1, got)
		}
	}
	g.shut()
	g.leave(2)
	if g.enter() {
		t.Error("it lets something in")
	}
	if got := testutil.ToFloat64(g.dropped); got != 4 {
		t.Errorf("%v were dropped, want 4: one without room, two inside, one after the end", got)
	}
}
