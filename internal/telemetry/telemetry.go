package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/log"
	lognoop "go.opentelemetry.io/otel/log/noop"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// Config is what the providers speak of and where their metrics go. All fields are required.
type Config struct {
	Version  string // of the service
	Instance string // tells this process from all others
	Registry *prometheus.Registry
	Logger   *slog.Logger
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
	loggers    log.LoggerProvider
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
	t := &Telemetry{
		logger: c.Logger, registry: c.Registry, resource: res, loggers: lognoop.NewLoggerProvider(),
		failures:   &failures{},
		propagator: propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{}),
	}
	if t.meters, err = newMeters(res, around{c.Registry, t.failures}); err != nil {
		return nil, err
	}
	t.stops = append(t.stops, t.meters.Shutdown)
	t.tracers = sdktrace.NewTracerProvider(sdktrace.WithResource(res))
	t.stops = append(t.stops, t.tracers.Shutdown)
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

// LoggerProvider takes log records.
func (t *Telemetry) LoggerProvider() log.LoggerProvider { return t.loggers }

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
