package alerts

import (
	"bytes"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/tidemark-obs/tidemark/internal/tooltest"
)

const runbooks = "https://github.com/tidemark-obs/tidemark/blob/main/docs/runbooks/"

// promised are the alerts that users and other programs know by name.
func promised() []string {
	return []string{"TidemarkSlowRequests", "TidemarkHighErrorRate", "TidemarkHighCPU", "TidemarkHighMemory",
		"TidemarkHighDisk", "TidemarkEventsNotStored", "TidemarkEventsLost", "TidemarkLedgerImbalance",
		"TidemarkJournalFilling", "TidemarkRejectedEvents", "TidemarkDestinationFailing", "TidemarkScrapeMissing"}
}

type rule struct {
	Record      string            `yaml:"record"`
	Alert       string            `yaml:"alert"`
	Expr        string            `yaml:"expr"`
	For         *string           `yaml:"for"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

// ruleFile is read strictly: a key of a newer Prometheus would keep an older one from starting.
type ruleFile struct {
	Groups []struct {
		Name     string `yaml:"name"`
		Interval string `yaml:"interval"`
		Rules    []rule `yaml:"rules"`
	} `yaml:"groups"`
}

func shipped(t *testing.T) []rule {
	t.Helper()
	names, err := fs.Glob(Files, "*.rules.yaml")
	if err != nil || len(names) == 0 {
		t.Fatalf("no rule file is embedded: %v", err)
	}
	var all []rule
	for _, name := range names {
		b, err := fs.ReadFile(Files, name)
		if err != nil {
			t.Fatal(err)
		}
		var f ruleFile
		if err := yaml.NewDecoder(bytes.NewReader(b), yaml.Strict()).Decode(&f); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, g := range f.Groups {
			all = append(all, g.Rules...)
		}
	}
	return all
}

func TestEveryAlertIsWhole(t *testing.T) {
	there := map[string]bool{}
	for _, r := range shipped(t) {
		if r.Alert == "" {
			continue
		}
		there[r.Alert] = true
		if r.For == nil {
			t.Errorf("%s has no for", r.Alert)
		}
		if s := r.Labels["severity"]; !slices.Contains([]string{"critical", "warning", "info"}, s) {
			t.Errorf("%s has the severity %q", r.Alert, s)
		}
		for _, name := range []string{"summary", "description"} {
			if r.Annotations[name] == "" {
				t.Errorf("%s has no %s", r.Alert, name)
			}
		}
		if want := runbooks + r.Alert + ".md"; r.Annotations["runbook_url"] != want {
			t.Errorf("%s has the runbook %q, not %q", r.Alert, r.Annotations["runbook_url"], want)
		}
	}
	for _, name := range promised() {
		if !there[name] {
			t.Errorf("%s is missing", name)
		}
	}
}

func TestEveryAlertHasARunbook(t *testing.T) {
	want := map[string]bool{}
	for _, r := range shipped(t) {
		if r.Alert != "" {
			want[r.Alert] = true
		}
	}
	for name := range want {
		b, err := os.ReadFile(filepath.Join("..", "docs", "runbooks", name+".md"))
		if err != nil {
			t.Error(err)
			continue
		}
		text := string(b)
		for _, part := range []string{"# " + name + "\n", "\n## What it means\n", "\n## What users notice\n",
			"\n## Look\n", "\n## Do\n", "\n## Silence and tune\n"} {
			if !strings.Contains(text, part) {
				t.Errorf("the runbook of %s has no %q", name, strings.TrimSpace(part))
			}
		}
	}
	files, err := filepath.Glob("../docs/runbooks/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if name := strings.TrimSuffix(filepath.Base(f), ".md"); !want[name] {
			t.Errorf("%s is the runbook of no alert", f)
		}
	}
}

// TestEveryAlertIsTested looks into the tests that promtool runs: each alert must be seen firing,
// with all its severities, and be seen silent.
func TestEveryAlertIsTested(t *testing.T) {
	type key struct{ alert, severity string }
	fires, silent := map[key]bool{}, map[string]bool{}
	files, err := filepath.Glob("tests/*.test.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var f struct {
			Tests []struct {
				Alerts []struct {
					Alert string `yaml:"alertname"`
					Want  []struct {
						Labels map[string]string `yaml:"exp_labels"`
					} `yaml:"exp_alerts"`
				} `yaml:"alert_rule_test"`
			} `yaml:"tests"`
		}
		if err := yaml.Unmarshal(b, &f); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, test := range f.Tests {
			for _, a := range test.Alerts {
				silent[a.Alert] = silent[a.Alert] || len(a.Want) == 0
				for _, w := range a.Want {
					fires[key{a.Alert, w.Labels["severity"]}] = true
				}
			}
		}
	}
	for _, r := range shipped(t) {
		if r.Alert == "" {
			continue
		}
		k := key{r.Alert, r.Labels["severity"]}
		if !fires[k] {
			t.Errorf("no test makes %s with severity %s fire", k.alert, k.severity)
		}
		if !silent[r.Alert] {
			t.Errorf("no test wants %s silent", r.Alert)
		}
		delete(fires, k)
	}
	if len(fires) > 0 {
		t.Errorf("tests of alerts that are not: %v", slices.Collect(maps.Keys(fires)))
	}
}

// TestEveryPrometheusAgrees runs the rules' own tests with the pinned promtool and with the
// distribution's, which is years older.
func TestEveryPrometheusAgrees(t *testing.T) {
	rules, err := filepath.Glob("*.rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	tests, err := filepath.Glob("tests/*.test.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, of := range []struct {
		name string
		find func(testing.TB, ...string) string
	}{{"pinned", tooltest.Find}, {"distribution", tooltest.Installed}} {
		t.Run(of.name, func(t *testing.T) {
			t.Parallel()
			promtool := of.find(t, "promtool")
			for _, args := range [][]string{
				append([]string{"check", "rules", "--lint=all", "--lint-fatal"}, rules...),
				append([]string{"test", "rules"}, tests...),
			} {
				if out, err := exec.CommandContext(t.Context(), promtool, args...).CombinedOutput(); err != nil {
					t.Errorf("%s %s: %v\n%s", promtool, strings.Join(args[:2], " "), err, out)
				}
			}
		})
	}
}
