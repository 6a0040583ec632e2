package telemetry

import (
	"net"
	"net/http"
	"strings"

	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/tidemark-obs/tidemark/internal/event"
)

// describe completes the span of a request once it is served. It gives it the route, and takes out
// what tells persons apart: addresses are cut as those of events are, what X-Forwarded-For claims
// does not count, and a path with an id in it becomes its route.
func describe(span trace.Span, r *http.Request, whole bool) {
	if !span.IsRecording() {
		return
	}
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		address := event.TruncateIP(host)
		span.SetAttributes(semconv.NetworkPeerAddress(address), semconv.ClientAddress(address))
	}
	route := routeOf(r)
	if route != "" {
		span.SetAttributes(semconv.HTTPRoute(route))
		if strings.Contains(route, "{") {
			span.SetAttributes(semconv.URLPath(route))
		}
	}
	if whole {
		return
	}
	if route != "" { // otelhttp does it only for what was served to the end
		span.SetName(r.Pattern)
	}
	span.SetStatus(codes.Error, "")
	span.SetAttributes(semconv.ErrorTypeKey.String("500"))
}

// routeOf is the path in the pattern that the server left.
func routeOf(r *http.Request) string {
	if i := strings.IndexByte(r.Pattern, '/'); i >= 0 {
		return r.Pattern[i:]
	}
	return ""
}
