package journal

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/tidemark-obs/tidemark/internal/errs"
)

// What no convention names: how many requests and events were written in one message.
const (
	keyGroupEntries = "tidemark.journal.group.entries"
	keyGroupEvents  = "tidemark.journal.group.events"
	keySeq          = "tidemark.journal.seq"
)

// tracedAppend appends in a span below the caller's. The time in it is that of waiting for the
// group before, and of writing this one.
func (j *Journal) tracedAppend(ctx context.Context, e *Entry) (uint64, error) {
	ctx, span := j.cfg.Tracer.Start(ctx, "append "+subject, trace.WithSpanKind(trace.SpanKindProducer), trace.WithAttributes(
		semconv.MessagingSystemKey.String("nats"), semconv.MessagingDestinationName(subject),
		semconv.MessagingOperationName("append"), semconv.MessagingOperationTypeSend,
		semconv.MessagingBatchMessageCount(int(e.Counts.Accepted))))
	defer span.End()
	g, err := j.append(ctx, e)
	if err != nil {
		span.SetAttributes(semconv.ErrorTypeKey.String(errs.KindOf(err).String()))
		span.SetStatus(codes.Error, "")
		return 0, err
	}
	span.SetAttributes(attribute.Int(keyGroupEntries, g.entries),
		attribute.Int64(keyGroupEvents, int64(g.counts.Accepted)), attribute.Int64(keySeq, int64(g.seq)))
	return g.seq, nil
}
