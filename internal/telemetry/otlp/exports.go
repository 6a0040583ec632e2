package otlp

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/contrib/bridges/otelslog"
	prombridge "go.opentelemetry.io/contrib/bridges/prometheus"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploggrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// How long Close waits for a collector: one that answered, and one that is known not to.
const (
	closeTimeout     = 5 * time.Second
	closeTimeoutDown = time.Second
)

// The SDK's queues where the environment does not size them.
const defaultQueue = 2048

// Config is what Exports are made of. All fields are required.
type Config struct {
	Settings Settings
	Resource *resource.Resource
	Metrics  *Metrics
	// Gatherer has the metrics that are not OpenTelemetry's own; they go out beside those.
	Gatherer prometheus.Gatherer
	// Events says whether accepted events go out, where log records do.
	Events bool
	// Logger tells of collectors that go away. It must not lead back here.
	Logger *slog.Logger
}

// Exports are the ways to the collector.
type Exports struct {
	logger  *slog.Logger
	leash   leash
	watches []*watch
	ends    []func(context.Context) error

	spans  sdktrace.SpanProcessor
	reader sdkmetric.Reader
	logs   *sdklog.LoggerProvider
	events *Events
}

// New makes what the settings ask for. It connects when there is something to send. Close it.
func New(ctx context.Context, cfg Config) (*Exports, error) {
	e := &Exports{logger: cfg.Logger, leash: newLeash()}
	for _, step := range []struct {
		protocol string
		make     func(context.Context, Config) error
	}{{cfg.Settings.metrics, e.exportMetrics}, {cfg.Settings.traces, e.exportTraces}, {cfg.Settings.logs, e.exportLogs}} {
		if step.protocol == "" {
			continue
		}
		if err := step.make(ctx, cfg); err != nil {
			e.Close(ctx)
			return nil, fmt.Errorf("preparing OTLP export: %w", err)
		}
	}
	return e, nil
}

// SpanProcessor takes the spans that go out; nil when none do.
func (e *Exports) SpanProcessor() sdktrace.SpanProcessor { return e.spans }

// MetricReader reads the metrics that go out; nil when none do.
func (e *Exports) MetricReader() sdkmetric.Reader { return e.reader }

// Events takes the accepted events that go out; nil when none do.
func (e *Exports) Events() *Events { return e.events }

// LogHandler sends log lines from level up; nil when none go out.
func (e *Exports) LogHandler(level slog.Leveler) slog.Handler {
	if e.logs == nil {
		return nil
	}
	return leveled{otelslog.NewHandler(scope, otelslog.WithLoggerProvider(e.logs)), level}
}

// Close sends what waits, as far as ctx and a few seconds allow, and ends everything. What could
// not be sent is counted and told; it is no error of the service's stopping.
func (e *Exports) Close(ctx context.Context) {
	limit := closeTimeout
	for _, w := range e.watches {
		if w.down.Load() {
			limit = closeTimeoutDown
		}
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	errs := closing(ctx, e.ends)
	e.leash.stop()
	if len(errs) > 0 {
		e.logger.Warn("the collector did not take everything before the end", "cause", errs[0])
	}
}

func (e *Exports) watch(cfg Config, signal string) *watch {
	w := cfg.Metrics.watch(signal, cfg.Logger)
	e.watches = append(e.watches, w)
	return w
}

func (e *Exports) exportMetrics(ctx context.Context, cfg Config) error {
	exporter, err := newMetricExporter(ctx, cfg.Settings.metrics)
	if err != nil {
		return err
	}
	e.reader = sdkmetric.NewPeriodicReader(
		&metricExporter{exporter, sender{leash: e.leash, watch: e.watch(cfg, signalMetrics)}},
		sdkmetric.WithProducer(prombridge.NewMetricProducer(prombridge.WithGatherer(cfg.Gatherer))))
	e.ends = append(e.ends, e.reader.Shutdown)
	return nil
}

func (e *Exports) exportTraces(ctx context.Context, cfg Config) error {
	exporter, err := newSpanExporter(ctx, cfg.Settings.traces)
	if err != nil {
		return err
	}
	w := e.watch(cfg, signalTraces)
	g := newGate("OTEL_BSP_MAX_QUEUE_SIZE", w)
	e.spans = &spanGate{gate: g, SpanProcessor: sdktrace.NewBatchSpanProcessor(
		&spanExporter{exporter, sender{e.leash, w, g}}, sdktrace.WithMaxQueueSize(g.limit))}
	e.ends = append(e.ends, e.spans.Shutdown)
	return nil
}

func (e *Exports) exportLogs(ctx context.Context, cfg Config) error {
	exporter, err := newLogExporter(ctx, cfg.Settings.logs)
	if err != nil {
		return err
	}
	w := e.watch(cfg, signalLogs)
	g := newGate("OTEL_BLRP_MAX_QUEUE_SIZE", w)
	e.logs = sdklog.NewLoggerProvider(sdklog.WithResource(cfg.Resource), sdklog.WithProcessor(
		&logGate{gate: g, Processor: sdklog.NewBatchProcessor(
			&logExporter{exporter, sender{e.leash, w, g}}, sdklog.WithMaxQueueSize(g.limit))}))
	e.ends = append(e.ends, e.logs.Shutdown)
	if !cfg.Events {
		return nil
	}
	// A connection of their own: a flood of events must not hold up the log.
	if exporter, err = newLogExporter(ctx, cfg.Settings.logs); err != nil {
		return err
	}
	e.events = newEvents(exporter, cfg.Resource, e.leash, e.watch(cfg, signalEvents))
	e.ends = append(e.ends, e.events.close)
	return nil
}

func newGate(key string, w *watch) *gate {
	limit := number(key)
	if limit == 0 {
		limit = defaultQueue
	}
	return &gate{limit: limit, dropped: w.dropped}
}

func newMetricExporter(ctx context.Context, protocol string) (sdkmetric.Exporter, error) {
	if protocol == protocolGRPC {
		return otlpmetricgrpc.New(ctx)
	}
	return otlpmetrichttp.New(ctx)
}

func newSpanExporter(ctx context.Context, protocol string) (sdktrace.SpanExporter, error) {
	if protocol == protocolGRPC {
		return otlptracegrpc.New(ctx)
	}
	return otlptracehttp.New(ctx)
}

func newLogExporter(ctx context.Context, protocol string) (sdklog.Exporter, error) {
	if protocol == protocolGRPC {
		return otlploggrpc.New(ctx)
	}
	return otlploghttp.New(ctx)
}

// leveled keeps lines below a level, which may change, from a handler that has none.
type leveled struct {
	slog.Handler
	level slog.Leveler
}

func (h leveled) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= h.level.Level() && h.Handler.Enabled(ctx, l)
}

func (h leveled) WithAttrs(attrs []slog.Attr) slog.Handler {
	return leveled{h.Handler.WithAttrs(attrs), h.level}
}

func (h leveled) WithGroup(name string) slog.Handler {
	return leveled{h.Handler.WithGroup(name), h.level}
}
