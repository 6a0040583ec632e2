package telemetry

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// Operations is the histogram tidemark_operation_duration_seconds.
type Operations struct {
	seconds metric.Float64Histogram
	labels  sync.Map // operation → []metric.RecordOption, made once
}

func newOperations(meter metric.Meter) (*Operations, error) {
	h, err := meter.Float64Histogram("tidemark.operation.duration", metric.WithUnit("s"),
		metric.WithDescription("Time from a request's arrival to its answer, by operation: METHOD and route."))
	if err != nil {
		return nil, fmt.Errorf("making the histogram of operations: %w", err)
	}
	return &Operations{seconds: h}, nil
}

// Observe adds one operation that took d. Operations must come from a closed set.
func (o *Operations) Observe(ctx context.Context, operation string, d time.Duration) {
	labels, ok := o.labels.Load(operation)
	if !ok {
		set := attribute.NewSet(attribute.String("operation", operation))
		labels, _ = o.labels.LoadOrStore(operation, []metric.RecordOption{metric.WithAttributeSet(set)})
	}
	o.seconds.Record(ctx, max(d, 0).Seconds(), labels.([]metric.RecordOption)...)
}
