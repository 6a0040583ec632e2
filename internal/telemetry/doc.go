// Package telemetry is how the service is observed from outside: OpenTelemetry's providers, what
// their metrics look like in Prometheus, and the middleware that times requests.
//
//	request ─▶ Middleware (otelhttp) ─▶ http.server.* ─┐
//	rooms ───▶ instruments, observed at a scrape ──────┼─▶ views: allowed attributes, buckets
//	                                                   ▼
//	rooms ───▶ client_golang collectors ─────▶ one registry ─▶ MetricsHandler (/metrics)
//
// It promises: no label whose values a client can choose; the names of the semantic conventions;
// every request that was begun is counted once, whatever became of it; nothing global is touched.
package telemetry
