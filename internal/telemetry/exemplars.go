package telemetry

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/exemplar"
)

// exemplarsKept is how many exemplars a native histogram keeps.
const exemplarsKept = 5

// bareExemplars keeps exemplars with nothing but their trace and span. The SDK would put the
// attributes that a view drops into them: clients choose some of those, and Prometheus loses an
// exemplar whose labels have more than 128 characters.
func bareExemplars(a sdkmetric.Aggregation) exemplar.ReservoirProvider {
	if h, ok := a.(sdkmetric.AggregationExplicitBucketHistogram); ok {
		return func(attribute.Set) exemplar.Reservoir {
			return bareBuckets{exemplar.NewHistogramReservoir(h.Boundaries)}
		}
	}
	return func(attribute.Set) exemplar.Reservoir {
		return bareFew{exemplar.NewFixedSizeReservoir(exemplarsKept)}
	}
}

// bareBuckets keeps one exemplar per bucket. Embedding the SDK's own type tells the SDK that no
// lock is needed around it.
type bareBuckets struct{ *exemplar.HistogramReservoir }

func (r bareBuckets) Offer(ctx context.Context, t time.Time, v exemplar.Value, _ []attribute.KeyValue) {
	r.HistogramReservoir.Offer(ctx, t, v, nil)
}

// bareFew keeps some exemplars.
type bareFew struct{ *exemplar.FixedSizeReservoir }

func (r bareFew) Offer(ctx context.Context, t time.Time, v exemplar.Value, _ []attribute.KeyValue) {
	r.FixedSizeReservoir.Offer(ctx, t, v, nil)
}
