// Package otlp sends metrics, traces, the service's log and accepted events to an OpenTelemetry
// collector, as the standard OTEL_* variables say. It is off until an endpoint is set.
//
//	MeterProvider ── periodic reader ──────────────┐
//	TracerProvider ─ gate ─ batch processor ───────┤
//	slog ─ bridge ── gate ─ batch processor ───────┼── watch ── exporter (gRPC or HTTP)
//	ingest ───────── queue ─ one goroutine ────────┘
//
// A collector that is down or hangs costs counters and one log line, and another when it is back:
// every queue is bounded, what finds it full is dropped and counted, nobody waits, and Close takes
// at most as long as it is given. What goes out goes out at most once.
package otlp
