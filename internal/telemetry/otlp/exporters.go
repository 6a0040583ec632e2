package otlp

import (
	"context"
	"sync"

	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// The exporters here stand between the SDK and those that send. They give the SDK no errors,
// which it would print: a failure has been counted and told by then.

// leash ends the exports that are still under way when Close may wait no longer.
type leash struct {
	ctx  context.Context
	stop context.CancelFunc
}

func newLeash() leash {
	ctx, stop := context.WithCancel(context.Background())
	return leash{ctx, stop}
}

// bind returns ctx, ended with the leash.
func (l leash) bind(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	unhook := context.AfterFunc(l.ctx, cancel)
	return ctx, func() { unhook(); cancel() }
}

// sender is what all exporters have.
type sender struct {
	leash leash
	watch *watch
	gate  *gate // nil where none stands before it
}

// send exports n spans, records or collections.
func (s *sender) send(ctx context.Context, n int, export func(context.Context) error) error {
	ctx, release := s.leash.bind(ctx)
	defer release()
	if s.gate != nil {
		defer s.gate.leave(n)
	}
	s.watch.done(ctx, n, export(ctx))
	return nil
}

type spanExporter struct {
	sdktrace.SpanExporter
	sender
}

func (e *spanExporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	return e.send(ctx, len(spans), func(ctx context.Context) error { return e.SpanExporter.ExportSpans(ctx, spans) })
}

// Shutdown is the last that the processor asks for.
func (e *spanExporter) Shutdown(ctx context.Context) error {
	e.gate.shut()
	return e.SpanExporter.Shutdown(ctx)
}

// spanGate stands before the batch processor.
type spanGate struct {
	sdktrace.SpanProcessor
	gate *gate
}

func (g *spanGate) OnEnd(s sdktrace.ReadOnlySpan) {
	if s.SpanContext().IsSampled() && g.gate.enter() {
		g.SpanProcessor.OnEnd(s)
	}
}

type logExporter struct {
	sdklog.Exporter
	sender
}

func (e *logExporter) Export(ctx context.Context, records []sdklog.Record) error {
	return e.send(ctx, len(records), func(ctx context.Context) error { return e.Exporter.Export(ctx, records) })
}

// Shutdown is the last that the processor asks for.
func (e *logExporter) Shutdown(ctx context.Context) error {
	e.gate.shut()
	return e.Exporter.Shutdown(ctx)
}

// logGate stands before the batch processor.
type logGate struct {
	sdklog.Processor
	gate *gate
}

func (g *logGate) OnEmit(ctx context.Context, r *sdklog.Record) error {
	if !g.gate.enter() {
		return nil
	}
	return g.Processor.OnEmit(ctx, r)
}

type metricExporter struct {
	sdkmetric.Exporter
	sender
}

func (e *metricExporter) Export(ctx context.Context, rm *metricdata.ResourceMetrics) error {
	return e.send(ctx, 1, func(ctx context.Context) error { return e.Exporter.Export(ctx, rm) })
}

// closing runs several ends side by side, all within ctx.
func closing(ctx context.Context, ends []func(context.Context) error) []error {
	var (
		mu   sync.Mutex
		errs []error
		all  sync.WaitGroup
	)
	for _, end := range ends {
		all.Go(func() {
			if err := end(ctx); err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, err)
			}
		})
	}
	all.Wait()
	return errs
}
