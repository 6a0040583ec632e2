package storetest

import (
	"fmt"
	"slices"
	"time"

	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/question"
)

// edgeStories are small ones whose answers can be checked by eye, about what random histories seldom
// meet.
func edgeStories() []story {
	return []story{
		{"ranges are half-open", halfOpen},
		{"the rest is computed over its own events", restOfAll},
		{"paths at one instant", pathsAtOnce},
	}
}

// halfOpen has an event at the first moment of a range, at the last one, and right after it.
func halfOpen(b *bench) {
	span := question.Span{Start: epoch, End: epoch.Add(time.Minute), Zone: time.UTC}
	var events []event.Event
	for i, t := range []time.Time{span.Start.Add(-time.Microsecond), span.Start, span.End.Add(-time.Microsecond), span.End} {
		e := at(fmt.Sprint("e", i), 0)
		e.Timestamp, e.UserID, e.Properties = t, fmt.Sprint("u", i), event.Object(`{"p":1}`)
		events = append(events, e)
	}
	b.commit(events...)
	some := mustParse(b, func(p *question.Parser) []question.Condition {
		return p.Where("where", []byte(`[{"field":"properties.p","op":"=","value":1}]`))
	})
	series, err := b.store.Series(b.Context(), &question.Series{Span: span, Where: some, Metric: question.Metric{Measure: question.Count}, Interval: question.Day, AsOf: epoch})
	b.ok(err)
	breakdown, err := b.store.Breakdown(b.Context(), &question.Breakdown{Span: span, Metric: question.Metric{Measure: question.Count}, By: question.Field{Column: question.EventName}, Groups: 1, AsOf: epoch})
	b.ok(err)
	funnel, err := b.store.Funnel(b.Context(), &question.Funnel{Span: span, Steps: []question.Match{{EventName: "something"}}, Window: time.Hour, By: question.ByUser, AsOf: epoch})
	b.ok(err)
	retention, err := b.store.Retention(b.Context(), &question.Retention{Span: span, Period: question.Day, Periods: 1, AsOf: epoch})
	b.ok(err)
	visits, err := b.store.Visits(b.Context(), &question.Visits{Span: span, Gap: time.Second, AsOf: epoch})
	b.ok(err)
	paths, err := b.store.Paths(b.Context(), &question.Paths{Span: span, Anchor: "something", By: question.ByUser, Depth: 1, Groups: 1, AsOf: epoch})
	b.ok(err)
	got := []int64{int64(*series.Series[0].Points[0].Value), int64(*breakdown.Rows[0].Metric), funnel.Steps[0].Count, retention.Cohorts[0].Size, visits.Sessions, paths.Total}
	if !slices.Equal(got, []int64{2, 2, 2, 2, 2, 2}) {
		b.Errorf("series, breakdown, funnel, retention, sessions and paths have %v, want 2 of each", got)
	}
}

// restOfAll has one person in several groups, who is one person in the rest of them.
func restOfAll(b *bench) {
	var events []event.Event
	for i, plan := range []string{"a", "a", "b", "c", "d"} {
		e := at(fmt.Sprint("e", i), time.Duration(i))
		e.UserID, e.SessionID, e.Properties = "u1", "s1", event.Object(`{"plan":"`+plan+`"}`)
		if i < 2 {
			e.UserID, e.SessionID = fmt.Sprint("u", 1+i), fmt.Sprint("s", 1+i)
		}
		events = append(events, e)
	}
	b.commit(events...)
	span := question.Span{Start: epoch, End: epoch.Add(time.Minute), Zone: time.UTC}
	for _, m := range []question.Measure{question.Users, question.Sessions} {
		by := question.Field{Column: question.Properties, Path: []string{"plan"}}
		a, err := b.store.Breakdown(b.Context(), &question.Breakdown{Span: span, Metric: question.Metric{Measure: m}, By: by, Groups: 1, AsOf: epoch})
		b.ok(err)
		if len(a.Rows) != 1 || a.Rows[0].Value != "a" || *a.Rows[0].Metric != 2 || *a.Other != 1 {
			b.Errorf("%s: %+v, other %v", m, a.Rows, *a.Other)
		}
	}
}

// pathsAtOnce has events of one instant, stored in another order than that of their names.
func pathsAtOnce(b *bench) {
	var events []event.Event
	for i, name := range []string{"c", "a", "d", "b"} {
		e := at(fmt.Sprint("e", i), 0)
		e.Name, e.SessionID = name, "s"
		events = append(events, e)
	}
	b.commit(events...)
	for anchor, before := range map[string]bool{"a": false, "d": true} {
		q := &question.Paths{Span: question.Span{Start: epoch, End: epoch.Add(time.Minute), Zone: time.UTC}, Anchor: anchor, Before: before,
			By: question.BySession, Depth: 3, Groups: 5, AsOf: epoch}
		a, err := b.store.Paths(b.Context(), q)
		b.ok(err)
		if len(a.Paths) != 1 || !slices.Equal(a.Paths[0].Events, []string{"a", "b", "c", "d"}) {
			b.Errorf("from %s: %+v", anchor, a.Paths)
		}
	}
}
