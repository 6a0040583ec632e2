package storetest

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/question"
	"github.com/tidemark-obs/tidemark/internal/question/questiontest"
	"github.com/tidemark-obs/tidemark/internal/store"
)

func questionStories() []story {
	return []story{
		{"nothing stored", askNothing},
		{"series equal a recomputation", randomSeries},
		{"breakdowns equal a recomputation", randomBreakdowns},
		{"every condition", everyCondition},
		{"numbers at the ends of what there is", farNumbers},
	}
}

// same fails unless two answers are equal, numbers up to what addition in another order changes.
func (b *bench) same(what any, got, want any) {
	b.Helper()
	g, w := plainJSON(b, got), plainJSON(b, want)
	if where := difference("", g, w); where != "" {
		gj, _ := json.Marshal(g)
		wj, _ := json.Marshal(w)
		b.Fatalf("%+v\ndiffers at %s\ngot  %.3000s\nwant %.3000s", what, where, gj, wj)
	}
}

func plainJSON(b *bench, v any) any {
	b.Helper()
	text, err := json.Marshal(v)
	b.ok(err)
	var plain any
	b.ok(json.Unmarshal(text, &plain))
	return plain
}

// difference is the first place where two JSON values differ.
func difference(at string, a, b any) string {
	switch a := a.(type) {
	case map[string]any:
		m, ok := b.(map[string]any)
		if !ok || len(a) != len(m) {
			return at
		}
		for k := range a {
			if d := difference(at+"/"+k, a[k], m[k]); d != "" {
				return d
			}
		}
		return ""
	case []any:
		l, ok := b.([]any)
		if !ok || len(a) != len(l) {
			return at + " (length)"
		}
		for i := range a {
			if d := difference(fmt.Sprintf("%s/%d", at, i), a[i], l[i]); d != "" {
				return d
			}
		}
		return ""
	case float64:
		n, ok := b.(float64)
		if !ok || math.Abs(a-n) > 1e-9*max(1, math.Abs(a), math.Abs(n)) {
			return at
		}
		return ""
	}
	if a != b {
		return at
	}
	return ""
}

// mustParse reads a part of a question that has no fault.
func mustParse[T any](b *bench, parse func(p *question.Parser) T) T {
	b.Helper()
	var p question.Parser
	v := parse(&p)
	b.ok(p.Err())
	return v
}

var (
	zones  = []string{"UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "America/Santiago", "Pacific/Auckland"}
	fields = []string{
		"event_name", "user_id", "source", "processed", "sample_rate", "severity", "properties.plan", "properties.amount",
		`properties.a\.b`, "properties.*", `properties.q"x/y~z\\w`, "properties.deep.0", "properties.deep.k.n", "properties.deep.k",
		"properties.$", "properties.0", "properties.ü", "metadata.plan", "properties.missing",
	}
	metrics = []string{
		"count", "weighted", "users", "sessions", "sum:amount", "avg:amount", "min:amount", "max:properties.amount",
		"p50:amount", "p90:amount", "p99:plan", "p1:deep.k.n", "max:plan",
	}
	wheres = []string{
		``, ``, ``, `[{"field":"event_name","op":"in","value":["pay","été"]}]`,
		`[{"field":"properties.plan","op":"=","value":"pro"}]`, `[{"field":"properties.plan","op":"!=","value":"pro"}]`,
		`[{"field":"properties.plan","op":"in","value":["pro",42,true,"a\"b\\c"]}]`, `[{"field":"properties.amount","op":">=","value":2.5}]`,
		`[{"field":"user_id","op":"exists"},{"field":"properties.amount","op":"<","value":100}]`,
		`[{"field":"tags","op":"contains","value":"a"}]`, `[{"field":"properties.plan","op":"contains","value":"r"}]`,
		`[{"field":"properties.plan","op":"exists","value":false}]`,
	}
)

// span is a random range about one of the moments when clocks change.
func (w *workload) span() question.Span {
	zone, err := time.LoadLocation(pick(w.r, zones...))
	w.ok(err)
	if w.r.IntN(4) == 0 {
		return question.Span{Start: epoch.AddDate(-2, 0, 0), End: epoch.AddDate(1, 0, 0), Zone: zone}
	}
	start := pick(w.r, clockChanges...).Add(-time.Duration(w.r.Int64N(int64(30 * time.Hour)))).Truncate(time.Microsecond)
	return question.Span{Start: start, End: start.Add(time.Duration(1 + w.r.Int64N(int64(60*time.Hour)))).Truncate(time.Microsecond), Zone: zone}
}

func (w *workload) conditions() []question.Condition {
	text := pick(w.r, wheres...)
	return mustParse(w.bench, func(p *question.Parser) []question.Condition { return p.Where("where", []byte(text)) })
}

func (w *workload) metric() question.Metric {
	text := pick(w.r, metrics...)
	return mustParse(w.bench, func(p *question.Parser) question.Metric { return p.Metric("metric", text) })
}

func (w *workload) field() question.Field {
	text := pick(w.r, fields...)
	return mustParse(w.bench, func(p *question.Parser) question.Field { return p.Grouping("by", text) })
}

func askNothing(b *bench) {
	w := newWorkload(b, 1)
	for range 40 {
		w.askSeries()
		w.askBreakdown()
	}
}

// history is rounds of growth, each followed by questions.
func (b *bench) history(seed uint64, ask func(w *workload)) {
	w := newWorkload(b, seed)
	for range fewer(3, 1) {
		w.run(150)
		for range 50 {
			ask(w)
		}
	}
}

func randomSeries(b *bench) { b.history(2, (*workload).askSeries) }

func randomBreakdowns(b *bench) {
	b.history(3, (*workload).askBreakdown)
	if b.store.Dialect() != "duckdb" {
		return
	}
	// Else the columns of frequent properties had no part in it.
	table, err := b.store.Select(b.Context(), "SELECT count(*) FILTER (own0 IS NOT NULL) > 9, count(*) FILTER (owned = 0) > 9 FROM events", 1)
	b.ok(err)
	if table.Rows[0][0] != true || table.Rows[0][1] != true {
		b.Errorf("many rows with columns of their own, and many without: %v", table.Rows[0])
	}
}

func (w *workload) askSeries() {
	w.Helper()
	q := &question.Series{Span: w.span(), Where: w.conditions(), Metric: w.metric(), Groups: 1 + w.r.IntN(5), AsOf: pick(w.r, clockChanges...)}
	q.Interval = pick(w.r, question.Hour, question.Day, question.Week, question.Month)
	if q.Span.End.Sub(q.Span.Start) < 4*time.Hour {
		q.Interval = question.Minute
	} else if q.Interval == question.Hour && q.Span.End.Sub(q.Span.Start) > 100*time.Hour {
		q.Interval = question.Day
	}
	if w.r.IntN(3) > 0 {
		q.GroupBy = w.field()
	}
	w.sameSeries(q, w.events)
}

func (w *workload) askBreakdown() {
	w.Helper()
	q := &question.Breakdown{Span: w.span(), Where: w.conditions(), Metric: w.metric(), By: w.field(), Groups: 1 + w.r.IntN(6), AsOf: epoch}
	w.sameBreakdown(q, w.events)
}

// everyCondition tries each operator with each field and each kind of value that goes with it.
func everyCondition(b *bench) {
	w := newWorkload(b, 4)
	w.run(fewer(400, 200))
	all := question.Span{Start: epoch.AddDate(-2, 0, 0), End: epoch.AddDate(1, 0, 0), Zone: time.UTC}
	tried := 0
	for _, field := range append([]string{"timestamp", "received_at", "processed_at", "event_id", "tags", "anonymous_id"}, fields...) {
		for _, op := range []string{"=", "!=", "<", "<=", ">", ">=", "in", "contains", "exists"} {
			for _, value := range values(w.r) {
				if w.r.IntN(fewer(4, 8)) > 0 { // a part of them all
					continue
				}
				if op == "in" {
					value = "[" + value + `,"view",1]`
				}
				var p question.Parser
				raw, err := json.Marshal(map[string]any{"field": field, "op": op, "value": json.RawMessage(value)})
				b.ok(err)
				where := p.Where("where", []byte("["+string(raw)+"]"))
				if p.Err() != nil {
					continue
				}
				tried++
				q := &question.Breakdown{Span: all, Where: where, Metric: question.Metric{Measure: question.Count},
					By: question.Field{Column: question.EventName}, Groups: 100, AsOf: epoch}
				got, err := b.store.Breakdown(b.Context(), q)
				if err != nil {
					b.Fatalf("%s: %v", raw, err)
				}
				b.same(string(raw), got, questiontest.Breakdown(q, w.events))
				n, err := b.store.Count(b.Context(), store.Filter{Where: where})
				if want := len(questiontest.Select(w.events, all, where)); err != nil || n != int64(want) {
					b.Errorf("%s selects %d events, want %d; %v", raw, n, want, err)
				}
			}
		}
	}
	if tried < fewer(200, 100) {
		b.Errorf("only %d conditions tried", tried)
	}
}

// farNumbers asks about the largest numbers that events may have, and the smallest sample rate.
func farNumbers(b *bench) {
	large, rare := at("large", 0), at("rare", 0)
	large.Properties, rare.SampleRate = event.Object(`{"n":1.7976931348623157e308,"small":5e-324,"far":1e308}`), 1e-100
	larger := large
	larger.ID, larger.Properties = "larger", event.Object(`{"n":1.7976931348623157e308,"small":5e-324,"far":-1e308}`)
	b.commit(large, larger, rare)
	for text, want := range map[string]float64{
		"weighted": 1e100, "max:n": math.MaxFloat64, "min:small": math.SmallestNonzeroFloat64, "p50:n": math.MaxFloat64, "p50:far": 0, "p50:small": 0, "sum:n": math.Inf(1), "avg:n": math.Inf(1),
	} {
		q := &question.Breakdown{Span: question.Span{Start: epoch, End: epoch.Add(time.Hour), Zone: time.UTC}, Groups: 1, AsOf: epoch,
			Metric: mustParse(b, func(p *question.Parser) question.Metric { return p.Metric("metric", text) }), By: question.Field{Column: question.EventName}}
		a, err := b.store.Breakdown(b.Context(), q)
		if math.IsInf(want, 0) { // nothing, or a reason
			if err == nil && a.Rows[0].Metric != nil || err != nil && (!errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), "too large")) {
				b.Errorf("%s: %+v, %v", text, a, err)
			}
			continue
		}
		b.ok(err)
		_, unheard := json.Marshal(a)
		slack := 1e-9 * want
		if text == "p50:small" { // PostgreSQL halves it
			slack = math.SmallestNonzeroFloat64
		}
		if got := a.Rows[0].Metric; unheard != nil || got == nil || math.Abs(*got-want) > slack {
			b.Errorf("%s: %+v, %v, want %v", text, a, unheard, want)
		}
	}
}

func values(r *rand.Rand) []string {
	return []string{
		`"pro"`, `"Z"`, `"a"`, `"é"`, `"u'6"`, `"a\"b\\c"`, `"'; DROP TABLE events; --"`, `"$1"`, `"true"`, `"42"`,
		`42`, `0`, `-3.5`, `0.5`, `true`, `false`, `"2024-10-27T01:00:00Z"`, `"` + epoch.AddDate(0, 0, r.IntN(3)).Format(time.RFC3339Nano) + `"`,
	}
}
