package telemetry

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

// TestParentsAreLinkedUnlessTrusted sends requests with and without a caller's trace.
func TestParentsAreLinkedUnlessTrusted(t *testing.T) {
	const caller, header = "4bf92f3577b34da6a3ce929d0e0e4736", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	for _, c := range []struct {
		name              string
		trust             bool
		parent            string
		continues, linked bool
	}{
		{"a stranger's", false, header, false, true},
		{"a trusted one's", true, header, true, false},
		{"none", false, "", false, false},
		{"nonsense", false, "00-zz", false, false},
	} {
		tel, err := New(t.Context(), Config{Version: "1", Instance: "i", Registry: prometheus.NewRegistry(),
			Logger: slog.New(slog.NewTextHandler(io.Discard, nil)), Traces: Traces{SampleRatio: 1, TrustParents: c.trust}})
		if err != nil {
			t.Fatal(err)
		}
		spans := tracetest.NewSpanRecorder()
		tel.tracers.RegisterSpanProcessor(spans)
		door, err := tel.Middleware(http.NotFoundHandler(), nil)
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		if c.parent != "" {
			r.Header.Set("Traceparent", c.parent)
		}
		door.ServeHTTP(httptest.NewRecorder(), r)
		ended := spans.Ended()
		if len(ended) != 1 {
			t.Fatalf("%s: %d spans", c.name, len(ended))
		}
		if continues := ended[0].SpanContext().TraceID().String() == caller; continues != c.continues {
			t.Errorf("%s: continues is %v", c.name, continues)
		}
		if linked := len(ended[0].Links()) == 1 && ended[0].Links()[0].SpanContext.TraceID().String() == caller; linked != c.linked {
			t.Errorf("%s: links %v", c.name, ended[0].Links())
		}
		if err := tel.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	}
}
