// Package collectortest runs a real OpenTelemetry collector with the repository's
// otel-collector.yaml beside the real service, and counts what arrives behind it.
package collectortest
