package httpapi

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files")

// TestOpenAPI compares the document with the one in testdata; go test -update writes it anew.
func TestOpenAPI(t *testing.T) {
	w := newWorld(t)
	a := w.get(t, "/api/openapi.json").want(200)
	if got := a.header.Get("Content-Type"); got != "application/openapi+json" {
		t.Errorf("Content-Type %q", got)
	}
	golden := filepath.Join("testdata", "openapi.json")
	if *update {
		must(t, os.MkdirAll("testdata", 0o755))
		must(t, os.WriteFile(golden, []byte(a.body), 0o644))
	}
	want, err := os.ReadFile(golden)
	must(t, err)
	if !bytes.Equal(want, []byte(a.body)) {
		t.Error("the API differs from testdata/openapi.json; see the difference after go test ./internal/httpapi -update")
	}
}

// TestOpenAPIHoldsTogether checks that all references lead somewhere and every operation says
// what it takes and answers.
func TestOpenAPIHoldsTogether(t *testing.T) {
	w := newWorld(t)
	doc := w.get(t, "/api/openapi.json").want(200).json()
	if doc["openapi"] != "3.1.0" {
		t.Errorf("openapi %v", doc["openapi"])
	}
	schemas := doc["components"].(map[string]any)["schemas"].(map[string]any)
	follow(t, schemas, doc)
	ids := map[any]bool{}
	for path, item := range doc["paths"].(map[string]any) {
		for method, o := range item.(map[string]any) {
			op := o.(map[string]any)
			if op["operationId"] == nil || ids[op["operationId"]] || op["summary"] == nil {
				t.Errorf("%s %s: id %v, summary %v", method, path, op["operationId"], op["summary"])
			}
			ids[op["operationId"]] = true
			if n := strings.Count(path, "{"); n > 0 {
				if params, _ := op["parameters"].([]any); len(params) < n {
					t.Errorf("%s %s lacks its path's parameters", method, path)
				}
			}
			responses := op["responses"].(map[string]any)
			fine := false
			for status, r := range responses {
				content := r.(map[string]any)["content"].(map[string]any)
				kind := "application/json"
				if status >= "400" {
					kind = "application/problem+json"
				} else {
					fine = true
				}
				if path == "/api/analytics/events/export" && status == "200" {
					kind = "application/x-ndjson"
				}
				if content[kind] == nil {
					t.Errorf("%s %s: %s has %v", method, path, status, content)
				}
			}
			if !fine || responses["500"] == nil {
				t.Errorf("%s %s answers %v", method, path, responses)
			}
		}
	}
	if _, ok := schemas["ErrorModel"]; ok {
		t.Error("huma's own errors are documented")
	}
}

// follow checks that every reference in v leads to a schema.
func follow(t *testing.T, schemas map[string]any, v any) {
	switch v := v.(type) {
	case map[string]any:
		if ref, ok := v["$ref"].(string); ok && schemas[strings.TrimPrefix(ref, "#/components/schemas/")] == nil {
			t.Errorf("%s leads nowhere", ref)
		}
		for _, x := range v {
			follow(t, schemas, x)
		}
	case []any:
		for _, x := range v {
			follow(t, schemas, x)
		}
	}
}

// TestAnswersFitTheirSchemas compares the members of real answers with what is documented.
func TestAnswersFitTheirSchemas(t *testing.T) {
	w := newWorld(t)
	w.post(t, "/api/analytics/track", `{"event":"x","event_id":"e"}`).want(200)
	doc := w.get(t, "/api/openapi.json").want(200).json()
	schemas := doc["components"].(map[string]any)["schemas"].(map[string]any)
	for _, c := range []struct{ method, path, body, schema string }{
		{"POST", "/api/analytics/track", `{"event":"x"}`, "Tracked"},
		{"POST", "/api/analytics/batch-track", `[{"event":"x"}]`, "BatchAnswer"},
		{"POST", "/api/analytics/events", `{"event_name":"x"}`, "Event"},
		{"GET", "/api/analytics/events", "", "EventsPage"},
		{"GET", "/api/analytics/events/recent", "", "RecentAnswer"},
		{"GET", "/api/analytics/events/stats", "", "EventStats"},
		{"GET", "/api/analytics/events/timeseries", "", "SeriesAnswer"},
		{"GET", "/api/analytics/events/breakdown?by=event_name", "", "BreakdownAnswer"},
		{"POST", "/api/analytics/events/funnel", `{"steps":[{"event_name":"x"}]}`, "FunnelAnswer"},
		{"POST", "/api/analytics/events/retention", `{}`, "RetentionAnswer"},
		{"POST", "/api/analytics/events/paths", `{"anchor":"x"}`, "PathsAnswer"},
		{"GET", "/api/analytics/events/sessions", "", "VisitsAnswer"},
		{"GET", "/api/analytics/query?sql=SELECT+1", "", "QueryAnswer"},
		{"GET", "/api/analytics/events/e", "", "Event"},
		{"GET", "/api/analytics/stats", "", "StatsAnswer"},
		{"GET", "/api/analytics/performance", "", "PerformanceAnswer"},
		{"GET", "/api/analytics/health", "", "HealthAnswer"},
		{"GET", "/api/analytics/ledger", "", "Ledger"},
		{"GET", "/api/analytics/receipts/e", "", "ReceiptAnswer"},
		{"GET", "/api/analytics/keys", "", "KeysAnswer"},
		{"GET", "/api/analytics/alerts", "", "AlertsAnswer"},
		{"POST", "/api/analytics/alerts/test", "", "AlertTestAnswer"},
		{"POST", "/api/analytics/alerts/silences", `{"matchers":["a=b"],"duration":"1h"}`, "Silence"},
		{"GET", "/api/analytics/alerts/silences", "", "SilencesAnswer"},
		{"POST", "/api/analytics/config", `{}`, "ConfigAnswer"},
		{"POST", "/api/analytics/flush", "", "FlushAnswer"},
		{"GET", "/nowhere", "", "Problem"},
	} {
		schema := schemas[c.schema].(map[string]any)
		members := schema["properties"].(map[string]any)
		var got map[string]json.RawMessage
		must(t, json.Unmarshal([]byte(w.do(t, c.method, c.path, c.body).body), &got))
		for name := range got {
			if members[name] == nil {
				t.Errorf("%s %s answers %s, which %s has not", c.method, c.path, name, c.schema)
			}
		}
		for _, name := range schema["required"].([]any) {
			if got[name.(string)] == nil {
				t.Errorf("%s %s lacks %s, which %s requires", c.method, c.path, name, c.schema)
			}
		}
	}
	if a := w.do(t, http.MethodGet, "/docs", ""); a.status != 404 {
		t.Errorf("/docs answers %d", a.status)
	}
}
