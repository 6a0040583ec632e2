package telemetry

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// BenchmarkScrape gathers and writes about 5,000 series, most of them in histograms.
func BenchmarkScrape(b *testing.B) {
	tel, _ := newSampling(b, 0.01)
	var route string
	door, err := tel.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { r.Pattern = route }), nil)
	if err != nil {
		b.Fatal(err)
	}
	for i := range 100 {
		route = fmt.Sprintf("GET /api/things/%d/{id}", i)
		for range 100 {
			door.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/", nil))
			tel.Operations().Observe(b.Context(), route, 3*time.Millisecond)
		}
	}
	for i := range 20 {
		tel.Operations().Observe(b.Context(), fmt.Sprint("POST /", i), time.Second)
	}
	n := len(scrape(b, tel, openMetrics, ""))
	for name, accept := range map[string]string{"openmetrics": openMetrics, "text": "text/plain;version=0.0.4", "protobuf": protobuf} {
		b.Run(name, func(b *testing.B) {
			r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/metrics", nil)
			r.Header.Set("Accept", accept)
			b.ReportAllocs()
			for b.Loop() {
				w := httptest.NewRecorder()
				tel.MetricsHandler().ServeHTTP(w, r)
				if w.Code != http.StatusOK {
					b.Fatal(w.Code)
				}
			}
			b.ReportMetric(float64(n), "series")
		})
	}
}
