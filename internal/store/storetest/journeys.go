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
		{"days that a zone skips or goes back to", oddDays},
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

// oddDays are Samoa's of 2011, when it skipped one, and Newfoundland's of 2010, when clocks were set
// back from a minute past midnight into the day before.
func oddDays(b *bench) {
	come := func(user, at string) event.Event {
		t, ok := question.ParseTime(at, time.UTC)
		if !ok {
			b.Fatal(at)
		}
		return event.Event{ID: user + at, Name: "came", Type: event.Custom, Severity: event.Low, SampleRate: 1, UserID: user, Timestamp: t, ReceivedAt: epoch}
	}
	samoa := []event.Event{come("a", "2011-12-29T22:00:00Z"), come("a", "2011-12-30T10:30:00Z"), come("b", "2011-12-30T11:00:00Z")}
	newfoundland := []event.Event{come("c", "2010-11-07T02:30:30Z"), come("d", "2010-11-07T02:30:40Z"), come("c", "2010-11-07T02:45:00Z")}
	b.commit(append(samoa, newfoundland...)...)
	in := func(start, end, tz string) question.Span {
		return mustParse(b, func(p *question.Parser) question.Span { return p.Span(start, end, tz, epoch) })
	}
	days := &question.Series{Span: in("2011-12-28", "2012-01-02", "Pacific/Apia"), Interval: question.Day, Metric: question.Metric{Measure: question.Count}, AsOf: epoch}
	series, err := b.store.Series(b.Context(), days)
	b.ok(err)
	b.same(days, series, questiontest.Series(days, samoa))
	if n := len(series.Series[0].Points); n != 4 {
		b.Errorf("%d days, want 4", n)
	}
	back := &question.Retention{Span: days.Span, Period: question.Day, Periods: 2, AsOf: epoch}
	retained, err := b.store.Retention(b.Context(), back)
	b.ok(err)
	b.same(back, retained, questiontest.Retention(back, samoa))
	back.Span = in("2010-11-06", "2010-11-08", "America/St_Johns")
	retained, err = b.store.Retention(b.Context(), back)
	b.ok(err)
	// What c did next lies in Saturday, before the day that it came first.
	if c := retained.Cohorts; len(c) != 2 || c[0].Size != 0 || c[1].Size != 2 || c[1].Returned[0] != 0 {
		b.Errorf("cohorts %+v", c)
	}
}
