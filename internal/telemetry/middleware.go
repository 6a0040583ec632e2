package telemetry

import (
	"fmt"
	"net/http"

	"github.com/tidemark-obs/tidemark/client"
)

// Middleware times requests and makes a span of each, as it does for everybody who uses the client.
// next must leave the route it found in the request's Pattern, as METHOD path, and for a failure add
// error.type to otelhttp's labeler. The failures of routes are exported from the start. Call it once.
func (t *Telemetry) Middleware(next http.Handler, routes []string) (http.Handler, error) {
	if err := t.failures.expect(routes); err != nil {
		return nil, fmt.Errorf("making the series of failed requests: %w", err)
	}
	var here *client.Client // none: the service need not send itself events
	measure := here.Middleware(client.MiddlewareConfig{
		MeterProvider: t.meters, TracerProvider: t.tracers, Propagator: t.propagator,
		ServerName: "tidemark", Public: !t.trust, Served: describe,
		Route:     func(r *http.Request) string { return r.Pattern }, // there is nobody else to ask
		NoHeaders: true,                                              // the API answers with more than a middleware knows, and has its own
	})
	return measure(next), nil
}
