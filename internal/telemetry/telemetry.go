package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/tidemark-obs/tidemark/internal/telemetry/otlp"
)

// Config is what the providers speak of and where what they measure goes.
type Config struct {
	Version  string               // of the service; required
	Instance string               // tells this process from all others; required
	Registry *prometheus.Registry // required
	Logger   *slog.Logger         // required; must not lead to LogHandler, which it tells about
	Traces   Traces
	Events   bool // accepted events go out over OTLP where log records do
}

// scope is the name under which the service's own instruments and spans are made.
const scope = "github.com/tidemark-obs/tidemark"

// Telemetry has the providers of one process. Shut it down after everything that uses them.
type Telemetry struct {
	logger     *slog.Logger
	registry   *prometheus.Registry
	resource   *resource.Resource
	meters     *sdkmetric.MeterProvider
	tracers    *sdktrace.TracerProvider
	trust      bool // the parents that callers name
	exports    *otlp.Exports
	propagator propagation.TextMapPropagator
	handler    http.Handler
	operations *Operations
	failures   *failures
	stops      []func(context.Context) error // in the order of New
}

// New makes the providers and puts their metrics into the registry.
func New(ctx context.Context, c Config) (*Telemetry, error) {
	if c.Version == "" || c.Instance == "" || c.Registry == nil || c.Logger == nil {
		return nil, errors.New("telemetry: a version, an instance, a registry and a logger are needed")
	}
	res, err := newResource(ctx, c)
	if err != nil {
		return nil, err
	}
	t := &Telemetry{logger: c.Logger, registry: c.Registry, resource: res, failures: &failures{},
		trust: c.Traces.TrustParents}
	if t.propagator, err = newPropagator(); err != nil {
		return nil, err
	}
	settings, err := otlp.FromEnv()
	if err != nil {
		return nil, err
	}
	own := prometheus.NewRegistry()
	t.exports, err = otlp.New(ctx, otlp.Config{
		Settings: settings, Resource: res, Metrics: otlp.NewMetrics(c.Registry), Events: c.Events,
		Gatherer: others{c.Registry, own}, Logger: c.Logger,
	})
	if err != nil {
		return nil, err
	}
	if t.meters, err = newMeters(res, around{twice{c.Registry, own}, t.failures}, t.exports.MetricReader()); err != nil {
		t.exports.Close(ctx)
		return nil, err
	}
	t.tracers = newTracers(c.Traces, res, t.exports.SpanProcessor())
	t.stops = append(t.stops, t.shutdownMeters, t.tracers.Shutdown,
		func(ctx context.Context) error { t.exports.Close(ctx); return nil }) // first: it bounds the time
	t.handler = newMetricsHandler(c.Registry, c.Logger)
	if t.operations, err = newOperations(t.Meter()); err != nil {
		return nil, errors.Join(err, t.Shutdown(ctx))
	}
	return t, nil
}

// newResource names this process. The standard environment variables have the last word.
func newResource(ctx context.Context, c Config) (*resource.Resource, error) {
	res, err := resource.New(ctx,
		resource.WithSchemaURL(semconv.SchemaURL),
		resource.WithAttributes(semconv.ServiceName("tidemark"), semconv.ServiceVersion(c.Version),
			semconv.ServiceInstanceID(c.Instance)),
		resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("naming this process for telemetry: %w", err)
	}
	return res, nil
}

// MeterProvider makes the instruments of libraries.
func (t *Telemetry) MeterProvider() metric.MeterProvider { return t.meters }

// Meter makes the instruments of the service's own rooms.
func (t *Telemetry) Meter() metric.Meter { return t.meters.Meter(scope) }

// TracerProvider makes their spans.
func (t *Telemetry) TracerProvider() trace.TracerProvider { return t.tracers }

// LogHandler sends log lines from level up to the collector; nil when none go there.
func (t *Telemetry) LogHandler(level slog.Leveler) slog.Handler { return t.exports.LogHandler(level) }

// Events takes the accepted events that go to the collector; nil when none do.
func (t *Telemetry) Events() *otlp.Events { return t.exports.Events() }

// Operations takes the timings of operations.
func (t *Telemetry) Operations() *Operations { return t.operations }

// Propagator reads and writes the trace context of requests.
func (t *Telemetry) Propagator() propagation.TextMapPropagator { return t.propagator }

// Shutdown sends what waits, as far as ctx allows, ends everything in reverse order and joins
// every error.
func (t *Telemetry) Shutdown(ctx context.Context) error {
	var all []error
	for i := len(t.stops) - 1; i >= 0; i-- {
		all = append(all, t.stops[i](ctx))
	}
	t.stops = nil
	return errors.Join(all...)
}

// shutdownMeters does not mind that the reader of the exports has ended before.
func (t *Telemetry) shutdownMeters(ctx context.Context) error {
	if err := t.meters.Shutdown(ctx); !errors.Is(err, sdkmetric.ErrReaderShutdown) {
		return err
	}
	return nil
}
