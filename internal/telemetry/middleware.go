package telemetry

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// Middleware times requests and makes a span of each. next must leave the route it found in the
// request's Pattern, as METHOD path, and for a failure add error.type to otelhttp's labeler. The
// failures of routes are exported from the start. Call it once.
func (t *Telemetry) Middleware(next http.Handler, routes []string) (http.Handler, error) {
	if err := t.failures.expect(routes); err != nil {
		return nil, fmt.Errorf("making the series of failed requests: %w", err)
	}
	// The instrument of otelhttp itself: same scope, same name, so the same series.
	seconds, err := t.meters.Meter(otelhttp.ScopeName, metric.WithInstrumentationVersion(otelhttp.Version)).
		Float64Histogram(requestSeconds, metric.WithUnit("s"),
			metric.WithDescription(requestHelp))
	if err != nil {
		return nil, fmt.Errorf("making the histogram of requests: %w", err)
	}
	timed := func(options ...otelhttp.Option) http.Handler {
		return otelhttp.NewHandler(cutShort{next, seconds}, "tidemark", append(options,
			otelhttp.WithMeterProvider(t.meters), otelhttp.WithTracerProvider(t.tracers), otelhttp.WithPropagators(t.propagator))...)
	}
	plain := timed()
	if t.trust {
		return plain, nil
	}
	public := timed(otelhttp.WithPublicEndpointFn(func(*http.Request) bool { return true }))
	return byParent{fields: headerNames(t.propagator), without: plain, with: public}, nil
}

// byParent keeps from requests that name no parent what it costs to set one aside.
type byParent struct {
	fields        []string
	without, with http.Handler
}

func (b byParent) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for _, f := range b.fields {
		if len(r.Header[f]) > 0 {
			b.with.ServeHTTP(w, r)
			return
		}
	}
	b.without.ServeHTTP(w, r)
}

// headerNames are the headers that a propagator reads.
func headerNames(p propagation.TextMapPropagator) (names []string) {
	for _, f := range p.Fields() {
		names = append(names, http.CanonicalHeaderKey(f))
	}
	return names
}

// cutShort completes the span, and counts the requests whose answer ends in a panic, which is how a
// handler cuts a connection. The panic goes on through otelhttp, which records nothing then.
type cutShort struct {
	next    http.Handler
	seconds metric.Float64Histogram
}

func (c cutShort) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start, whole := time.Now(), false
	defer func() {
		describe(trace.SpanFromContext(r.Context()), r, whole)
		if whole {
			return
		}
		attrs := []attribute.KeyValue{
			semconv.HTTPRequestMethodKey.String(knownMethod(r.Method)),
			semconv.HTTPResponseStatusCode(http.StatusInternalServerError),
			semconv.ErrorTypeKey.String("500"),
		}
		if route := routeOf(r); route != "" {
			attrs = append(attrs, semconv.HTTPRoute(route))
		}
		c.seconds.Record(r.Context(), time.Since(start).Seconds(), metric.WithAttributes(attrs...))
	}()
	c.next.ServeHTTP(w, r)
	whole = true
}

// knownMethod is the method as otelhttp labels it.
func knownMethod(method string) string {
	switch m := strings.ToUpper(method); m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
		http.MethodDelete, http.MethodOptions, http.MethodConnect, http.MethodTrace:
		return m
	default:
		return "_OTHER"
	}
}
