package app

import (
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/tidemark-obs/tidemark/internal/telemetry/otlp/otlptest"
)

// exporting starts a service that sends everything to a sink, every trace sampled.
func exporting(t *testing.T, protocol string, change func(*Config)) (*App, *otlptest.Sink, *logBuffer) {
	t.Helper()
	sink := otlptest.Start(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", sink.Endpoint(protocol))
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
	cfg := testConfig(t.TempDir())
	cfg.Log.Level, cfg.Telemetry.TraceSampleRatio = "debug", 1
	if change != nil {
		change(&cfg)
	}
	log := &logBuffer{}
	return start(t, cfg, Options{Log: log}), sink, log
}

func send(t *testing.T, a *App, method, path, body string, header http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+a.Addr().String()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range header {
		req.Header[k] = v
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil || res.StatusCode/100 != 2 {
		t.Fatalf("%s %s: %s, %v", method, path, res.Status, err)
	}
}

// named returns the spans with a name.
func named(spans []*tracepb.Span, name string) []*tracepb.Span {
	var some []*tracepb.Span
	for _, s := range spans {
		if s.GetName() == name {
			some = append(some, s)
		}
	}
	return some
}

// one returns the only span with a name.
func one(t *testing.T, spans []*tracepb.Span, name string) *tracepb.Span {
	t.Helper()
	some := named(spans, name)
	if len(some) != 1 {
		t.Fatalf("there are %d spans %q", len(some), name)
	}
	return some[0]
}

func attributes(list []*commonpb.KeyValue) map[string]string {
	all := map[string]string{}
	for _, kv := range list {
		switch v := kv.GetValue().GetValue().(type) {
		case *commonpb.AnyValue_StringValue:
			all[kv.GetKey()] = v.StringValue
		case *commonpb.AnyValue_IntValue:
			all[kv.GetKey()] = fmt.Sprint(v.IntValue)
		default:
			all[kv.GetKey()] = fmt.Sprint(v)
		}
	}
	return all
}

func expect(t *testing.T, span *tracepb.Span, want map[string]string) {
	t.Helper()
	got := attributes(span.GetAttributes())
	for k, v := range want {
		if got[k] != v {
			t.Errorf("span %q has %s=%q, want %q", span.GetName(), k, got[k], v)
		}
	}
}

const (
	callerTrace = "0af7651916cd43dd8448eb211c80319c"
	callerSpan  = "b7ad6b7169203331"
)

var fromCaller = http.Header{"Traceparent": {"00-" + callerTrace + "-" + callerSpan + "-01"}}

// The story of one event and one question, as a collector hears it.
func TestTheStoryOfARequestAtTheCollector(t *testing.T) {
	for _, protocol := range []string{"grpc", "http/protobuf"} {
		t.Run(protocol, func(t *testing.T) {
			a, sink, log := exporting(t, protocol, nil)
			send(t, a, "POST", "/api/analytics/track", `{"event":"signup","event_id":"e1","user_id":"u1","properties":{"plan":"pro"}}`, fromCaller)
			send(t, a, "POST", "/api/analytics/flush", "", nil)
			send(t, a, "GET", "/api/analytics/events/e1", "", nil)
			exemplar := scrapeExemplar(t, a, "/api/analytics/track")
			stop(t, a)

			spans := sink.Spans()
			track := one(t, spans, "POST /api/analytics/track")
			expect(t, track, map[string]string{"http.route": "/api/analytics/track", "http.request.method": "POST", "http.response.status_code": "200"})
			if len(track.GetParentSpanId()) != 0 || hex.EncodeToString(track.GetTraceId()) == callerTrace {
				t.Error("a public caller's trace was continued")
			}
			if l := track.GetLinks(); len(l) != 1 || hex.EncodeToString(l[0].GetTraceId()) != callerTrace || hex.EncodeToString(l[0].GetSpanId()) != callerSpan {
				t.Errorf("the caller is not linked: %v", l)
			}
			journal := one(t, spans, "append tidemark.journal")
			expect(t, journal, map[string]string{"messaging.system": "nats", "messaging.operation.type": "send",
				"messaging.batch.message_count": "1", "tidemark.journal.group.entries": "1", "tidemark.journal.group.events": "1"})
			below(t, journal, track)
			expect(t, one(t, spans, "BATCH INSERT events"), map[string]string{"db.system.name": "duckdb",
				"db.operation.name": "BATCH INSERT", "db.collection.name": "events", "db.operation.batch.size": "1"})
			get := one(t, spans, "GET /api/analytics/events/{event_id}")
			query := one(t, spans, "SELECT events")
			expect(t, get, map[string]string{"url.path": "/api/analytics/events/{event_id}", "client.address": "127.0.0.0", "network.peer.address": "127.0.0.0"})
			expect(t, query, map[string]string{"db.system.name": "duckdb", "db.operation.name": "SELECT", "db.collection.name": "events"})
			below(t, query, get)

			trace := hex.EncodeToString(track.GetTraceId())
			if exemplar != trace {
				t.Errorf("the exemplar is of trace %q, want %q", exemplar, trace)
			}
			if !regexp.MustCompile(`"route":"POST /api/analytics/track".*"trace_id":"` + trace + `","span_id":"` + hex.EncodeToString(track.GetSpanId())).MatchString(log.String()) {
				t.Error("the request's log line does not name its span")
			}
			checkRecords(t, sink, trace)
			checkMetrics(t, sink)
		})
	}
}

func below(t *testing.T, child, parent *tracepb.Span) {
	t.Helper()
	if string(child.GetParentSpanId()) != string(parent.GetSpanId()) || string(child.GetTraceId()) != string(parent.GetTraceId()) {
		t.Errorf("span %q is not below %q", child.GetName(), parent.GetName())
	}
}

// scrapeExemplar returns the trace of an exemplar of a route's timings.
func scrapeExemplar(t *testing.T, a *App, route string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+a.Addr().String()+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "application/openmetrics-text; version=1.0.0")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^http_server_request_duration_seconds_bucket\{[^}]*http_route="` + regexp.QuoteMeta(route) +
		`"[^}]*\} \d+ # \{[^}]*trace_id="([0-9a-f]{32})"`).FindSubmatch(b)
	if m == nil {
		t.Fatalf("no exemplar for %s in:\n%s", route, b)
	}
	return string(m[1])
}

// checkRecords wants the event once, and the request's log line, both of the request's trace.
func checkRecords(t *testing.T, sink *otlptest.Sink, trace string) {
	t.Helper()
	events := sink.Events()
	if len(events) != 1 {
		t.Fatalf("%d events arrived, want 1", len(events))
	}
	got := attributes(events[0].GetAttributes())
	if events[0].GetEventName() != "signup" || got["log.record.uid"] != "e1" || got["user.id"] != "u1" || got["plan"] != "pro" ||
		hex.EncodeToString(events[0].GetTraceId()) != trace {
		t.Errorf("the event arrived as %v", events[0])
	}
	lines := 0
	for _, r := range sink.Records() {
		if r.GetBody().GetStringValue() == "request" && hex.EncodeToString(r.GetTraceId()) == trace {
			lines++
			if got := attributes(r.GetAttributes()); got["trace_id"] != "" || got["component"] != "http" {
				t.Errorf("the log line arrived as %v", r)
			}
		}
	}
	if lines != 1 {
		t.Errorf("%d log lines of the request arrived, want 1", lines)
	}
}

// checkMetrics wants the names of both libraries in each export, none twice.
func checkMetrics(t *testing.T, sink *otlptest.Sink) {
	t.Helper()
	for _, name := range []string{"http.server.request.duration", "tidemark_events_accepted_total", "tidemark_build_info", "go_goroutines"} {
		if sink.Metrics()[name] == nil {
			t.Errorf("the metric %s did not arrive", name)
		}
	}
	for _, export := range sink.Exports() {
		if got := attributes(export.GetResource().GetAttributes()); got["service.name"] != "tidemark" || got["service.instance.id"] == "" ||
			got["deployment.environment.name"] != "test" {
			t.Errorf("the metrics are of %v", got)
		}
		seen := map[string]bool{}
		for _, s := range export.GetScopeMetrics() {
			for _, m := range s.GetMetrics() {
				prometheus := strings.NewReplacer(".", "_").Replace(m.GetName())
				for _, unit := range []string{"", "_seconds", "_bytes", "_ratio"} {
					if seen[prometheus+unit] {
						t.Errorf("%s went out twice", m.GetName())
					}
				}
				seen[prometheus] = true
			}
		}
	}
}

func TestTrustedParentsAreContinued(t *testing.T) {
	a, sink, _ := exporting(t, "grpc", func(c *Config) { c.Telemetry.TrustParents, c.Telemetry.TraceSampleRatio = true, 0 })
	send(t, a, "GET", "/api/analytics/ledger", "", fromCaller)
	send(t, a, "GET", "/api/analytics/stats", "", nil)
	stop(t, a)
	span := one(t, sink.Spans(), "GET /api/analytics/ledger")
	if hex.EncodeToString(span.GetTraceId()) != callerTrace || hex.EncodeToString(span.GetParentSpanId()) != callerSpan || len(span.GetLinks()) != 0 {
		t.Errorf("the caller's trace was not continued: %v", span)
	}
	if n := len(named(sink.Spans(), "GET /api/analytics/stats")); n != 0 {
		t.Error("a request was sampled although nobody asked for it")
	}
}

// A public caller can neither have everything recorded nor stop it.
func TestCallersDoNotDecideOnSampling(t *testing.T) {
	a, sink, _ := exporting(t, "grpc", func(c *Config) { c.Telemetry.TraceSampleRatio = 0 })
	send(t, a, "GET", "/api/analytics/ledger", "", fromCaller)
	stop(t, a)
	if spans := sink.Spans(); len(spans) != 0 {
		t.Errorf("%d spans were recorded because a caller wished it", len(spans))
	}
}

func TestTheEnvironmentDecidesOnSampling(t *testing.T) {
	t.Setenv("OTEL_TRACES_SAMPLER", "always_on")
	t.Setenv("OTEL_METRICS_EXPORTER", "none")
	a, sink, _ := exporting(t, "grpc", func(c *Config) { c.Telemetry.TraceSampleRatio, c.Telemetry.ExportEvents = 0, false })
	send(t, a, "POST", "/api/analytics/track", `{"event":"signup"}`, nil)
	stop(t, a)
	one(t, sink.Spans(), "POST /api/analytics/track")
	if len(sink.Metrics()) != 0 || len(sink.Events()) != 0 || len(sink.Records()) == 0 {
		t.Error("want log lines and neither metrics nor events")
	}
}

func TestADisabledSDKExportsNothing(t *testing.T) {
	t.Setenv("OTEL_SDK_DISABLED", "true")
	a, sink, _ := exporting(t, "grpc", nil)
	send(t, a, "POST", "/api/analytics/track", `{"event":"signup"}`, nil)
	stop(t, a)
	if len(sink.Spans())+len(sink.Records())+len(sink.Exports()) != 0 {
		t.Error("something was exported")
	}
}

// What the service has to say about its collector must not go to its collector.
func TestExportersDoNotFeedThemselves(t *testing.T) {
	a, sink, log := exporting(t, "http/protobuf", func(c *Config) { c.Log.Level = "info" })
	sink.Refuse(true)
	send(t, a, "POST", "/api/analytics/track", `{"event":"signup"}`, nil)
	// Spans and log records fail as well, perhaps before the event does.
	waitFor(t, "the failure to be told", func() bool {
		return strings.Contains(log.String(), `is dropped and counted until it does","component":"telemetry","signal":"events"`)
	})
	sink.Refuse(false)
	send(t, a, "POST", "/api/analytics/track", `{"event":"signup"}`, nil)
	waitFor(t, "the recovery to be told", func() bool {
		return strings.Contains(log.String(), `takes OTLP again","component":"telemetry","signal":"events"`)
	})
	stop(t, a)
	for _, r := range sink.Records() {
		if strings.Contains(r.GetBody().GetStringValue(), "OTLP") {
			t.Errorf("exported: %v", r)
		}
	}
}

// A collector that never answers changes neither answers nor, beyond a few seconds, the stop.
func TestACollectorThatHangs(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", otlptest.Silent(t))
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
	t.Setenv("OTEL_BLRP_MAX_QUEUE_SIZE", "100")
	cfg := testConfig(t.TempDir())
	cfg.Telemetry.TraceSampleRatio = 1
	a := start(t, cfg, Options{Log: &logBuffer{}})
	for range 50 {
		send(t, a, "POST", "/api/analytics/track", `{"event":"signup"}`, nil)
	}
	send(t, a, "POST", "/api/analytics/flush", "", nil)
	if _, l := call(t, a, "GET", "/api/analytics/ledger", ""); l["stored"] != 50.0 {
		t.Errorf("the ledger is %v", l)
	}
	stop(t, a)
}

func TestABadVariableRefusesToStart(t *testing.T) {
	for key, value := range map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4317", "OTEL_PROPAGATORS": "pigeon"} {
		t.Run(key, func(t *testing.T) {
			t.Setenv(key, value)
			a, err := New(testConfig(t.TempDir()), Options{Log: io.Discard})
			if err != nil {
				t.Fatal(err)
			}
			if err := a.Start(t.Context()); err == nil || !strings.Contains(err.Error(), key) {
				t.Errorf("starting answered %v", err)
			}
		})
	}
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(2 * time.Minute)
	for !ok() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("waited in vain for %s", what)
		}
	}
}
