package telemetry

import (
	"net"
	"net/http"
	"strings"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/tidemark-obs/tidemark/internal/event"
)

// describe takes out of a request's span what tells persons apart: addresses are cut as those of
// events are, what X-Forwarded-For claims does not count, and a path with an id in it becomes its
// route.
func describe(r *http.Request, _ bool) {
	span := trace.SpanFromContext(r.Context())
	if !span.IsRecording() {
		return
	}
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		address := event.TruncateIP(host)
		span.SetAttributes(semconv.NetworkPeerAddress(address), semconv.ClientAddress(address))
	}
	if i := strings.IndexByte(r.Pattern, '/'); i >= 0 && strings.Contains(r.Pattern, "{") {
		span.SetAttributes(semconv.URLPath(r.Pattern[i:]))
	}
}
