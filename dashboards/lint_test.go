package dashboards

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// exclusions are the linter's file of exceptions.
type exclusions struct {
	Exclusions map[string]struct {
		Reason  string      `yaml:"reason"`
		Entries []exclusion `yaml:"entries"`
	} `yaml:"exclusions"`
}

type exclusion struct {
	Dashboard string `yaml:"dashboard"`
	Panel     string `yaml:"panel"`
}

// TestRules: no dashboard breaks a rule, but for the exceptions, and each of those is needed.
func TestRules(t *testing.T) {
	b, err := os.ReadFile(".lint")
	if err != nil {
		t.Fatal(err)
	}
	var file exclusions
	if err := yaml.UnmarshalWithOptions(b, &file, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	needed := map[string]bool{}
	for _, d := range boards(t) {
		if want := d.UID + ".json"; d.File != want {
			t.Errorf("%s has the uid of %s", d.File, want)
		}
		for _, f := range lint(d) {
			e := exclusion{d.Title, f.panel}
			if slices.Contains(file.Exclusions[f.rule].Entries, e) {
				needed[fmt.Sprint(f.rule, e)] = true
				continue
			}
			t.Errorf("%s, %s, query %d breaks %s: %s", d.File, f.panel, f.target, f.rule, f.message)
		}
	}
	for name, x := range file.Exclusions {
		if x.Reason == "" {
			t.Errorf(".lint: %s has no reason", name)
		}
		for _, e := range x.Entries {
			if !needed[fmt.Sprint(name, e)] {
				t.Errorf(".lint: nothing breaks %s in %v", name, e)
			}
		}
	}
}

// TestJobs: what is excepted above is all that the variable differs in: all jobs are those listed.
func TestJobs(t *testing.T) {
	for _, d := range boards(t) {
		v, _ := d.variable("job")
		if v.Type != "query" || v.question() != "label_values(tidemark_build_info, job)" || !v.Multi || !v.IncludeAll || v.AllValue != "" ||
			v.Label != "Job" || v.Datasource.UID != "${datasource}" {
			t.Errorf("%s: job is %+v", d.File, v)
		}
	}
}

// TestRulesFindFaults breaks a good dashboard in every way that a rule should see.
func TestRulesFindFaults(t *testing.T) {
	const expr = `sum(rate(go_goroutines{job=~"$job", instance=~"$instance"}[$__rate_interval]))`
	ask := func(e string) func(map[string]any) {
		return func(d map[string]any) { at(d, "panels", 1, "targets", 0)["expr"] = e }
	}
	selector := `go_goroutines{job=~"$job", instance=~"$instance"}`
	for _, c := range []struct {
		rule string
		does string
		harm func(d map[string]any)
	}{
		{"template-datasource-rule", "other name", func(d map[string]any) { at(d, "templating", "list", 0)["name"] = "source" }},
		{"template-datasource-rule", "other kind", func(d map[string]any) { at(d, "templating", "list", 0)["query"] = "loki" }},
		{"template-job-rule", "missing", func(d map[string]any) { at(d, "templating", "list", 1)["name"] = "jobs" }},
		{"template-job-rule", "one value", func(d map[string]any) { at(d, "templating", "list", 1)["multi"] = false }},
		{"template-job-rule", "fixed source", func(d map[string]any) { at(d, "templating", "list", 1, "datasource")["uid"] = "P1" }},
		{"template-instance-rule", "all as anything", func(d map[string]any) { at(d, "templating", "list", 2)["allValue"] = ".*" }},
		{"template-instance-rule", "no all", func(d map[string]any) { at(d, "templating", "list", 2)["includeAll"] = false }},
		{"template-label-promql-rule", "bad selector", func(d map[string]any) {
			at(d, "templating", "list", 2, "query")["query"] = `label_values(up{job=~}, instance)`
		}},
		{"template-label-promql-rule", "bad function", func(d map[string]any) {
			at(d, "templating", "list", 2, "query")["query"] = `values(up, instance)`
		}},
		{"template-on-time-change-reload-rule", "once", func(d map[string]any) { at(d, "templating", "list", 1)["refresh"] = 1 }},
		{"uneditable-dashboard", "editable", func(d map[string]any) { d["editable"] = true }},
		{"complete", "no tags", func(d map[string]any) { d["tags"] = []string{} }},
		{"complete", "short uid", func(d map[string]any) { d["uid"] = "x" }},
		{"complete", "no refresh", func(d map[string]any) { d["refresh"] = "" }},
		{"annotation", "two expressions", func(d map[string]any) { at(d, "annotations", "list", 0)["expr"] = "ALERTS" }},
		{"annotation", "broken", func(d map[string]any) {
			at(d, "annotations", "list", 0)["expr"] = `ALERTS{alertstate="firing"`
			at(d, "annotations", "list", 0, "target")["expr"] = `ALERTS{alertstate="firing"`
		}},
		{"layout", "same number", func(d map[string]any) { at(d, "panels", 1)["id"] = 1 }},
		{"layout", "on another", func(d map[string]any) { at(d, "panels", 1, "gridPos")["y"] = 0 }},
		{"layout", "off the grid", func(d map[string]any) { at(d, "panels", 1, "gridPos")["x"] = 20 }},
		{"panel-datasource-rule", "fixed source", func(d map[string]any) { at(d, "panels", 1, "datasource")["uid"] = "P1" }},
		{"panel-title-description-rule", "no description", func(d map[string]any) { at(d, "panels", 1)["description"] = "" }},
		{"panel-units-rule", "no unit", func(d map[string]any) { at(d, "panels", 1, "fieldConfig", "defaults")["unit"] = "" }},
		{"panel-units-rule", "unknown unit", func(d map[string]any) { at(d, "panels", 1, "fieldConfig", "defaults")["unit"] = "seconds" }},
		{"panel-no-targets-rule", "no query", func(d map[string]any) { at(d, "panels", 1)["targets"] = nil }},
		{"target-promql-rule", "no PromQL", ask(`sum(rate(`)},
		{"target-promql-rule", "empty", ask(``)},
		{"target-rate-interval-rule", "fixed interval", ask(`rate(` + selector + `[5m])`)},
		{"target-job-rule", "no job", ask(`go_goroutines{instance=~"$instance"}`)},
		{"target-job-rule", "equal", ask(`go_goroutines{job="$job", instance=~"$instance"}`)},
		{"target-job-rule", "only one of two", ask(selector + ` / go_goroutines{instance=~"$instance"}`)},
		{"target-instance-rule", "no instance", ask(`go_goroutines{job=~"$job"}`)},
		{"target-counter-agg-rule", "bare counter", ask(`x_total{job=~"$job", instance=~"$instance"}`)},
		{"target-counter-agg-rule", "not a rate", ask(`max_over_time(x_total{job=~"$job", instance=~"$instance"}[5m])`)},
		{"target-datasource", "fixed source", func(d map[string]any) { at(d, "panels", 1, "targets", 0, "datasource")["uid"] = "P1" }},
		{"target-variables", "unknown variable", ask(`go_goroutines{job=~"$job", instance=~"$instance", a="$route"}`)},
		{"target-shape", "no name", func(d map[string]any) { at(d, "panels", 1, "targets", 0)["legendFormat"] = "" }},
		{"target-shape", "neither range nor instant", func(d map[string]any) { at(d, "panels", 1, "targets", 0)["range"] = false }},
		{"target-shape", "table on lines", func(d map[string]any) { at(d, "panels", 1, "targets", 0)["format"] = "table" }},
	} {
		t.Run(c.rule+"/"+strings.ReplaceAll(c.does, " ", "_"), func(t *testing.T) {
			whole := sample(expr)
			if found := lint(reread(t, whole)); len(found) != 0 {
				t.Fatalf("the good dashboard breaks %+v", found)
			}
			c.harm(whole)
			found := lint(reread(t, whole))
			if !slices.ContainsFunc(found, func(f finding) bool { return f.rule == c.rule }) {
				t.Errorf("not found; found only %+v", found)
			}
		})
	}
}

// at walks to an object inside objects and lists.
func at(d any, path ...any) map[string]any {
	for _, step := range path {
		switch s := step.(type) {
		case string:
			d = d.(map[string]any)[s]
		case int:
			d = d.([]any)[s]
		}
	}
	return d.(map[string]any)
}

// reread writes and reads, as a file would.
func reread(t *testing.T, d map[string]any) board {
	t.Helper()
	b, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, b)
}

// sample is a small dashboard that breaks no rule.
func sample(expr string) map[string]any {
	var d map[string]any
	text := fmt.Sprintf(`{
	  "uid": "a-sample", "title": "Sample", "description": "One panel.", "tags": ["tidemark"], "editable": false,
	  "schemaVersion": 42, "refresh": "30s", "time": {"from": "now-1h", "to": "now"},
	  "links": [{"type": "dashboards", "tags": ["tidemark"]}],
	  "templating": {"list": [
	    {"name": "datasource", "type": "datasource", "label": "Data source", "query": "prometheus"},
	    {"name": "job", "type": "query", "label": "Job", "query": "label_values(up, job)", "datasource": {"type": "prometheus", "uid": "${datasource}"},
	     "multi": true, "includeAll": true, "allValue": ".+", "refresh": 2},
	    {"name": "instance", "type": "query", "label": "Instance", "query": {"query": "label_values(up{job=~\"$job\"}, instance)"},
	     "datasource": {"type": "prometheus", "uid": "${datasource}"}, "multi": true, "includeAll": true, "allValue": ".+", "refresh": 2}
	  ]},
	  "annotations": {"list": [{"name": "a", "datasource": {"type": "prometheus", "uid": "${datasource}"},
	    "expr": "ALERTS{alertstate=\"firing\"}", "target": {"expr": "ALERTS{alertstate=\"firing\"}"}}]},
	  "panels": [
	    {"id": 1, "type": "row", "title": "Row", "gridPos": {"x": 0, "y": 0, "w": 24, "h": 1}},
	    {"id": 2, "type": "timeseries", "title": "Panel", "description": "What it shows.", "gridPos": {"x": 0, "y": 1, "w": 12, "h": 8},
	     "datasource": {"type": "prometheus", "uid": "${datasource}"}, "fieldConfig": {"defaults": {"unit": "s"}},
	     "targets": [{"refId": "A", "range": true, "legendFormat": "x", "datasource": {"type": "prometheus", "uid": "${datasource}"}, "expr": %q}]}
	  ]}`, expr)
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		panic(err)
	}
	return d
}
