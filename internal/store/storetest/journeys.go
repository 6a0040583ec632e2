package storetest

import (
	"time"

	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/question"
	"github.com/tidemark-obs/tidemark/internal/question/questiontest"
)

func journeyStories() []story {
	return []story{
		{"nothing stored", noJourneys},
		{"funnels equal a recomputation", func(b *bench) { b.journeys(11, (*workload).askFunnel) }},
		{"retention equals a recomputation", func(b *bench) { b.journeys(12, (*workload).askRetention) }},
		{"sessions equal a recomputation", func(b *bench) { b.journeys(13, (*workload).askVisits) }},
		{"paths equal a recomputation", func(b *bench) { b.journeys(14, (*workload).askPaths) }},
		{"a funnel of one person", oneFunnel},
	}
}

func noJourneys(b *bench) {
	w := newWorkload(b, 10)
	for range 5 {
		w.askFunnel()
		w.askRetention()
		w.askVisits()
		w.askPaths()
	}
}

// journeys is a history whose events come in bursts, many of them at one instant.
func (b *bench) journeys(seed uint64, ask func(w *workload)) {
	w := newWorkload(b, seed)
	for range fewer(2, 1) {
		w.run(120)
		for range 40 {
			ask(w)
		}
	}
}

func (w *workload) match() question.Match {
	m := question.Match{EventName: pick(w.r, "view", "cart", "pay", "été", "a'b\"c", "none")}
	if w.r.IntN(4) == 0 {
		m.Where = w.conditions()
	}
	if len(m.Where) > 0 && w.r.IntN(2) == 0 {
		m.EventName = ""
	}
	return m
}

func (w *workload) askFunnel() {
	w.Helper()
	q := &question.Funnel{Span: w.span(), By: pick(w.r, question.ByUser, question.BySession), Groups: 1 + w.r.IntN(4), AsOf: epoch,
		Window: pick(w.r, time.Millisecond, time.Hour, 7*time.Hour, 72*time.Hour)}
	for range 1 + w.r.IntN(4) {
		q.Steps = append(q.Steps, w.match())
	}
	if w.r.IntN(2) == 0 {
		q.Breakdown = w.field()
	}
	got, err := w.store.Funnel(w.Context(), q)
	w.ok(err)
	w.same(q, got, questiontest.Funnel(q, w.events))
}

func (w *workload) askRetention() {
	w.Helper()
	q := &question.Retention{Span: w.span(), First: w.match(), Returning: w.match(), Period: pick(w.r, question.Day, question.Week, question.Month),
		Periods: 1 + w.r.IntN(10), AsOf: epoch}
	if w.r.IntN(3) == 0 {
		q.Returning = question.Match{}
	}
	got, err := w.store.Retention(w.Context(), q)
	w.ok(err)
	w.same(q, got, questiontest.Retention(q, w.events))
}

func (w *workload) askVisits() {
	w.Helper()
	q := &question.Visits{Span: w.span(), Where: w.conditions(), Gap: pick(w.r, time.Minute, time.Hour, 6*time.Hour), AsOf: epoch}
	got, err := w.store.Visits(w.Context(), q)
	w.ok(err)
	w.same(q, got, questiontest.Visits(q, w.events))
}

func (w *workload) askPaths() {
	w.Helper()
	q := &question.Paths{Span: w.span(), Where: w.conditions(), Anchor: pick(w.r, "view", "pay", "a'b\"c", "none"), Before: w.r.IntN(2) == 0,
		By: pick(w.r, question.ByUser, question.BySession), Depth: 1 + w.r.IntN(5), Groups: 1 + w.r.IntN(8), AsOf: epoch}
	got, err := w.store.Paths(w.Context(), q)
	w.ok(err)
	w.same(q, got, questiontest.Paths(q, w.events))
}

// oneFunnel tells the rules apart on cases that can be checked by eye.
func oneFunnel(b *bench) {
	type did struct {
		name  string
		after time.Duration
	}
	for name, c := range map[string]struct {
		did    []did
		counts []int64
		median float64 // of the last step reached
	}{
		"in order":                  {[]did{{"a", 0}, {"b", 1}, {"c", 3}}, []int64{1, 1, 1}, 2},
		"out of order":              {[]did{{"b", 0}, {"a", 1}, {"c", 3}}, []int64{1, 0, 0}, 0},
		"a later beginning counts":  {[]did{{"a", 0}, {"a", 8}, {"b", 9}, {"c", 12}}, []int64{1, 1, 1}, 3},
		"the window ends inclusive": {[]did{{"a", 0}, {"b", 1}, {"c", 10}}, []int64{1, 1, 1}, 9},
		"too late":                  {[]did{{"a", 0}, {"b", 1}, {"c", 11}}, []int64{1, 1, 0}, 1},
		"one instant":               {[]did{{"c", 5}, {"b", 5}, {"a", 5}}, []int64{1, 1, 1}, 0},
		"others between":            {[]did{{"a", 0}, {"x", 1}, {"a", 2}, {"b", 3}}, []int64{1, 1, 0}, 3},
	} {
		user := "person " + name
		var events []event.Event
		for i, d := range c.did {
			e := at(user+string(rune('0'+i)), d.after*time.Second)
			e.Name, e.UserID = d.name, user
			events = append(events, e)
		}
		b.commit(events...)
		person := []question.Condition{{Field: question.Field{Column: question.UserID}, Op: question.Equal, Value: question.Value{Kind: question.Text, Text: user}}}
		q := &question.Funnel{Span: question.Span{Start: epoch, End: epoch.Add(time.Hour), Zone: time.UTC}, By: question.ByUser, Window: 10 * time.Second, AsOf: epoch,
			Steps: []question.Match{{EventName: "a", Where: person}, {EventName: "b"}, {EventName: "c"}}}
		got, err := b.store.Funnel(b.Context(), q)
		b.ok(err)
		last := 0
		for i, want := range c.counts {
			if got.Steps[i].Count != want {
				b.Errorf("%s: step %d has %d, want %d", name, i+1, got.Steps[i].Count, want)
			}
			if want > 0 {
				last = i
			}
		}
		if m := got.Steps[last].MedianSeconds; last > 0 && (m == nil || *m != c.median) {
			b.Errorf("%s: median %v, want %v", name, m, c.median)
		}
	}
}
