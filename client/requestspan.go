package client

import (
	"net/http"
	"strings"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// noPort behind a server's name keeps otelhttp from taking the port from the Host header.
const noPort = ":0"

// cutShort counts the requests whose answer ends in a panic. The panic goes on through otelhttp,
// which records nothing then.
type cutShort struct {
	seconds metric.Float64Histogram
	server  string
}

// newCutShort makes the instrument of otelhttp itself: same scope, same name, so the same series.
func newCutShort(p metric.MeterProvider, server string) cutShort {
	seconds, err := p.Meter(otelhttp.ScopeName, metric.WithInstrumentationVersion(otelhttp.Version)).
		Float64Histogram("http.server.request.duration", metric.WithUnit("s"),
			metric.WithDescription("Duration of HTTP server requests."))
	if err != nil {
		otel.Handle(err)
	}
	return cutShort{seconds, server}
}

// count records a request with the attributes that otelhttp would give it.
func (c cutShort) count(r *http.Request, took time.Duration) {
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	attrs := []attribute.KeyValue{
		semconv.HTTPRequestMethodKey.String(knownMethod(r.Method, "_OTHER")),
		semconv.URLScheme(scheme), semconv.ServerAddress(c.server),
		semconv.HTTPResponseStatusCode(http.StatusInternalServerError), semconv.ErrorTypeKey.String("500"),
	}
	if name, version, ok := strings.Cut(r.Proto, "/"); ok {
		attrs = append(attrs, semconv.NetworkProtocolName(strings.ToLower(name)), semconv.NetworkProtocolVersion(version))
	}
	if route := routeOf(r); route != "" {
		attrs = append(attrs, semconv.HTTPRoute(route))
	}
	c.seconds.Record(r.Context(), took.Seconds(), metric.WithAttributes(attrs...))
}

// describe gives the span of a request its route, and of one that was cut short what otelhttp gives
// only to those served to the end.
func describe(span trace.Span, r *http.Request, whole bool) {
	if !span.IsRecording() {
		return
	}
	route := routeOf(r)
	if route != "" {
		span.SetAttributes(semconv.HTTPRoute(route))
	}
	if whole {
		return
	}
	if route != "" {
		span.SetName(knownMethod(r.Method, "HTTP") + " " + route)
	}
	span.SetStatus(codes.Error, "")
	span.SetAttributes(semconv.ErrorTypeKey.String("500"))
}

// routeOf is the path in the pattern that the router left.
func routeOf(r *http.Request) string {
	if i := strings.IndexByte(r.Pattern, '/'); i >= 0 {
		return r.Pattern[i:]
	}
	return ""
}

// knownMethod is a method that has a name, so that callers choose no labels.
func knownMethod(method, other string) string {
	switch m := strings.ToUpper(method); m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
		http.MethodDelete, http.MethodOptions, http.MethodConnect, http.MethodTrace:
		return m
	default:
		return other
	}
}
