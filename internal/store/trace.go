package store

import (
	"context"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/tidemark-obs/tidemark/internal/errs"
)

// traced runs work in a span below the caller's where that one is recorded. What polls in the
// background has no caller and so no spans.
func (s *Store) traced(ctx context.Context, summary string, run func(context.Context) error) error {
	if !trace.SpanFromContext(ctx).IsRecording() {
		return run(ctx)
	}
	return s.span(ctx, summary, run)
}

// batch runs the transaction that stores n events in a span of its own trace: their requests have
// been answered long before.
func (s *Store) batch(ctx context.Context, n int, fn func(context.Context, session) error) error {
	return s.span(ctx, "BATCH INSERT events", func(ctx context.Context) error { return s.inTransaction(ctx, fn) },
		semconv.DBOperationBatchSize(n))
}

// span runs work in a span that says what is done and to which table, never with which values: not
// even in its error, of which it tells the kind only.
func (s *Store) span(ctx context.Context, summary string, run func(context.Context) error, more ...attribute.KeyValue) error {
	ctx, span := s.cfg.Tracer.Start(ctx, summary, trace.WithSpanKind(trace.SpanKindClient))
	defer span.End()
	err := run(ctx)
	if !span.IsRecording() {
		return err
	}
	operation, table := summary, ""
	if i := strings.LastIndexByte(summary, ' '); i >= 0 {
		operation, table = summary[:i], summary[i+1:]
		span.SetAttributes(semconv.DBCollectionName(table))
	}
	span.SetAttributes(semconv.DBOperationName(operation), semconv.DBQuerySummary(summary))
	span.SetAttributes(s.d.attributes()...)
	span.SetAttributes(more...)
	if kind := errs.KindOf(err); err != nil && kind != errs.NotFound && kind != errs.Conflict {
		span.SetAttributes(semconv.ErrorTypeKey.String(kind.String()))
		span.SetStatus(codes.Error, "")
	}
	return err
}
