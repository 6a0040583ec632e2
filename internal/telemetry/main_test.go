package telemetry

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/tidemark-obs/tidemark/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// newTelemetry samples every trace.
func newTelemetry(t testing.TB) (*Telemetry, *prometheus.Registry) {
	t.Helper()
	return newSampling(t, 1)
}

func newSampling(t testing.TB, ratio float64) (*Telemetry, *prometheus.Registry) {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	tel, err := New(t.Context(), Config{Version: "1.2.3", Instance: "this-one", Registry: registry, Traces: Traces{SampleRatio: ratio},
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tel.Shutdown(t.Context()); err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
	})
	return tel, registry
}

// routed is a server that leaves its route in the request, as the middleware asks of it.
func routed(t testing.TB, tel *Telemetry, route string, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	door, err := tel.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Pattern = route
		h(w, r)
	}), []string{route})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(door)
	t.Cleanup(s.Close)
	return s
}

// family gathers one metric; nil when there is none.
func family(t testing.TB, registry prometheus.Gatherer, name string) *dto.MetricFamily {
	t.Helper()
	all, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		if f.GetName() == name {
			return f
		}
	}
	return nil
}

// happened leaves out the series at 0.
func happened(f *dto.MetricFamily) (all []*dto.Metric) {
	for _, m := range f.GetMetric() {
		if m.GetHistogram().GetSampleCount() > 0 {
			all = append(all, m)
		}
	}
	return all
}

func labels(m *dto.Metric) map[string]string {
	all := map[string]string{}
	for _, l := range m.GetLabel() {
		all[l.GetName()] = l.GetValue()
	}
	return all
}
