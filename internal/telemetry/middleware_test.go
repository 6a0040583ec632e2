package telemetry

import (
	"io"
	"maps"
	"net/http"
	"testing"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/attribute"
)

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
		requestFamily: {"http_request_method": "GET", "http_route": "/things/{id}", "http_response_status_code": "204"},
		"http_server_request_duration_native_seconds": {"http_request_method": "GET", "http_route": "/things/{id}", "http_response_status_code": "204"},
		"http_server_request_body_size_bytes":         {"http_route": "/things/{id}"},
	} {
		series := happened(family(t, registry, name))
		if len(series) != 1 {
			t.Errorf("%s has %d series", name, len(series))
			continue
		}
		m := series[0]
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
	series := happened(family(t, registry, requestFamily))
	want := map[string]string{"http_request_method": "GET", "http_route": "/long", "http_response_status_code": "500", "error_type": "500"}
	if len(series) != 1 || series[0].GetHistogram().GetSampleCount() != 1 || !maps.Equal(labels(series[0]), want) {
		t.Errorf("counted %v", series)
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
	m := happened(family(t, registry, requestFamily))[0]
	want := map[string]string{"http_request_method": "GET", "http_route": "/x", "http_response_status_code": "503", "error_type": "503"}
	if got := labels(m); !maps.Equal(got, want) {
		t.Errorf("labels %v", got)
	}
}

// TestFailuresAreThereBeforeTheFirst compares the scrapes before and after a failure: what was not
// there before has no increase.
func TestFailuresAreThereBeforeTheFirst(t *testing.T) {
	tel, registry := newTelemetry(t)
	s := routed(t, tel, "GET /x", func(w http.ResponseWriter, r *http.Request) {
		labeler, _ := otelhttp.LabelerFromContext(r.Context())
		labeler.Add(attribute.String("error.type", "503"))
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	count := func() map[string]uint64 {
		all := map[string]uint64{}
		for _, m := range family(t, registry, requestFamily).GetMetric() {
			l := labels(m)
			if len(l) != 4 || l["http_route"] != "/x" || l["http_request_method"] != "GET" || l["error_type"] != l["http_response_status_code"] {
				t.Errorf("labels %v", l)
			}
			all[l["http_response_status_code"]] = m.GetHistogram().GetSampleCount()
		}
		return all
	}
	if got := count(); !maps.Equal(got, map[string]uint64{"500": 0, "503": 0}) {
		t.Errorf("before: %v", got)
	}
	get(t, s.Client(), s.URL, "")
	get(t, s.Client(), s.URL, "")
	if got := count(); !maps.Equal(got, map[string]uint64{"500": 0, "503": 2}) {
		t.Errorf("after: %v", got)
	}
}
