//go:build linux

package alertstory

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/tidemark-obs/tidemark/alerts"
)

// TestTheRulesAskForWhatIsThere compares every metric and label of every expression with a real
// scrape: a rule that asks for a name nobody exports never fires, and says nothing.
func TestTheRulesAskForWhatIsThere(t *testing.T) {
	story(t)
	// Nothing is sent to this receiver; it is there for its metrics.
	s := serve(t, "notifications: {receivers: [{name: hook, type: webhook, url: 'http://127.0.0.1:9', allow_private_addresses: true}]}\n")
	destination := `{"name": "hook", "kind": "webhook", "url": "https://hook.invalid/"}`
	if _, err := call(t, "POST", s.url("/api/analytics/destinations"), destination); err != nil {
		t.Fatal(err)
	}
	for range 3 { // a metric may be there only once something was measured
		if _, err := call(t, "POST", s.url("/api/analytics/track"), `{"event": "e"}`); err != nil {
			t.Fatal(err)
		}
	}
	// The machine is read now and then: its CPU is there after the second reading.
	eventually(t, "every name of the rules is exported", func() error {
		page, err := fetch(t, s.url("/metrics"))
		if err != nil {
			return err
		}
		known, err := exported(page)
		if err != nil {
			return err
		}
		return unknown(t, known)
	})
}

// exported returns the labels of every metric, by name, as rules see them.
func exported(page []byte) (map[string][]string, error) {
	text := expfmt.NewTextParser(model.UTF8Validation)
	families, err := text.TextToMetricFamilies(bytes.NewReader(page))
	if err != nil {
		return nil, err
	}
	known := map[string][]string{"up": {}} // Prometheus' own
	for name, f := range families {
		names := labelNames(f)
		known[name] = names
		if f.GetType() == dto.MetricType_HISTOGRAM {
			known[name+"_count"], known[name+"_sum"], known[name+"_bucket"] = names, names, append([]string{"le"}, names...)
		}
	}
	return known, nil
}

// unknown lists what the rules ask for and nobody exports.
func unknown(t *testing.T, known map[string][]string) error {
	all := rules(t)
	for _, r := range all {
		if r.Record != "" {
			known[r.Record] = []string{}
		}
	}
	anywhere := slices.Concat(append(slices.Collect(maps.Values(known)), []string{"job", "instance"})...)
	var problems []error
	for _, r := range all {
		expr, err := parser.NewParser(parser.Options{}).ParseExpr(r.Expr)
		if err != nil {
			t.Fatal(err)
		}
		parser.Inspect(expr, func(n parser.Node, _ []parser.Node) error {
			var by []string
			switch n := n.(type) {
			case *parser.VectorSelector:
				problems = append(problems, selector(r.Alert+r.Record, n, known))
			case *parser.AggregateExpr:
				by = n.Grouping
			case *parser.BinaryExpr:
				if n.VectorMatching != nil {
					by = n.VectorMatching.MatchingLabels
				}
			}
			for _, name := range by {
				if !slices.Contains(anywhere, name) {
					problems = append(problems, fmt.Errorf("%s: no metric has a label %s", r.Alert+r.Record, name))
				}
			}
			return nil
		})
	}
	return errors.Join(problems...)
}

func selector(rule string, v *parser.VectorSelector, known map[string][]string) error {
	if v.Name == "" {
		// By label alone: TidemarkSeriesOverflow looks for OpenTelemetry's own label.
		if !slices.ContainsFunc(v.LabelMatchers, func(m *labels.Matcher) bool { return m.Name == "otel_metric_overflow" }) {
			return fmt.Errorf("%s: %s names no metric", rule, v)
		}
		return nil
	}
	has, ok := known[v.Name]
	if !ok {
		return fmt.Errorf("%s: nobody exports %s", rule, v.Name)
	}
	for _, m := range v.LabelMatchers {
		if !slices.Contains(append([]string{"__name__", "job", "instance"}, has...), m.Name) {
			return fmt.Errorf("%s: %s has no label %s", rule, v.Name, m.Name)
		}
	}
	return nil
}

func labelNames(f *dto.MetricFamily) []string {
	var names []string
	for _, m := range f.GetMetric() {
		for _, l := range m.GetLabel() {
			if !slices.Contains(names, l.GetName()) {
				names = append(names, l.GetName())
			}
		}
	}
	return names
}

// rules are the shipped ones, as Prometheus reads them.
func rules(t *testing.T) []rulefmt.Rule {
	t.Helper()
	files, err := fs.Glob(alerts.Files, "*.rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var all []rulefmt.Rule
	for _, name := range files {
		b, err := fs.ReadFile(alerts.Files, name)
		if err != nil {
			t.Fatal(err)
		}
		groups, errs := rulefmt.Parse(b, false, model.UTF8Validation, parser.NewParser(parser.Options{}), slog.New(slog.DiscardHandler))
		if len(errs) > 0 {
			t.Fatalf("%s: %v", name, errs)
		}
		for _, g := range groups.Groups {
			all = append(all, g.Rules...)
		}
	}
	if !slices.ContainsFunc(all, func(r rulefmt.Rule) bool { return strings.HasPrefix(r.Alert, "Tidemark") }) {
		t.Fatal("there is no alert")
	}
	return all
}
