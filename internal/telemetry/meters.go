package telemetry

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/attribute"
	otelprom "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// seriesPerMetric is how many attribute sets one instrument may have. What comes after is counted
// in one series more, with the label otel_metric_overflow.
const seriesPerMetric = 2000

// durations are the buckets in seconds. Objectives and thresholds are best set to one of them;
// the default threshold of slow requests is.
func durations() []float64 {
	return []float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30}
}

// newMeters makes the provider whose metrics are read by Prometheus through the registry, and by
// the other reader where there is one.
func newMeters(res *resource.Resource, registry prometheus.Registerer, reader sdkmetric.Reader) (*sdkmetric.MeterProvider, error) {
	exporter, err := otelprom.New(otelprom.WithRegisterer(registry), otelprom.WithoutScopeInfo())
	if err != nil {
		return nil, fmt.Errorf("making the exporter to Prometheus: %w", err)
	}
	options := []sdkmetric.Option{
		sdkmetric.WithResource(res), sdkmetric.WithReader(exporter),
		sdkmetric.WithCardinalityLimit(seriesPerMetric), sdkmetric.WithView(views()...),
	}
	if reader != nil {
		options = append(options, sdkmetric.WithReader(reader))
	}
	return sdkmetric.NewMeterProvider(options...), nil
}

// views say what becomes of the instruments of otelhttp. It takes server.address and server.port
// from the Host header, so that clients would choose labels: only listed attributes stay.
func views() []sdkmetric.View {
	sizes := []float64{1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20}
	return []sdkmetric.View{
		view(otelhttp.ScopeName, requestSeconds, sdkmetric.Stream{
			AttributeFilter: ofRequests, Aggregation: classic(durations())}),
		view(otelhttp.ScopeName, requestSeconds, sdkmetric.Stream{
			Name:            requestSeconds + ".native",
			Description:     "Duration of HTTP server requests, as a native histogram.",
			AttributeFilter: ofRequests, Aggregation: native()}),
		view(otelhttp.ScopeName, "http.server.request.body.size", sdkmetric.Stream{AttributeFilter: ofRoutes, Aggregation: classic(sizes)}),
		view(otelhttp.ScopeName, "http.server.response.body.size", sdkmetric.Stream{Aggregation: sdkmetric.AggregationDrop{}}),
		view(scope, "tidemark.operation.duration", sdkmetric.Stream{Aggregation: classic(durations())}),
	}
}

// ofRequests and ofRoutes are lists of allowed attributes. They are asked several times a request,
// for each attribute; a comparison takes a tenth of the time of a look-up in a map.
func ofRequests(a attribute.KeyValue) bool {
	switch a.Key {
	case semconv.HTTPRequestMethodKey, semconv.HTTPRouteKey, semconv.HTTPResponseStatusCodeKey, semconv.ErrorTypeKey:
		return true
	}
	return false
}

func ofRoutes(a attribute.KeyValue) bool { return a.Key == semconv.HTTPRouteKey }

func view(scope, name string, s sdkmetric.Stream) sdkmetric.View {
	s.ExemplarReservoirProviderSelector = bareExemplars
	return sdkmetric.NewView(sdkmetric.Instrument{Name: name, Scope: instrumentation.Scope{Name: scope}}, s)
}

func classic(bounds []float64) sdkmetric.Aggregation {
	return sdkmetric.AggregationExplicitBucketHistogram{Boundaries: bounds, NoMinMax: true}
}

// native has buckets 9 % wide, and room for times from a microsecond to a second or a millisecond
// to a quarter of an hour before it merges them.
func native() sdkmetric.Aggregation {
	return sdkmetric.AggregationBase2ExponentialHistogram{MaxSize: 160, MaxScale: 3, NoMinMax: true}
}
