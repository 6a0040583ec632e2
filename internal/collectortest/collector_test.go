package collectortest

import (
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/tidemark-obs/tidemark/internal/proctest"
	"github.com/tidemark-obs/tidemark/internal/telemetry/otlp/otlptest"
	"github.com/tidemark-obs/tidemark/internal/tooltest"
)

const (
	batches   = 20
	batchSize = 100
)

// What the service sends to the collector, and what the collector scrapes, is what arrives behind it.
func TestNothingIsLostOrChangedOnTheWay(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a collector and a service; not with -short")
	}
	collector, service := tooltest.Find(t, "otelcol"), filepath.Join(t.TempDir(), "tidemark")
	if err := proctest.Build(service); err != nil {
		t.Fatal(err)
	}
	for _, protocol := range []string{"grpc", "http/protobuf"} {
		t.Run(protocol, func(t *testing.T) {
			sink := otlptest.Start(t)
			kept, writeURL := startStore(t)
			address := proctest.FreeAddress(t)
			listen := map[string]string{"grpc": proctest.FreeAddress(t), "http/protobuf": proctest.FreeAddress(t)}
			col := startCollector(t, collector,
				"REMOTE_WRITE_URL="+writeURL, "OTLP_URL="+sink.Endpoint("http/protobuf"), "OTLP_HEADERS={x-tenant: blue}",
				"TIDEMARK_ADDRESS="+address, "SCRAPE_INTERVAL=500ms",
				"OTLP_GRPC_LISTEN="+listen["grpc"], "OTLP_HTTP_LISTEN="+listen["http/protobuf"],
			)
			tidemark := startService(t, service, address,
				"OTEL_EXPORTER_OTLP_ENDPOINT=http://"+listen[protocol], "OTEL_EXPORTER_OTLP_PROTOCOL="+protocol,
				"OTEL_TRACES_SAMPLER=always_on", "OTEL_METRIC_EXPORT_INTERVAL=500",
			)
			for b := range batches {
				var body []string
				for i := range batchSize {
					body = append(body, fmt.Sprintf(`{"event":"signup","event_id":"%d-%d","properties":{"plan":"pro"}}`, b, i))
				}
				ask(t, http.MethodPost, address, "/api/analytics/batch-track", "["+strings.Join(body, ",")+"]", http.StatusOK)
			}
			ask(t, http.MethodPost, address, "/api/analytics/flush", "", http.StatusOK)
			until(t, "the last event to be counted in a scrape", func() bool {
				s := kept.named("tidemark_events_stored_total")
				return len(s) == 1 && s[0].value == batches*batchSize
			})
			scraped := families(t, address)
			until(t, "all that is on the page now to be scraped", func() bool { return len(missing(kept, scraped)) == 0 })
			stop(t, tidemark) // sends what it has
			stop(t, col)      // forwards what it has

			if got := sink.Header("x-tenant"); got != "blue" {
				t.Errorf("the header of the environment arrived as %q", got)
			}
			checkEvents(t, sink)
			checkSpans(t, sink)
			checkPushed(t, sink)
			checkScraped(t, kept, scraped, address)
		})
	}
}

func startCollector(t *testing.T, program string, env ...string) *proctest.Program {
	t.Helper()
	config, err := filepath.Abs("../../otel-collector.yaml")
	if err != nil {
		t.Fatal(err)
	}
	health := proctest.FreeAddress(t)
	p := proctest.New(t, program, append(env, "HEALTH_LISTEN="+health)...)
	p.Start("--config", config)
	until(t, "the collector", func() bool { return answers(t, "http://"+health+"/") })
	return p
}

func startService(t *testing.T, program, address string, env ...string) *proctest.Program {
	t.Helper()
	p := proctest.New(t, program, env...)
	p.Start("serve", "--web.listen-address", address, "--data.dir", filepath.Join(t.TempDir(), "data"), "--log.format", "json")
	until(t, "the service", func() bool { return answers(t, "http://"+address+"/-/ready") })
	return p
}

func answers(t *testing.T, url string) bool {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	return err == nil && res.StatusCode == http.StatusOK
}

func ask(t *testing.T, method, address, path, body string, want int) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+address+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if b, err := io.ReadAll(res.Body); err != nil || res.StatusCode != want {
		t.Fatalf("%s: %s %s %v", path, res.Status, b, err)
	}
}

// families reads the service's own page of metrics.
func families(t *testing.T, address string) map[string]*dto.MetricFamily {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	all, err := parser.TextToMetricFamilies(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// checkEvents wants every event and the log line about being ready to have arrived. OTLP promises at
// least once: a batch that was not answered in time comes again, so each counts by what it is known by.
func checkEvents(t *testing.T, sink *otlptest.Sink) {
	t.Helper()
	ids := map[string]bool{}
	for _, e := range sink.Events() {
		if e.GetEventName() != "signup" {
			t.Errorf("an event arrived as %q", e.GetEventName())
		}
		for _, a := range e.GetAttributes() {
			if a.GetKey() == "log.record.uid" {
				ids[a.GetValue().GetStringValue()] = true
			}
		}
	}
	for b := range batches {
		for i := range batchSize {
			if id := fmt.Sprintf("%d-%d", b, i); !ids[id] {
				t.Errorf("event %s did not arrive", id)
			}
		}
	}
	if len(ids) != batches*batchSize {
		t.Errorf("events with %d ids arrived, want %d", len(ids), batches*batchSize)
	}
	ready := map[uint64]bool{} // by their times
	for _, r := range sink.Records() {
		if r.GetBody().GetStringValue() == "tidemark is ready" {
			ready[r.GetTimeUnixNano()] = true
		}
	}
	if len(ready) != 1 {
		t.Errorf("%d log lines about being ready arrived", len(ready))
	}
}

func checkSpans(t *testing.T, sink *otlptest.Sink) {
	t.Helper()
	const route = "/api/analytics/batch-track"
	requests, appends := map[string]bool{}, map[string]bool{} // by their ids: a span may come again as well
	for _, s := range sink.Spans() {
		if s.GetName() != "POST "+route {
			continue
		}
		for _, a := range s.GetAttributes() {
			if a.GetKey() == "http.route" && a.GetValue().GetStringValue() == route {
				requests[string(s.GetSpanId())] = true
			}
		}
	}
	for _, s := range sink.Spans() {
		if s.GetName() == "append tidemark.journal" && requests[string(s.GetParentSpanId())] {
			appends[string(s.GetSpanId())] = true
		}
	}
	if len(requests) != batches || len(appends) != batches {
		t.Errorf("%d spans of requests and %d of appends below them arrived, want %d each", len(requests), len(appends), batches)
	}
}

// checkPushed wants the last state of the service's counters at the OTLP backend.
func checkPushed(t *testing.T, sink *otlptest.Sink) {
	t.Helper()
	all := sink.Metrics()
	points := all["tidemark_events_accepted_total"].GetSum().GetDataPoints()
	if len(points) != 1 || points[0].GetAsDouble() != batches*batchSize {
		t.Errorf("pushed tidemark_events_accepted_total is %v", points)
	}
	var count uint64
	for _, p := range all["http.server.request.duration"].GetHistogram().GetDataPoints() {
		for _, a := range p.GetAttributes() {
			if a.GetKey() == "http.route" && a.GetValue().GetStringValue() == "/api/analytics/batch-track" {
				count += p.GetCount()
			}
		}
	}
	if count != batches {
		t.Errorf("pushed http.server.request.duration counts %d requests, want %d", count, batches)
	}
}

// arrival is how a metric of the page arrives in the store.
func arrival(name string, family *dto.MetricFamily) (series string, native bool) {
	switch {
	case strings.HasSuffix(name, "_native_seconds"):
		return name, true
	case family.GetType() == dto.MetricType_HISTOGRAM:
		return name + "_bucket", false
	}
	return name, false
}

// missing are the metrics of the page that have not arrived.
func missing(kept *store, scraped map[string]*dto.MetricFamily) (names []string) {
	for name, family := range scraped {
		series, _ := arrival(name, family)
		if name != "target_info" && len(kept.named(series)) == 0 {
			names = append(names, name)
		}
	}
	return names
}

// checkScraped wants every metric of the page in the store, under its own name and of this target.
func checkScraped(t *testing.T, kept *store, scraped map[string]*dto.MetricFamily, address string) {
	t.Helper()
	if absent := missing(kept, scraped); len(absent) > 0 {
		t.Errorf("scraped and not arrived: %v", absent)
	}
	for name, family := range scraped {
		if name == "target_info" {
			continue // the collector makes its own of it
		}
		want, native := arrival(name, family)
		for _, s := range kept.named(want) {
			if s.labels["job"] != "tidemark" || s.labels["instance"] != address || s.native != native {
				t.Errorf("%s arrived as %v, native %v", name, s.labels, s.native)
				break
			}
		}
	}
	if s := kept.named("up"); len(s) != 1 || s[0].labels["instance"] != address {
		t.Errorf("up arrived as %v", s)
	}
}
