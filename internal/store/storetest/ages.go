package storetest

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/tidemark-obs/tidemark/internal/declared"
	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/question"
	"github.com/tidemark-obs/tidemark/internal/question/questiontest"
	"github.com/tidemark-obs/tidemark/internal/rollup"
	"github.com/tidemark-obs/tidemark/internal/store"
)

// countsOverAges goes through months of commits, duplicates, late events, changes, erasures,
// restarts, expiry of events and of roll-ups, and tidying, on PostgreSQL in two stores by turns.
// Answers count also what has expired; where they lack something they say since when they do not.
func countsOverAges(b *bench) {
	b.cfg.Keep = store.Keep{Minute: 60 * day, Hour: 200 * day}
	for seed := range uint64(2) {
		if seed > 0 {
			b.fresh()
		}
		b.reopen()
		stores := []*store.Store{b.store}
		w := newWorkload(b, 60+seed)
		w.unsampled = seed == 0
		partial := 0
		for range fewer(6, 3) {
			w.later(store.Window + time.Hour)
			if b.store.Dialect() == "postgres" {
				stores = append(stores[:1], b.another())
			} else if w.r.IntN(2) == 0 {
				b.reopen()
				stores[0] = b.store
			}
			w.run(80)
			for range 3 {
				b.store = pick(w.r, stores...)
				w.age()
				for range 6 {
					w.askCounts(slices.Concat(w.events, w.expired))
				}
			}
			b.store = stores[0]
		}
		b.store = stores[0]
		if len(w.expired) == 0 {
			b.Error("nothing expired")
		}
		// Whole days are all there for ever.
		span := wholeSpan()
		span.Start, span.End = span.Start.Truncate(day), span.End.Truncate(day)
		days := &question.Series{Span: span, Metric: question.Metric{Measure: question.Count}, Interval: question.Day, AsOf: epoch}
		b.sameSeries(days, slices.Concat(w.events, w.expired))
		if a, err := b.store.Series(b.Context(), days); err != nil || a.CompleteFrom != nil {
			b.Errorf("days are complete from %v only, %v", a.CompleteFrom, err)
		}
		w.statsOverAges(span)
		minutes := &question.Breakdown{Span: wholeSpan(), Metric: question.Metric{Measure: question.Count}, Groups: 3, AsOf: epoch,
			By: question.Field{Column: question.UserID}}
		a, err := b.store.Breakdown(b.Context(), minutes)
		if b.ok(err); a.CompleteFrom != nil {
			partial++
		}
		if partial == 0 {
			b.Error("no answer said that it lacks what has expired")
		}
	}
}

// statsOverAges asks for statistics of all there ever was: of who was erased no event has its user.
func (w *workload) statsOverAges(span question.Span) {
	w.Helper()
	events := slices.Concat(w.events, w.expired)
	for i := range events {
		if w.erased[events[i].ID] {
			events[i].UserID = ""
		}
	}
	want := recomputed(events, span)
	st, err := w.store.Stats(w.Context(), span.Start, span.End)
	w.ok(err)
	if st.CompleteFrom != nil || st.TotalEvents != want.TotalEvents || !maps.Equal(st.ByType, want.ByType) {
		w.Errorf("statistics are complete from %v and count %d events %v, want %d %v", st.CompleteFrom, st.TotalEvents, st.ByType, want.TotalEvents, want.ByType)
	}
	w.topWithin(&st, want.TopUsers)
}

// age does one of the things that time brings, in the store at hand.
func (w *workload) age() {
	w.Helper()
	switch w.r.IntN(5) {
	case 0:
		w.erase()
	case 1:
		w.ok(w.store.TidyRollups(w.Context()))
	case 2:
		w.expire(pick(w.r, clockChanges...).Add(time.Duration(w.r.Int64N(int64(48*time.Hour))) - 24*time.Hour))
	case 3:
		_, err := w.store.ExpireRollups(w.Context())
		w.ok(err)
	case 4:
		w.run(20)
	}
}

// edgesWithoutMinutes cuts the last minute of an hour, of a time whose minutes are gone.
func edgesWithoutMinutes(b *bench) {
	b.cfg.Keep = store.Keep{Minute: day}
	b.reopen()
	noon := epoch.Truncate(day).Add(12 * time.Hour)
	var list []event.Event
	for i, before := range []time.Duration{50 * time.Second, 20 * time.Second, -20 * time.Second, -50 * time.Second} {
		e := at(string(rune('a'+i)), 0)
		e.Timestamp = noon.Add(-before)
		list = append(list, e)
	}
	b.commit(list...)
	b.ok(b.store.TidyRollups(b.Context()))
	b.clock.advance(10 * day)
	b.ok(b.store.TidyRollups(b.Context()))
	if n, err := b.store.ExpireRollups(b.Context()); err != nil || n == 0 {
		b.Fatalf("%d rows of minutes deleted, %v", n, err)
	}
	if n, err := b.store.ExpireRollups(b.Context()); err != nil || n != 0 {
		b.Errorf("then %d more, %v", n, err)
	}
	for _, off := range []time.Duration{10 * time.Second, 30 * time.Second, 55 * time.Second} {
		for _, ends := range [][2]time.Duration{{-off, time.Hour}, {-time.Hour, off}} {
			q := byName()
			q.Span.Start, q.Span.End = noon.Add(ends[0]), noon.Add(ends[1])
			b.sameBreakdown(q, list)
		}
	}
	late := at("late", 0) // not by minute any more
	late.Timestamp, late.ReceivedAt = noon.Add(-30*time.Second), b.clock.Now()
	b.commit(late)
	if n, err := b.store.ExpireRollups(b.Context()); err != nil || n != 0 {
		b.Errorf("%d rows of minutes were written for an old event, %v", n, err)
	}
	b.sameBreakdown(byName(), append(list, late))
}

// endsWhereHoursBegin asks for a range that ends on the day of which only the later hours are kept: of
// its beginning events are read, and what was changed of these of late must not count beside them.
func endsWhereHoursBegin(b *bench) {
	b.cfg.Keep = store.Keep{Minute: day, Hour: 5 * day}
	b.declares(declared.Config{Dimensions: []declared.DimensionConfig{{Property: "plan"}}})
	midnight := epoch.Add(-5 * day).Truncate(day)
	var list []event.Event
	add := func(id string, hours ...int) {
		var batch []event.Event
		for _, h := range hours {
			e := at(fmt.Sprint(id, h), midnight.Add(time.Duration(h)*time.Hour+time.Minute).Sub(epoch))
			e.Properties = event.Object(`{"plan":"pro"}`)
			batch = append(batch, e)
		}
		b.commit(batch...)
		list = append(list, batch...)
	}
	add("early", -60, -20, 1, 5, 16, 17, 18, 19)
	b.ok(b.store.TidyRollups(b.Context()))
	add("late", -20, 1, 2, 16, 18)
	b.ok(b.store.Delete(b.Context(), "early5"))
	list = slices.DeleteFunc(list, func(e event.Event) bool { return e.ID == "early5" })
	span := question.Span{Start: midnight.Add(-3 * day), End: midnight.Add(18*time.Hour + 30*time.Minute), Zone: time.UTC}
	for range 2 {
		names := byName()
		names.Span = span
		b.answers("names", true, func() { b.sameBreakdown(names, list) })
		plans := b.seriesOf("count", "properties.plan", "")
		plans.Span, plans.Interval = span, question.Day
		b.answers("plans", true, func() { b.nearSeries(plans, list) })
		b.sameStats(list, span)
		b.ok(b.store.TidyRollups(b.Context()))
	}
}

// journeysLack: what is computed from events says from when on it is complete.
func journeysLack(b *bench) {
	list := []event.Event{of("u", "a", -100*day), of("u", "b", 0)}
	list[0].ReceivedAt = epoch
	b.commit(list...)
	b.clock.advance(store.Window + time.Hour)
	span, late := wholeSpan(), wholeSpan()
	late.Start = list[0].Timestamp.Truncate(time.Microsecond).Add(time.Microsecond)
	something := question.Match{EventName: "something"}
	ask := func(span question.Span) (list []question.Quality) {
		f, err := b.store.Funnel(b.Context(), &question.Funnel{Span: span, Steps: []question.Match{something, something}, Window: day, By: question.ByUser, AsOf: epoch})
		b.ok(err)
		r, err := b.store.Retention(b.Context(), &question.Retention{Span: span, First: something, Returning: something, Period: question.Month, Periods: 2, AsOf: epoch})
		b.ok(err)
		v, err := b.store.Visits(b.Context(), &question.Visits{Span: span, Gap: time.Hour, AsOf: epoch})
		b.ok(err)
		p, err := b.store.Paths(b.Context(), &question.Paths{Span: span, Anchor: "something", By: question.ByUser, Depth: 2, Groups: 3, AsOf: epoch})
		b.ok(err)
		return []question.Quality{f.Quality, r.Quality, v.Quality, p.Quality}
	}
	for _, expired := range []bool{false, true} {
		for i, q := range ask(span) {
			if want := late.Start; (q.CompleteFrom != nil) != expired || expired && !q.CompleteFrom.Equal(want) {
				b.Errorf("%d, expired %t: complete from %v, want %v", i, expired, q.CompleteFrom, want)
			}
		}
		_, err := b.store.Expire(b.Context(), epoch.Add(-90*day), 10)
		b.ok(err)
	}
	for i, q := range ask(late) {
		if q.CompleteFrom != nil {
			b.Errorf("%d: complete from %v, after the start of the range", i, q.CompleteFrom)
		}
	}
}

// withinBreakdown checks an answer that may lack events, or count users who are gone: all of it lies
// between what is there for sure and what ever was.
func (b *bench) withinBreakdown(q *question.Breakdown, got question.BreakdownAnswer, events []event.Event) {
	b.Helper()
	if q.Metric.Measure != question.Count {
		return // parts of users and sessions do not add up
	}
	total := func(a question.BreakdownAnswer) (n float64) {
		for _, r := range a.Rows {
			n += *r.Metric
		}
		if a.Other != nil {
			n += *a.Other
		}
		return n
	}
	most := total(questiontest.Breakdown(q, events))
	least := total(questiontest.Breakdown(q, from(events, got.CompleteFrom)))
	if n := total(got); n < least || n > most {
		b.Errorf("%v of %+v, want %v to %v", n, q, least, most)
	}
}

// from are the events that an answer has for sure.
func from(events []event.Event, moment *time.Time) (list []event.Event) {
	for _, e := range events {
		if moment == nil || !e.Timestamp.Before(*moment) {
			list = append(list, e)
		}
	}
	return list
}

func (b *bench) withinSeries(q *question.Series, got question.SeriesAnswer, events []event.Event) {
	b.Helper()
	if !q.GroupBy.IsZero() || q.Metric.Measure == question.Weighted {
		return
	}
	most, least := questiontest.Series(q, events), questiontest.Series(q, from(events, got.CompleteFrom))
	for i, p := range got.Series[0].Points {
		lowest, highest := *least.Series[0].Points[i].Value, *most.Series[0].Points[i].Value
		if over := *p.Value * max(p.ErrorBound-rollup.IDsBound, 0); *p.Value < lowest || *p.Value > highest+over+0.001 {
			b.Errorf("%v at %v of %+v, want %v to %v and %v", *p.Value, p.Start, q, lowest, highest, over)
		}
		if before := got.CompleteFrom != nil && p.Start.Before(*got.CompleteFrom); before && p.Complete {
			b.Errorf("the bucket of %v is called complete, and the answer complete from %v", p.Start, got.CompleteFrom)
		}
	}
}

// lostForEver deletes an event that came late, after others of its day had expired: the day's
// sketches cannot be made anew, and must not be.
func lostForEver(b *bench) {
	midday := epoch.Truncate(day).Add(12 * time.Hour)
	var list []event.Event
	for i, user := range []string{"u1", "u2", "u3"} {
		e := of(user, user, midday.Sub(epoch)+time.Duration(i)*time.Minute)
		e.ReceivedAt = epoch
		list = append(list, e)
	}
	b.commit(list...)
	b.clock.advance(store.Window + time.Hour)
	n, err := b.store.Expire(b.Context(), midday.Add(time.Hour), 10)
	if b.ok(err); n != 3 {
		b.Fatalf("%d expired", n)
	}
	late := of("u4", "late", midday.Sub(epoch)+time.Hour)
	late.ReceivedAt = b.clock.Now()
	b.commit(late)
	users := &question.Series{Span: question.Span{Start: midday.Truncate(day), End: midday.Truncate(day).Add(day), Zone: time.UTC},
		Metric: question.Metric{Measure: question.Users}, Interval: question.Day, AsOf: epoch}
	ask := func(value, bound float64) {
		b.Helper()
		a, err := b.store.Series(b.Context(), users)
		b.ok(err)
		p := a.Series[0].Points[0]
		if *p.Value != value || p.ErrorBound != bound || a.Exact || a.CompleteFrom != nil {
			b.Errorf("%v users within %v, want %v within %v; %+v", *p.Value, p.ErrorBound, value, bound, a.Quality)
		}
	}
	ask(4, rollup.IDsBound)
	b.ok(b.store.Delete(b.Context(), "late"))
	for range 3 { // now, and after tidying
		ask(4, rollup.IDsBound+0.25)
		b.ok(b.store.TidyRollups(b.Context()))
	}
	count := *users
	count.Metric.Measure = question.Count
	a, err := b.store.Series(b.Context(), &count)
	if b.ok(err); *a.Series[0].Points[0].Value != 3 || !a.Exact {
		b.Errorf("%+v", a)
	}
}

// filledBeforeExpiry has events from before there were roll-ups that are old enough to go.
func filledBeforeExpiry(b *bench) {
	list := []event.Event{at("a", -200*day), at("b", -100*day), at("c", -100*day+time.Hour), at("d", 0)}
	for i := range list {
		list[i].ReceivedAt = epoch
	}
	b.commit(list...)
	_, err := b.store.MigrateDown(b.Context(), 6)
	b.ok(err)
	b.reopen()
	b.clock.advance(store.Window + time.Hour)
	if n, err := b.store.Expire(b.Context(), epoch.Add(-90*day), 10); n != 0 || err != nil {
		b.Errorf("%d events deleted that no roll-up knows, %v", n, err)
	}
	b.ok(b.store.TidyRollups(b.Context()))
	if n, err := b.store.Expire(b.Context(), epoch.Add(-90*day), 10); n != 3 || err != nil {
		b.Errorf("%d events deleted, %v", n, err)
	}
	span := question.Span{Start: epoch.Add(-300 * day).Truncate(day), End: epoch.Add(day).Truncate(day), Zone: time.UTC}
	days := &question.Series{Span: span, Metric: question.Metric{Measure: question.Count}, Interval: question.Month, AsOf: epoch}
	b.sameSeries(days, list)
}
