package telemetry

import (
	"io"
	"maps"
	"net/http"
	"testing"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/attribute"
)

const requests = "http_server_request_duration_seconds"

func get(t testing.TB, client *http.Client, url, host string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = host
	res, err := client.Do(r)
	if err != nil {
		return // the answer was cut
	}
	_, _ = io.Copy(io.Discard, res.Body)
	_ = res.Body.Close()
}

func TestClientsChooseNoLabels(t *testing.T) {
	tel, registry := newTelemetry(t)
	s := routed(t, tel, "GET /things/{id}", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	for _, host := range []string{"a.example", "b.example:99", "c.example:7"} {
		get(t, s.Client(), s.URL+"/things/"+host, host)
	}
	for name, want := range map[string]map[string]string{
		requests: {"http_request_method": "GET", "http_route": "/things/{id}", "http_response_status_code": "204"},
		"http_server_request_duration_native_seconds": {"http_request_method": "GET", "http_route": "/things/{id}", "http_response_status_code": "204"},
		"http_server_request_body_size_bytes":         {"http_route": "/things/{id}"},
		"http_server_response_body_size_bytes":        {"http_route": "/things/{id}"},
	} {
		f := family(t, registry, name)
		if len(f.GetMetric()) != 1 {
			t.Errorf("%s has %d series", name, len(f.GetMetric()))
			continue
		}
		m := f.GetMetric()[0]
		if got := labels(m); !maps.Equal(got, want) || m.GetHistogram().GetSampleCount() != 3 {
			t.Errorf("%s%v is %d", name, got, m.GetHistogram().GetSampleCount())
		}
	}
}

func TestAnAnswerThatIsCutCountsAs500(t *testing.T) {
	tel, registry := newTelemetry(t)
	s := routed(t, tel, "GET /long", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "half")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	get(t, s.Client(), s.URL, "")
	f := family(t, registry, requests)
	want := map[string]string{"http_request_method": "GET", "http_route": "/long", "http_response_status_code": "500", "error_type": "500"}
	if len(f.GetMetric()) != 1 || f.GetMetric()[0].GetHistogram().GetSampleCount() != 1 || !maps.Equal(labels(f.GetMetric()[0]), want) {
		t.Errorf("counted %v", f)
	}
	if n := len(family(t, registry, "http_server_request_duration_native_seconds").GetMetric()); n != 1 {
		t.Errorf("%d native series", n)
	}
}

func TestWhatTheServerMarksBecomesALabel(t *testing.T) {
	tel, registry := newTelemetry(t)
	s := routed(t, tel, "GET /x", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		labeler, ok := otelhttp.LabelerFromContext(r.Context())
		if !ok {
			t.Error("no labeler")
		}
		labeler.Add(attribute.String("error.type", "503"), attribute.String("user", "somebody"))
	})
	get(t, s.Client(), s.URL, "")
	m := family(t, registry, requests).GetMetric()[0]
	want := map[string]string{"http_request_method": "GET", "http_route": "/x", "http_response_status_code": "503", "error_type": "503"}
	if got := labels(m); !maps.Equal(got, want) {
		t.Errorf("labels %v", got)
	}
}
