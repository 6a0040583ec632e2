// Package otlptest is an OpenTelemetry collector for tests: it takes OTLP over gRPC and HTTP on
// loopback and keeps what arrives.
package otlptest
