package dashboards

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// The rules of github.com/grafana/dashboard-linter, by their names there, and some of our own.
// Where the linter looks only at the panel types it knows, these look at all. Its two rules about
// LogQL do not apply: no query here is for Loki.

// finding is a rule broken somewhere; panel and target are empty and -1 where it is the dashboard.
type finding struct {
	rule, panel string
	target      int
	message     string
}

type rule struct {
	name  string
	check func(b board, report func(panel string, target int, format string, args ...any))
}

// lint returns every breach of every rule.
func lint(b board) []finding {
	var found []finding
	for _, r := range slices.Concat(boardRules, panelRules, targetRules) {
		r.check(b, func(panel string, target int, format string, args ...any) {
			found = append(found, finding{r.name, panel, target, fmt.Sprintf(format, args...)})
		})
	}
	return found
}

type report = func(panel string, target int, format string, args ...any)

var boardRules = []rule{
	{"template-datasource-rule", func(b board, report report) {
		v, ok := b.variable("datasource")
		if !ok || v.Type != "datasource" || v.question() != "prometheus" || v.Label != "Data source" {
			report("", -1, "no variable datasource of Prometheus, labelled Data source: %+v", v)
		}
	}},
	{"template-job-rule", func(b board, report report) { labelVariable(b, "job", "Job", report) }},
	{"template-instance-rule", func(b board, report report) { labelVariable(b, "instance", "Instance", report) }},
	{"template-label-promql-rule", func(b board, report report) {
		for _, v := range b.Templating.List {
			if v.Type != "query" {
				continue
			}
			if err := labelQuery(v.question()); err != nil {
				report("", -1, "variable %s: %v", v.Name, err)
			}
		}
	}},
	{"template-on-time-change-reload-rule", func(b board, report report) {
		for _, v := range b.Templating.List {
			if v.Type == "query" && v.Refresh != 2 {
				report("", -1, "variable %s is not read again when the time range changes", v.Name)
			}
		}
	}},
	{"uneditable-dashboard", func(b board, report report) {
		if b.Editable {
			report("", -1, "can be edited; provisioning would undo it")
		}
	}},
	{"complete", func(b board, report report) {
		if b.Title == "" || b.Description == "" || len(b.UID) < 8 || len(b.UID) > 40 || b.SchemaVersion < 39 {
			report("", -1, "title %q, description %q, uid %q, schema %d", b.Title, b.Description, b.UID, b.SchemaVersion)
		}
		if !slices.Contains(b.Tags, "tidemark") || len(b.Links) != 1 || !slices.Contains(b.Links[0].Tags, "tidemark") {
			report("", -1, "not linked with the other dashboards: tags %v, links %v", b.Tags, b.Links)
		}
		if b.Refresh != "30s" || b.Time.From != "now-1h" || b.Time.To != "now" {
			report("", -1, "refreshes every %q and shows %v", b.Refresh, b.Time)
		}
	}},
	{"annotation", func(b board, report report) {
		if len(b.Annotations.List) != 1 {
			report("", -1, "%d annotations", len(b.Annotations.List))
			return
		}
		a := b.Annotations.List[0]
		if a.Datasource.UID != "${datasource}" || a.Expr != a.Target.Expr || !strings.Contains(a.Expr, `alertstate="firing"`) {
			report("", -1, "annotation %+v", a)
		}
		if _, err := b.readable(a.Expr); err != nil {
			report("", -1, "annotation: %v", err)
		}
	}},
	{"layout", layout},
}

func labelVariable(b board, name, label string, report report) {
	v, ok := b.variable(name)
	switch {
	case !ok:
		report("", -1, "no variable %s", name)
	case v.Type != "query", v.Datasource.UID != "${datasource}", v.Label != label, !v.Multi, v.AllValue != ".+":
		report("", -1, "variable %s must be a query of ${datasource}, labelled %s, with many values, all as .+: %+v", name, label, v)
	case !v.IncludeAll:
		report("", -1, "variable %s does not offer all", name)
	}
}

var labelCall = regexp.MustCompile(`^(\w+)\((.+),\s*(\w+)\)$`)

// labelQuery checks label_values(selector, label), the one function that is used here.
func labelQuery(query string) error {
	m := labelCall.FindStringSubmatch(query)
	if m == nil || m[1] != "label_values" {
		return fmt.Errorf("%q is not label_values(selector, label)", query)
	}
	_, err := parser.NewParser(parser.Options{}).ParseExpr(m[2])
	return err
}

// layout: panels have numbers of their own, lie inside the grid and not on each other.
func layout(b board, report report) {
	for i, p := range b.Panels {
		if p.ID == 0 || p.GridPos.W == 0 || p.GridPos.H == 0 || p.GridPos.X+p.GridPos.W > 24 {
			report(p.Title, -1, "panel %d at %+v", p.ID, p.GridPos)
		}
		for _, o := range b.Panels[:i] {
			if o.ID == p.ID || p.Title == o.Title {
				report(p.Title, -1, "has number %d or title in common with %q", p.ID, o.Title)
			}
			g, h := p.GridPos, o.GridPos
			if g.X < h.X+h.W && h.X < g.X+g.W && g.Y < h.Y+h.H && h.Y < g.Y+g.H {
				report(p.Title, -1, "lies on %q", o.Title)
			}
		}
	}
}

var panelRules = []rule{
	{"panel-datasource-rule", func(b board, report report) {
		for _, p := range b.drawn() {
			if p.Datasource != (source{"prometheus", "${datasource}"}) {
				report(p.Title, -1, "asks %v", p.Datasource)
			}
		}
	}},
	{"panel-title-description-rule", func(b board, report report) {
		for _, p := range b.drawn() {
			if p.Title == "" || p.Description == "" {
				report(p.Title, -1, "title %q, description %q", p.Title, p.Description)
			}
		}
	}},
	{"panel-units-rule", func(b board, report report) {
		for _, p := range b.drawn() {
			units := []string{p.FieldConfig.Defaults.Unit}
			for _, o := range p.FieldConfig.Overrides {
				for _, c := range o.Properties {
					if c.ID == "unit" {
						units = append(units, fmt.Sprint(c.Value))
					}
				}
			}
			for _, u := range units {
				if !slices.Contains(knownUnits, u) {
					report(p.Title, -1, "unit %q", u)
				}
			}
		}
	}},
	{"panel-no-targets-rule", func(b board, report report) {
		for _, p := range b.drawn() {
			if len(p.Targets) == 0 {
				report(p.Title, -1, "asks nothing")
			}
		}
	}},
}

// knownUnits are those of Grafana's units that the dashboards use.
var knownUnits = []string{"short", "none", "percentunit", "s", "bytes", "Bps", "reqps", "cps", "dateTimeFromNow"}

var targetRules = []rule{
	targetRule("target-promql-rule", func(b board, _ panel, t target) error {
		_, err := b.readable(t.Expr)
		return err
	}),
	queryRule("target-rate-interval-rule", func(node parser.Node, path []parser.Node) error {
		m, ok := node.(*parser.MatrixSelector)
		if !ok || len(path) == 0 {
			return nil
		}
		call, ok := path[len(path)-1].(*parser.Call)
		if ok && (call.Func.Name == "rate" || call.Func.Name == "irate") && m.Range != duration(rateInterval) {
			return fmt.Errorf("%s over %v and not $__rate_interval", call.Func.Name, m.Range)
		}
		return nil
	}),
	queryRule("target-job-rule", hasMatcher("job")),
	queryRule("target-instance-rule", hasMatcher("instance")),
	queryRule("target-counter-agg-rule", func(node parser.Node, path []parser.Node) error {
		v, ok := node.(*parser.VectorSelector)
		if !ok || !strings.HasSuffix(v.Name, "_total") {
			return nil
		}
		if len(path) >= 2 {
			_, ranged := path[len(path)-1].(*parser.MatrixSelector)
			call, called := path[len(path)-2].(*parser.Call)
			if ranged && called && slices.Contains([]string{"rate", "irate", "increase"}, call.Func.Name) {
				return nil
			}
		}
		return fmt.Errorf("counter %s without rate, irate or increase", v.Name)
	}),
	targetRule("target-datasource", func(_ board, _ panel, t target) error {
		if t.Datasource != (source{"prometheus", "${datasource}"}) {
			return fmt.Errorf("asks %v", t.Datasource)
		}
		return nil
	}),
	targetRule("target-variables", func(b board, _ panel, t target) error {
		for _, name := range references(t.Expr) {
			if _, ok := b.variable(name); !ok && name != "__rate_interval" && name != "__range" {
				return fmt.Errorf("names the variable %s, which is none", name)
			}
		}
		return nil
	}),
	targetRule("target-shape", func(_ board, p panel, t target) error {
		same := 0
		for _, o := range p.Targets {
			if o.RefID == t.RefID {
				same++
			}
		}
		switch {
		case t.RefID == "" || same > 1:
			return fmt.Errorf("refId %q on %d queries", t.RefID, same)
		case t.Instant == t.Range:
			return fmt.Errorf("instant %v and range %v", t.Instant, t.Range)
		case (t.Format == "table") != (p.Type == "table") || (t.Format == "heatmap") != (p.Type == "heatmap"):
			return fmt.Errorf("format %q on a %s", t.Format, p.Type)
		case t.Format != "table" && t.LegendFormat == "":
			return fmt.Errorf("its series have no name")
		}
		return nil
	}),
}

func targetRule(name string, check func(board, panel, target) error) rule {
	return rule{name, func(b board, report report) {
		for _, p := range b.drawn() {
			for i, t := range p.Targets {
				if err := check(b, p, t); err != nil {
					report(p.Title, i, "%v in %s", err, t.Expr)
				}
			}
		}
	}}
}

// queryRule looks at each node of each query; a query that cannot be read breaks another rule.
func queryRule(name string, check func(node parser.Node, path []parser.Node) error) rule {
	return targetRule(name, func(b board, _ panel, t target) error {
		expr, err := b.readable(t.Expr)
		if err != nil {
			return nil
		}
		var first error
		parser.Inspect(expr, func(node parser.Node, path []parser.Node) error {
			if err := check(node, path); err != nil && first == nil {
				first = err
			}
			return nil
		})
		return first
	})
}

// hasMatcher wants label=~"$label" on every selector.
func hasMatcher(label string) func(parser.Node, []parser.Node) error {
	return func(node parser.Node, _ []parser.Node) error {
		v, ok := node.(*parser.VectorSelector)
		if !ok || slices.ContainsFunc(v.LabelMatchers, func(m *labels.Matcher) bool {
			return m.Name == label && m.Type == labels.MatchRegexp && m.Value == "$"+label
		}) {
			return nil
		}
		return fmt.Errorf("%s lacks %s=~\"$%s\"", v.Name, label, label)
	}
}

func duration(text string) time.Duration {
	d, err := time.ParseDuration(text)
	if err != nil {
		panic(err)
	}
	return d
}
