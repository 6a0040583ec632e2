package httpapi

import (
	"context"
	"log/slog"
	"net/http"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	otelprom "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/tidemark-obs/tidemark/internal/telemetry"
)

// BenchmarkMiddleware compares one request through everything around a handler (timing, tracing
// with 1 % sampled, request id, response time, panic guard, percentiles, access, log) with the same
// request through nothing but otelhttp and a mux, on providers that nobody has set up.
func BenchmarkMiddleware(b *testing.B) {
	for name, door := range map[string]func(testing.TB) http.Handler{"bare-otelhttp": bareDoor, "whole": wholeDoor} {
		b.Run(name, func(b *testing.B) {
			ask := asker(b, door(b))
			b.ReportAllocs()
			for b.Loop() {
				ask()
			}
		})
	}
}

// TestMiddlewareIsFrugal bounds what everything around a handler allocates beyond bare otelhttp.
func TestMiddlewareIsFrugal(t *testing.T) {
	bare := testing.AllocsPerRun(2000, asker(t, bareDoor(t)))
	whole := testing.AllocsPerRun(2000, asker(t, wholeDoor(t)))
	if whole > bare+10 {
		t.Errorf("%v allocations a request, bare otelhttp has %v", whole, bare)
	}
	t.Logf("%v allocations a request, bare otelhttp has %v", whole, bare)
}

func bareDoor(tb testing.TB) http.Handler {
	tb.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /-/healthy", func(w http.ResponseWriter, _ *http.Request) {
		_ = writeJSON(w, http.StatusOK, ProcessAnswer{Status: "healthy"})
	})
	exporter, err := otelprom.New(otelprom.WithRegisterer(prometheus.NewRegistry()))
	if err != nil {
		tb.Fatal(err)
	}
	return otelhttp.NewHandler(mux, "bare",
		otelhttp.WithMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(exporter))),
		otelhttp.WithTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.TraceIDRatioBased(0.01)))),
		otelhttp.WithPropagators(propagation.TraceContext{}))
}

func wholeDoor(tb testing.TB) http.Handler {
	tb.Helper()
	tel, err := telemetry.New(tb.Context(), telemetry.Config{Version: "test", Instance: "test",
		Registry: prometheus.NewRegistry(), Logger: slog.New(slog.DiscardHandler), Traces: telemetry.Traces{SampleRatio: 0.01}})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = tel.Shutdown(context.WithoutCancel(tb.Context())) })
	w := newWorld(tb, func(d *Deps) { d.ObserveOperation = tel.Operations().Observe })
	door, err := tel.Middleware(w.api, w.api.Routes())
	if err != nil {
		tb.Fatal(err)
	}
	return door
}

// asker asks whether the service is alive, without a connection.
func asker(tb testing.TB, h http.Handler) func() {
	tb.Helper()
	r, err := http.NewRequestWithContext(tb.Context(), http.MethodGet, "/-/healthy", nil)
	if err != nil {
		tb.Fatal(err)
	}
	r.RemoteAddr, r.Host = "127.0.0.1:40000", "127.0.0.1:8080"
	r.Header.Set("User-Agent", "bench/1")
	out := sink{http.Header{}}
	return func() {
		clear(out.header)
		h.ServeHTTP(out, r)
	}
}
