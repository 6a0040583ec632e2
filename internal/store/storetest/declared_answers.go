package storetest

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/tidemark-obs/tidemark/internal/declared"
	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/question"
	"github.com/tidemark-obs/tidemark/internal/question/questiontest"
)

// declares opens the database with a declaration.
func (b *bench) declares(c declared.Config) {
	b.Helper()
	set, err := declared.New(c, "statistics")
	b.ok(err)
	b.cfg.Declared = set
	b.reopen()
	b.ok(b.store.TidyRollups(b.Context()))
}

// everyShape declares the properties of a workload.
func everyShape(budget int) declared.Config {
	var c declared.Config
	for i, property := range []string{"plan", "amount", `a\.b`, "deep.k", "deep.0", "metadata.plan", "missing"} {
		c.Dimensions = append(c.Dimensions, declared.DimensionConfig{Property: property, Values: budget, Label: fmt.Sprint("l", i)})
	}
	c.Dimensions = append(c.Dimensions, declared.DimensionConfig{Property: `q"x/y~z\\w`, Values: budget, Label: "q", Events: []string{"pay", "view"}})
	c.Numbers = []declared.NumberConfig{{Property: "amount"}, {Property: "deep.k.n"}, {Property: "plan", Events: []string{"pay", "été"}}}
	return c
}

var (
	declaredFields  = []string{"properties.plan", "properties.plan", "properties.amount", `properties.a\.b`, "properties.deep.k", "properties.deep.0", "metadata.plan", `properties.q"x/y~z\\w`, "properties.missing"}
	declaredMetrics = []string{"sum:amount", "avg:amount", "min:amount", "max:amount", "p50:amount", "p95:amount", "p10:amount", "sum:deep.k.n", "p50:deep.k.n", "max:plan", "p90:plan"}
	declaredNames   = []string{``, ``, `{"field":"event_name","op":"=","value":"pay"}`, `{"field":"event_name","op":"in","value":["pay","été"]}`, `{"field":"event_name","op":"!=","value":"view"}`}
	declaredWheres  = []string{
		``, ``, `{"field":%q,"op":"=","value":"pro"}`, `{"field":%q,"op":"in","value":["pro",42,true,"a\"b\\c"]}`, `{"field":%q,"op":"!=","value":"pro"}`,
		`{"field":%q,"op":">=","value":2.5}`, `{"field":%q,"op":"contains","value":"r"}`, `{"field":%q,"op":"!=","value":0},{"field":%[1]q,"op":"!=","value":"free"}`,
		`{"field":%q,"op":"exists"}`, `{"field":%q,"op":"=","value":"` + longText + `"}`,
	}
)

// askDeclared asks something that declarations may answer.
func (w *workload) askDeclared(events []event.Event) {
	w.Helper()
	metric, field := pick(w.r, "count", "count", "weighted"), pick(w.r, declaredFields...)
	conditions := []string{pick(w.r, declaredNames...)}
	by := pick(w.r, "event_name", "")
	if w.r.IntN(2) == 0 {
		metric = pick(w.r, declaredMetrics...)
	} else {
		if where := pick(w.r, declaredWheres...); where != "" {
			conditions = append(conditions, fmt.Sprintf(where, field))
		}
		by = pick(w.r, field, field, by)
	}
	conditions = slices.DeleteFunc(conditions, func(c string) bool { return c == "" })
	var p question.Parser
	where := p.Where("where", []byte("["+strings.Join(conditions, ",")+"]"))
	m, group := p.Metric("metric", metric), p.Grouping("by", by)
	w.ok(p.Err())
	groups := 1 + w.r.IntN(6)
	if m.Measure == question.Percentile {
		groups = 20
	}
	if by != "" {
		w.nearBreakdown(&question.Breakdown{Span: w.rollupSpan(), Where: where, Metric: m, By: group, Groups: groups, AsOf: epoch}, events)
	}
	line := &question.Series{Span: w.rollupSpan(), Where: where, Metric: m, GroupBy: group, Groups: groups, AsOf: epoch}
	line.Interval = pick(w.r, question.Day, question.Day, question.Week, question.Month)
	if line.Span.End.Sub(line.Span.Start) < 100*time.Hour {
		line.Interval = pick(w.r, question.Hour, question.Hour, question.Day)
	}
	w.nearSeries(line, events)
}

// nearBreakdown compares an answer with the recomputation: an exact one must be the same, in
// another each value must lie within its bound and all together be all there is.
func (b *bench) nearBreakdown(q *question.Breakdown, events []event.Event) (exact bool) {
	b.Helper()
	got, err := b.store.Breakdown(b.Context(), q)
	b.ok(err)
	if got.Exact {
		b.same(q, got, questiontest.Breakdown(q, events))
		return true
	}
	every := *q
	every.Groups = 10_000
	want := questiontest.Breakdown(&every, events)
	values, total, all := map[any]float64{}, 0.0, 0.0
	for _, row := range want.Rows {
		if row.Metric != nil {
			values[row.Value] = *row.Metric
			all += *row.Metric
		}
	}
	for _, row := range got.Rows {
		if row.Metric != nil {
			b.within(q, *row.Metric, values[row.Value], row.ErrorBound)
			total += *row.Metric
		}
	}
	if q.Metric.Measure == question.Percentile {
		if len(got.Rows) != len(want.Rows) {
			b.Fatalf("%+v: %d rows, want %d", q, len(got.Rows), len(want.Rows))
		}
		return false
	}
	if got.Other != nil {
		total += *got.Other
	}
	b.within(q, total, all, got.ErrorBound)
	return false
}

func (b *bench) nearSeries(q *question.Series, events []event.Event) {
	b.Helper()
	got, err := b.store.Series(b.Context(), q)
	b.ok(err)
	if got.Exact {
		b.same(q, got, questiontest.Series(q, events))
		return
	}
	every := *q
	every.Groups = 10_000
	want := questiontest.Series(&every, events)
	for _, line := range got.Series {
		at := slices.IndexFunc(want.Series, func(l question.Line) bool { return !line.Other && l.Group == line.Group })
		if at < 0 && !line.Other {
			b.Fatalf("%+v: a line for %v", q, line.Group)
		}
		for i, p := range line.Points {
			if at < 0 || p.Value == nil {
				continue
			}
			if v := want.Series[at].Points[i].Value; v == nil {
				b.Fatalf("%+v: %v at %v, want nothing", q, *p.Value, p.Start)
			} else {
				b.within(q, *p.Value, *v, p.ErrorBound)
			}
		}
	}
}

// within allows an answer its bound, and what addition in another order changes.
func (b *bench) within(q any, got, want, bound float64) {
	b.Helper()
	if math.Abs(got-want) > bound*max(math.Abs(got), math.Abs(want))+1e-9*max(1, math.Abs(want)) {
		b.Fatalf("%+v: %v, want %v within %v", q, got, want, bound)
	}
}

// answers fails unless a question is answered from roll-ups, or not, as wanted.
func (b *bench) answers(name string, rolled bool, ask func()) {
	b.Helper()
	before, raw := b.answered("rollup"), b.answered("raw")
	ask()
	if asked := b.answered("rollup") - before; (asked == 1) != rolled || asked+b.answered("raw")-raw != 1 {
		b.Errorf("%s: %d answered from roll-ups, %d from events", name, asked, b.answered("raw")-raw)
	}
}

func (b *bench) seriesOf(metric, by, where string) *question.Series {
	b.Helper()
	var p question.Parser
	q := &question.Series{Span: wholeSpan(), Metric: p.Metric("metric", metric), GroupBy: p.Grouping("by", by),
		Where: p.Where("where", []byte(where)), Interval: question.Month, Groups: 30, AsOf: epoch}
	b.ok(p.Err())
	return q
}
