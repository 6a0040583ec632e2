package telemetry

import (
	"net/http"
	"testing"

	"github.com/tidemark-obs/tidemark/internal/telemetry/otlp/otlptest"
)

// From the first export on, before any request, no metric goes out under both of its names.
func TestNoMetricIsPushedTwice(t *testing.T) {
	sink := otlptest.Start(t)
	t.Setenv("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", sink.Endpoint("http/protobuf")+"/v1/metrics")
	t.Setenv("OTEL_METRIC_EXPORT_INTERVAL", "20")
	tel, registry := newTelemetry(t)
	if _, err := tel.Middleware(http.NotFoundHandler(), []string{"GET /x"}); err != nil {
		t.Fatal(err)
	}
	if family(t, registry, requestFamily) == nil {
		t.Fatal("the series that are there before the first request are not")
	}
	sink.Wait(t, "an export", func() bool { return sink.Metrics()["tidemark_otlp_exported_total"] != nil })
	if sink.Metrics()[requestFamily] != nil {
		t.Error("the requests went out under Prometheus' name")
	}
}
