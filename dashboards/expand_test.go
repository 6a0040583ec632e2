package dashboards

import (
	"regexp"
	"strings"

	"github.com/prometheus/prometheus/promql/parser"
)

// rateInterval and wholeRange stand for Grafana's own variables where a query is only parsed. They
// are lengths that nobody writes by hand, so that a rule can tell them from a fixed one.
const (
	rateInterval = "7m13s"
	wholeRange   = "53m17s"
)

var reference = regexp.MustCompile(`\$(?:\{(\w+)\}|(\w+))`)

// references are the names of the variables in a text.
func references(text string) []string {
	var names []string
	for _, m := range reference.FindAllStringSubmatch(text, -1) {
		names = append(names, m[1]+m[2])
	}
	return names
}

// fill puts values in the place of variables; one without a value stays.
func fill(text string, values map[string]string) string {
	return reference.ReplaceAllStringFunc(text, func(ref string) string {
		if v, ok := values[strings.Trim(ref, "${}")]; ok {
			return v
		}
		return ref
	})
}

// readable makes a query that can be parsed: Grafana's variables and those of choice get a value,
// those in matchers stay as they are, for rules look at them.
func (b board) readable(expr string) (parser.Expr, error) {
	values := map[string]string{"__rate_interval": rateInterval, "__range": wholeRange}
	for _, v := range b.Templating.List {
		if v.Type == "custom" {
			values[v.Name], _ = v.Current.Value.(string)
		}
	}
	return parser.NewParser(parser.Options{}).ParseExpr(fill(expr, values))
}
