package telemetry

import (
	"fmt"
	"os"
	"strings"

	"go.opentelemetry.io/contrib/propagators/autoprop"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/tidemark-obs/tidemark/internal/telemetry/otlp"
)

// Traces say which requests are traced.
type Traces struct {
	// SampleRatio is the share of traces begun here that are recorded. OTEL_TRACES_SAMPLER
	// replaces it. A sampled request also gives exemplars, whether or not its spans are exported.
	SampleRatio float64
	// TrustParents continues the traces of callers, with their decision to sample. Otherwise each
	// request begins a trace of its own, linked to its caller's: who may call could make the
	// service record everything.
	TrustParents bool
}

// valueLength bounds the values of a span's attributes, some of which clients choose.
const valueLength = 1024

// newTracers makes the provider; spans go to the processor where there is one.
func newTracers(t Traces, res *resource.Resource, p sdktrace.SpanProcessor) *sdktrace.TracerProvider {
	limits := sdktrace.NewSpanLimits() // as the environment says
	if limits.AttributeValueLengthLimit == sdktrace.DefaultAttributeValueLengthLimit {
		limits.AttributeValueLengthLimit = valueLength
	}
	options := []sdktrace.TracerProviderOption{sdktrace.WithResource(res), sdktrace.WithRawSpanLimits(limits)}
	switch {
	case otlp.Disabled():
		options = append(options, sdktrace.WithSampler(sdktrace.NeverSample()))
	case os.Getenv("OTEL_TRACES_SAMPLER") == "": // else the SDK reads it
		options = append(options, sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(t.SampleRatio))))
	}
	if p != nil {
		options = append(options, sdktrace.WithSpanProcessor(p))
	}
	return sdktrace.NewTracerProvider(options...)
}

// newPropagator reads OTEL_PROPAGATORS; unset, it is W3C trace context and baggage.
func newPropagator() (propagation.TextMapPropagator, error) {
	names := os.Getenv("OTEL_PROPAGATORS")
	if names == "" {
		names = "tracecontext,baggage"
	}
	p, err := autoprop.TextMapPropagator(strings.Split(names, ",")...)
	if err != nil {
		return nil, fmt.Errorf("the environment's OTEL_PROPAGATORS: %w", err)
	}
	return p, nil
}
