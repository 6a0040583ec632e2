package telemetry

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/exemplar"
	plabels "github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
)

// What Prometheus asks for, with and without native histograms.
const (
	openMetrics = "application/openmetrics-text;version=1.0.0"
	protobuf    = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
)

// scraped is a series with what a scrape found in it.
type scraped struct {
	labels    plabels.Labels
	value     float64
	native    uint64 // observations in a native histogram
	buckets   int    // of it
	exemplars []exemplar.Exemplar
}

// scrape asks as Prometheus does and reads the answer with Prometheus's own parser.
func scrape(t testing.TB, tel *Telemetry, accept, name string) (found []scraped) {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	r.Header.Set("Accept", accept)
	w := httptest.NewRecorder()
	tel.MetricsHandler().ServeHTTP(w, r)
	kind := w.Header().Get("Content-Type")
	if w.Code != http.StatusOK || !strings.HasPrefix(kind, strings.SplitN(accept, ";", 2)[0]) {
		t.Fatalf("status %d, Content-Type %q", w.Code, kind)
	}
	p, err := textparse.New(w.Body.Bytes(), kind, plabels.NewSymbolTable(), textparse.ParserOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for {
		entry, err := p.Next()
		if errors.Is(err, io.EOF) {
			return found
		}
		if err != nil {
			t.Fatal(err)
		}
		var s scraped
		switch entry {
		case textparse.EntrySeries:
			_, _, s.value = p.Series()
		case textparse.EntryHistogram:
			_, _, h, _ := p.Histogram()
			s.native, s.buckets = h.Count, len(h.PositiveBuckets)
		default:
			continue
		}
		p.Labels(&s.labels)
		for e := (exemplar.Exemplar{}); p.Exemplar(&e); e = (exemplar.Exemplar{}) {
			s.exemplars = append(s.exemplars, e)
		}
		if strings.HasPrefix(s.labels.Get("__name__"), name) {
			found = append(found, s)
		}
	}
}

// serve answers one request and returns its span.
func serve(t testing.TB, tel *Telemetry, host string) trace.SpanContext {
	t.Helper()
	var inside trace.SpanContext
	door, err := tel.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		inside = trace.SpanContextFromContext(r.Context())
		r.Pattern = "GET /x"
		tel.Operations().Observe(r.Context(), r.Pattern, time.Millisecond)
		w.WriteHeader(http.StatusNoContent)
	}), nil)
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/x", nil)
	r.Host = host
	door.ServeHTTP(httptest.NewRecorder(), r)
	return inside
}

// TestExemplarsSurviveLongHosts sends a Host that would make an exemplar longer than Prometheus
// takes, were it in there.
func TestExemplarsSurviveLongHosts(t *testing.T) {
	tel, _ := newTelemetry(t)
	span := serve(t, tel, strings.Repeat("h", 200)+".example:8080")
	for accept, name := range map[string]string{
		openMetrics:                    requestFamily + "_bucket",
		protobuf:                       "http_server_request_duration_native_seconds",
		openMetrics + ";charset=utf-8": "tidemark_operation_duration_seconds_bucket",
	} {
		var found []exemplar.Exemplar
		for _, s := range scrape(t, tel, accept, name) {
			found = append(found, s.exemplars...)
		}
		if len(found) != 1 {
			t.Errorf("%s: %d exemplars", accept, len(found))
			continue
		}
		want := plabels.FromStrings("trace_id", span.TraceID().String(), "span_id", span.SpanID().String())
		if !plabels.Equal(found[0].Labels, want) {
			t.Errorf("%s: exemplar %v, want %v", accept, found[0].Labels, want)
		}
	}
}

func TestUnsampledRequestsLeaveNoExemplar(t *testing.T) {
	tel, _ := newSampling(t, 0)
	serve(t, tel, "host")
	found := scrape(t, tel, openMetrics, "")
	for _, s := range found {
		if len(s.exemplars) != 0 {
			t.Errorf("%v has %v", s.labels, s.exemplars)
		}
	}
	if len(found) == 0 {
		t.Error("nothing was scraped")
	}
}

func TestPrometheusReadsTheNativeHistogram(t *testing.T) {
	tel, _ := newTelemetry(t)
	serve(t, tel, "host")
	found := scrape(t, tel, protobuf, "http_server_request_duration_native_seconds")
	if len(found) != 1 || found[0].native != 1 || found[0].buckets != 1 {
		t.Fatalf("read %+v", found)
	}
	if route := found[0].labels.Get("http_route"); route != "/x" {
		t.Errorf("route %q", route)
	}
	// The other one stays what it is: rules may rely on its buckets.
	classic := 0
	for _, s := range scrape(t, tel, protobuf, requestFamily+"_bucket") {
		if s.native != 0 {
			t.Errorf("%v is native", s.labels)
		}
		classic++
	}
	if classic != len(durations())+1 {
		t.Errorf("%d buckets", classic)
	}
}

// TestTheSlowThresholdIsABucket keeps p95 over the threshold from being a guess.
func TestTheSlowThresholdIsABucket(t *testing.T) {
	tel, _ := newTelemetry(t)
	serve(t, tel, "host")
	for _, s := range scrape(t, tel, openMetrics, requestFamily+"_bucket") {
		if s.labels.Get("le") == "2.0" {
			return
		}
	}
	t.Error("no bucket ends at 2 s")
}

// TestOverflowIsSeen makes more series than an instrument may have.
func TestOverflowIsSeen(t *testing.T) {
	tel, _ := newTelemetry(t)
	c, err := tel.Meter().Int64Counter("tidemark.test.things")
	if err != nil {
		t.Fatal(err)
	}
	for i := range seriesPerMetric + 100 {
		c.Add(t.Context(), 1, metric.WithAttributes(attribute.String("n", strconv.Itoa(i))))
	}
	found := scrape(t, tel, openMetrics, "tidemark_test_things_total")
	if len(found) != seriesPerMetric {
		t.Errorf("%d series", len(found))
	}
	for _, s := range found {
		if s.labels.Get("otel_metric_overflow") == "true" {
			if s.value != 101 {
				t.Errorf("%v in the overflow", s.value)
			}
			return
		}
	}
	t.Error("nothing says that series were folded")
}

func TestTheResourceNamesThisProcess(t *testing.T) {
	tel, _ := newTelemetry(t)
	found := scrape(t, tel, openMetrics, "target_info")
	if len(found) != 1 {
		t.Fatalf("%d series", len(found))
	}
	for name, want := range map[string]string{"service_name": "tidemark", "service_version": "1.2.3", "service_instance_id": "this-one"} {
		if got := found[0].labels.Get(name); got != want {
			t.Errorf("%s is %q", name, got)
		}
	}
}
