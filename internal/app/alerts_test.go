package app

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const fastRules = `groups:
  - name: test
    rules:
      - {record: "up:double", expr: up * 2}
      - {alert: Up, expr: up == 1, labels: {severity: info}}
`

// watched is a configuration that evaluates the rules ten times a second.
func watched(t *testing.T, rules string) (cfg Config, file string) {
	t.Helper()
	cfg = testConfig(t.TempDir())
	file = filepath.Join(t.TempDir(), "a.rules.yaml")
	if err := os.WriteFile(file, []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg.Alerts.Rules = []string{file}
	cfg.Alerts.EvaluationInterval = Duration(100 * time.Millisecond)
	cfg.Alerts.ScrapeInterval = cfg.Alerts.EvaluationInterval
	return cfg, file
}

// await asks until the query has a result.
func await(t *testing.T, a *App, query string) string {
	t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	for {
		_, answer := call(t, a, "GET", "/api/v1/query?query="+query, "")
		data, _ := answer["data"].(map[string]any)
		if result, _ := data["result"].([]any); len(result) > 0 {
			text, _ := json.Marshal(result)
			return string(text)
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %v", query, answer)
		}
		<-time.After(20 * time.Millisecond)
	}
}

func TestAlertsOfTheService(t *testing.T) {
	cfg, file := watched(t, fastRules)
	log := new(logBuffer)
	next := cfg
	a := start(t, cfg, Options{Log: log, Config: func() (Config, error) { return next, next.Check() }})
	if got := await(t, a, "up:double"); !strings.Contains(got, `"job":"tidemark"`) || !strings.Contains(got, a.Addr().String()) {
		t.Errorf("recorded %s", got)
	}
	await(t, a, `tidemark_metric_store_up`)
	await(t, a, `ALERTS{alertstate="firing"}`)
	if text := log.String(); !strings.Contains(text, "alert fires") {
		t.Errorf("the log does not tell of the alert:\n%s", text)
	}

	if err := os.WriteFile(file, []byte(strings.Replace(fastRules, "up * 2", "up *", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	next.Limits.Tags = 1
	if err := a.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("the reload with a broken rule: %v", err)
	}
	if status, _ := call(t, a, "POST", "/api/analytics/track", `{"event": "n", "tags": ["a", "b"]}`); status != 200 {
		t.Error("a part of the broken reload was applied")
	}
	if err := os.WriteFile(file, []byte(strings.Replace(fastRules, "up * 2", "up * 3", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := a.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	await(t, a, "up:double==3")
}

func TestBrokenRulesAreRefusedAtTheStart(t *testing.T) {
	cfg, file := watched(t, "groups:\n  - name: x\n    rules:\n      - {alert: A, expr: up, annotations: {summary: '{{ $x }}'}}\n")
	a, err := New(cfg, Options{Log: new(logBuffer)})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Start(t.Context()); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("started with %v", err)
	}
}

func TestAlertsSwitchedOff(t *testing.T) {
	cfg := testConfig(t.TempDir())
	cfg.Alerts.Enabled = false
	a := start(t, cfg, Options{})
	if status, _ := call(t, a, "GET", "/api/v1/query?query=up", ""); status != 404 {
		t.Errorf("status %d", status)
	}
	if _, err := os.Stat(filepath.Join(cfg.Data.Dir, "metrics")); err == nil {
		t.Error("there is a metric store")
	}
}

// TestBuiltInRules runs in a directory without rule files.
func TestBuiltInRules(t *testing.T) {
	t.Chdir(t.TempDir())
	a := start(t, testConfig(t.TempDir()), Options{})
	deadline := time.Now().Add(2 * time.Minute)
	for {
		_, answer := call(t, a, "GET", "/api/v1/rules", "")
		if strings.Contains(fmt.Sprint(answer), "TidemarkEventsLost") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(answer)
		}
		<-time.After(20 * time.Millisecond)
	}
}

func TestCheckRules(t *testing.T) {
	for text, want := range map[string]string{
		"groups: []\n": "",
		fastRules:      "",
		"groups:\n  - name: x\n    rules:\n      - alert: A\n        expr: up +\n":                                 ":5:group",
		"groups:\n  - name: x\n    rulez: []\n":                                                                    ":3:field rulez",
		"groups:\n  - name: x\n    rules:\n      - {alert: A, expr: up}\n  - name: x\n":                            "groupname",
		"groups:\n  - name: x\n    rules:\n      - {alert: A, expr: up, annotations: {summary: '{{ $labels.x'}}\n": "template",
		"groups:\n  - name: x\n    rules:\n      - {record: a b, expr: up, labels: {__name__: z}}\n":               "label",
	} {
		file := filepath.Join(t.TempDir(), "a[1].yaml") // no pattern
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := CheckRules(file)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), file) || !strings.Contains(strings.ReplaceAll(err.Error(), ": ", ":"), want)) {
			t.Errorf("%q: %v, want an error with %q", text, err, want)
		}
	}
	if _, err := CheckRules("nowhere.yaml"); err == nil || !strings.Contains(err.Error(), "nowhere.yaml") {
		t.Errorf("a file that is not there: %v", err)
	}
}
