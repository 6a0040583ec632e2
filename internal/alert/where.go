package alert

import (
	"fmt"
	"slices"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
)

// maxInlined is how many recorded series may stand upon one another.
const maxInlined = 8

// With alerts.query_url the samples are at another server, but what rules record is here. So a
// query that reads only recorded series is answered here, one that reads none is answered there,
// and in one that reads both, the expressions of the recorded series take their places.

// split says where a query is to be answered, and in which form. missing are recorded series
// that the other server would have to know for the answer to be right.
func (s *RuleSet) split(query string) (here bool, form string, missing []string) {
	selectors, err := s.selectors(query)
	if err != nil {
		return false, query, nil // the server says what is wrong with it
	}
	recorded := 0
	for _, sel := range selectors {
		if s.isRecorded(sel.Name) {
			recorded++
		}
	}
	if recorded > 0 && recorded == len(selectors) {
		return true, query, nil
	}
	form, missing = s.inline(query, selectors, 0)
	return false, form, missing
}

// selector is a selector of series, and whether it is one of a range.
type selector struct {
	*parser.VectorSelector
	ranged bool
}

func (s *RuleSet) selectors(query string) (all []selector, err error) {
	expr, err := s.parser.ParseExpr(query)
	if err != nil {
		return nil, err
	}
	parser.Inspect(expr, func(n parser.Node, path []parser.Node) error {
		if v, ok := n.(*parser.VectorSelector); ok {
			ranged := false
			if len(path) > 0 {
				_, ranged = path[len(path)-1].(*parser.MatrixSelector)
			}
			all = append(all, selector{v, ranged})
		}
		return nil
	})
	return all, nil
}

func (s *RuleSet) isRecorded(name string) bool {
	return name == "ALERTS" || name == "ALERTS_FOR_STATE" || len(s.recorded[name]) > 0
}

// inline puts expressions in the places of recorded series, from the end, so that positions hold.
func (s *RuleSet) inline(query string, selectors []selector, depth int) (form string, missing []string) {
	slices.SortFunc(selectors, func(a, b selector) int { return int(b.PosRange.Start - a.PosRange.Start) })
	for _, sel := range selectors {
		if !s.isRecorded(sel.Name) {
			continue
		}
		expr, ok := s.expression(sel)
		if !ok || depth == maxInlined {
			missing = append(missing, sel.Name)
			continue
		}
		inner, err := s.selectors(expr)
		if err != nil { // it was found valid
			missing = append(missing, sel.Name)
			continue
		}
		text, more := s.inline(expr, inner, depth+1)
		missing = append(missing, more...)
		query = query[:sel.PosRange.Start] + "(" + text + ")" + query[sel.PosRange.End:]
	}
	return query, missing
}

// expression is what a selector of a recorded series stands for, where one expression alone is.
func (s *RuleSet) expression(sel selector) (string, bool) {
	plain := !sel.ranged && sel.OriginalOffset == 0 && sel.OriginalOffsetExpr == nil && sel.Timestamp == nil && sel.StartOrEnd == 0
	for _, m := range sel.LabelMatchers {
		plain = plain && m.Name == model.MetricNameLabel
	}
	from := s.recorded[sel.Name]
	if !plain || len(from) != 1 || from[0].labelled {
		return "", false
	}
	if from[0].scalar {
		return "vector(" + from[0].expr + ")", true // which it becomes when it is recorded
	}
	return from[0].expr, true
}

// recording is one rule that records a series.
type recording struct {
	expr     string
	labelled bool // the rule adds labels
	scalar   bool
}

func (s *RuleSet) addRecordings(groups *rulefmt.RuleGroups) {
	for _, g := range groups.Groups {
		for _, r := range g.Rules {
			if r.Record == "" {
				continue
			}
			expr, err := s.parser.ParseExpr(r.Expr)
			s.recorded[r.Record] = append(s.recorded[r.Record], recording{
				expr: r.Expr, labelled: len(r.Labels)+len(g.Labels) > 0,
				scalar: err == nil && expr.Type() == parser.ValueTypeScalar,
			})
		}
	}
}

// unreachable tells which rules read series that another server would have to know.
func (s *RuleSet) unreachable() []string {
	var all []string
	for _, file := range s.files {
		for _, g := range s.groups[file].Groups {
			for _, r := range g.Rules {
				if _, _, missing := s.split(r.Expr); len(missing) > 0 {
					all = append(all, fmt.Sprintf("%s%s reads %s", r.Alert, r.Record, strings.Join(missing, ", ")))
				}
			}
		}
	}
	return all
}
