package dashboards

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/prometheus/prometheus/promql/parser"
)

// catalogue is which labels a series may have, by its name.
type catalogue map[string][]string

var metricLine = regexp.MustCompile("(?m)^\\| `([a-z0-9_]+)` \\| ([a-z ]+) \\| [a-z]* \\| ([a-z_`, ]*) \\|")

// readCatalogue reads docs/metrics.md, the rule files' records, and adds what Prometheus makes.
func readCatalogue(t *testing.T) catalogue {
	t.Helper()
	c := catalogue{
		"up":     {"job", "instance"},
		"ALERTS": {"job", "instance", "alertname", "alertstate", "severity"},
	}
	for _, m := range metricLine.FindAllStringSubmatch(read(t, "../docs/metrics.md"), -1) {
		labels := append(strings.FieldsFunc(m[3], func(r rune) bool { return strings.ContainsRune("`, ", r) }), "job", "instance")
		switch m[2] {
		case "histogram":
			c[m[1]+"_bucket"], c[m[1]+"_sum"], c[m[1]+"_count"] = append(slices.Clip(labels), "le"), labels, labels
		case "summary":
			c[m[1]], c[m[1]+"_sum"], c[m[1]+"_count"] = append(slices.Clip(labels), "quantile"), labels, labels
		default:
			c[m[1]] = labels
		}
	}
	if len(c) < 50 {
		t.Fatalf("docs/metrics.md lists only %v", c)
	}
	for _, file := range ruleFiles(t) {
		for _, name := range recorded(t, file) {
			c[name] = []string{"job"}
		}
	}
	return c
}

// recorded are the names of a rule file's recording rules.
func recorded(t *testing.T, file string) []string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var rules struct {
		Groups []struct {
			Rules []struct{ Record string }
		}
	}
	if err := yaml.Unmarshal(b, &rules); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			if r.Record != "" {
				names = append(names, r.Record)
			}
		}
	}
	return names
}

// TestCatalogue: every series and every label that a dashboard names is one of the service, of its
// alert file or of Prometheus.
func TestCatalogue(t *testing.T) {
	c := readCatalogue(t)
	for _, b := range boards(t) {
		for _, p := range b.drawn() {
			for _, target := range p.Targets {
				for _, missing := range c.missing(t, b, target.Expr) {
					t.Errorf("%s, %s: there is no %s: %s", b.File, p.Title, missing, target.Expr)
				}
			}
		}
	}
}

// missing are the series and labels of a query that nobody makes.
func (c catalogue) missing(t *testing.T, b board, text string) []string {
	t.Helper()
	expr, err := b.readable(text)
	if err != nil {
		t.Fatal(err)
	}
	var none []string
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		switch n := node.(type) {
		case *parser.VectorSelector:
			labels, ok := c[n.Name]
			if !ok {
				none = append(none, n.Name)
			}
			for _, m := range n.LabelMatchers {
				if ok && m.Name != "__name__" && !slices.Contains(labels, m.Name) {
					none = append(none, n.Name+"{"+m.Name+"}")
				}
			}
		case *parser.AggregateExpr:
			for _, label := range n.Grouping {
				if !n.Without && !slices.Contains(c.labels(n.Expr), label) {
					none = append(none, "label "+label)
				}
			}
		}
		return nil
	})
	return none
}

// labels are those of all series in an expression.
func (c catalogue) labels(expr parser.Expr) []string {
	var all []string
	for _, selector := range parser.ExtractSelectors(expr) {
		for _, m := range selector {
			if m.Name == "__name__" {
				all = append(all, c[m.Value]...)
			}
		}
	}
	return all
}

// TestCatalogueFindsFaults: a query that names what is not there is found.
func TestCatalogueFindsFaults(t *testing.T) {
	c := catalogue{"good": {"job", "a"}}
	for query, want := range map[string]string{
		`sum by (a) (good{job="x"})`: "",
		`bad`:                        "bad",
		`good{b="1"}`:                "good{b}",
		`sum by (b) (good)`:          "label b",
		`good / rate(bad[5m])`:       "bad",
	} {
		if got := strings.Join(c.missing(t, board{}, query), " "); got != want {
			t.Errorf("%s: %q is missing, want %q", query, got, want)
		}
	}
}

// TestObjectives: the dashboards measure by the budgets that the alerts have.
func TestObjectives(t *testing.T) {
	var rules strings.Builder
	for _, file := range ruleFiles(t) {
		rules.WriteString(read(t, file))
	}
	for bad, budget := range map[string]string{"failed": "0.001", "slow": "0.01"} {
		ratio := "job:tidemark_requests_" + bad + ":ratio1h"
		if !strings.Contains(rules.String(), ratio+" > 14.4 * "+budget+" ") {
			t.Errorf("no alert compares %s with 14.4 * %s", ratio, budget)
		}
		seen := false
		for _, b := range boards(t) {
			for _, p := range b.drawn() {
				for _, target := range p.Targets {
					seen = seen || target.Expr == ratio+`{job=~"$job"} / `+budget
				}
			}
		}
		if !seen {
			t.Errorf("no dashboard divides %s by %s", ratio, budget)
		}
	}
}
