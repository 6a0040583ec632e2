package storetest

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/tidemark-obs/tidemark/internal/declared"
	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/question"
	"github.com/tidemark-obs/tidemark/internal/question/questiontest"
	"github.com/tidemark-obs/tidemark/internal/store"
)

func declaredStories() []story {
	return []story{
		{"answers equal a recomputation", declaredOverHistory},
		{"what answers", whatDeclaredAnswers},
		{"events from before the declaration", declaredLater},
		{"what nobody declares any more", undeclared},
		{"what a guest does not declare or keep", undeclaredByGuest},
		{"the most frequent values of many", manyValues},
		{"metadata that changes", declaredMetadata},
		{"what outlives events", declaredOutlives},
		{"a deletion on the day that hours are kept from", declaredHoursBegin},
		{"what is deleted leaves nothing behind", declaredErased},
	}
}

// declaredOverHistory asks between changes, with room for all values and with little, before and
// after roll-ups are tidied.
func declaredOverHistory(b *bench) {
	for seed, budget := range []int{100, 2} {
		w := newWorkload(b, uint64(60+seed))
		w.unsampled = seed == 0
		if seed > 0 {
			b.fresh()
		}
		b.declares(everyShape(budget))
		for round := range fewer(4, 2) {
			w.run(fewer(120, 60))
			for range fewer(15, 5) {
				w.askDeclared(w.events)
			}
			if round != 1 {
				b.ok(b.store.TidyRollups(b.Context()))
			}
			b.clock.advance(pick(w.r, clockChanges...).Add(time.Duration(w.r.Int64N(int64(48 * time.Hour)))).Sub(b.clock.Now()))
			for range fewer(15, 5) {
				w.askDeclared(w.events)
			}
		}
		if rolled, raw := b.answered("rollup"), b.answered("raw"); rolled < raw/2 {
			b.Errorf("only %d questions of %d were answered from roll-ups", rolled, rolled+raw)
		}
	}
}

func whatDeclaredAnswers(b *bench) {
	b.declares(everyShape(100))
	w := newWorkload(b, 70)
	w.unsampled = true
	w.run(150)
	b.ok(b.store.TidyRollups(b.Context()))
	pro := `[{"field":"properties.plan","op":"=","value":"pro"}]`
	for _, c := range []struct {
		name, metric, by, where string
		rolled                  bool
	}{
		{"by a dimension", "count", "properties.plan", "", true},
		{"one value", "count", "", pro, true},
		{"names of one value", "count", "event_name", pro, true},
		{"by a dimension, of one name", "count", "properties.plan", `[{"field":"event_name","op":"=","value":"pay"}]`, true},
		{"weighted", "weighted", "properties.plan", "", true},
		{"a number", "p95:amount", "", "", true},
		{"a number by name", "sum:amount", "event_name", "", true},
		{"a dimension of some events, of one of them", "count", `properties.q"x/y~z\\w`, `[{"field":"event_name","op":"=","value":"pay"}]`, true},
		{"a dimension of some events, of all", "count", `properties.q"x/y~z\\w`, "", false},
		{"a dimension of some events, of another", "count", `properties.q"x/y~z\\w`, `[{"field":"event_name","op":"=","value":"cart"}]`, false},
		{"two dimensions", "count", "properties.deep.k", pro, false},
		{"users of a dimension", "users", "properties.plan", "", false},
		{"a number of one value", "sum:amount", "", pro, false},
		{"what is not declared", "count", "properties.$", "", false},
		{"a number that is not declared", "sum:$", "", "", false},
		{"whether there is one", "count", "", `[{"field":"properties.plan","op":"exists"}]`, false},
		{"a dimension and a column", "count", "properties.plan", `[{"field":"source","op":"=","value":"web"}]`, false},
	} {
		b.answers(c.name, c.rolled, func() { b.nearSeries(b.seriesOf(c.metric, c.by, c.where), w.events) })
	}
	b.ok(b.store.Delete(b.Context(), w.events[0].ID))
	w.events = w.events[1:]
	count, amount := b.seriesOf("count", "properties.plan", ""), b.seriesOf("max:amount", "", "")
	b.answers("counts after a deletion", true, func() { b.nearSeries(count, w.events) })
	b.answers("numbers after a deletion", false, func() { b.nearSeries(amount, w.events) })
	b.ok(b.store.TidyRollups(b.Context()))
	b.answers("numbers made anew", true, func() { b.nearSeries(amount, w.events) })
	for i := range w.events {
		w.events[i].SampleRate = 0.5
	}
	sampled := at("sampled", 0)
	sampled.SampleRate = 0.5
	b.commit(sampled)
	b.answers("weighted, with sampled events", false, func() {
		_, err := b.store.Series(b.Context(), b.seriesOf("weighted", "properties.plan", ""))
		b.ok(err)
	})
}

// declaredLater declares what events have had for long. Until all are counted they answer
// themselves, and what changes meanwhile counts once.
func declaredLater(b *bench) {
	w := newWorkload(b, 71)
	w.run(120)
	set, err := declared.New(everyShape(100), "statistics")
	b.ok(err)
	b.cfg.Declared = set
	b.reopen()
	w.run(40)
	q := b.seriesOf("count", "properties.plan", "")
	b.answers("before", false, func() { b.nearSeries(q, w.events) })
	b.ok(b.store.TidyRollups(b.Context()))
	b.answers("after", true, func() { b.nearSeries(q, w.events) })
	w.run(60)
	for range 30 {
		w.askDeclared(w.events)
	}
	// One more, beside those that are filled.
	more := everyShape(100)
	more.Dimensions = append(more.Dimensions, declared.DimensionConfig{Property: "$", Label: "dollar"})
	b.declares(more)
	b.answers("another", true, func() { b.nearSeries(b.seriesOf("count", "properties.$", ""), w.events) })
}

// undeclared takes declarations away and brings one back.
func undeclared(b *bench) {
	b.declares(everyShape(100))
	w := newWorkload(b, 72)
	w.run(100)
	q := b.seriesOf("count", "properties.plan", "")
	b.ok(b.store.TidyRollups(b.Context()))
	b.answers("declared", true, func() { b.nearSeries(q, w.events) })
	some := everyShape(100)
	some.Dimensions = some.Dimensions[1:]
	b.declares(some)
	if b.store.Dialect() == "postgres" { // another process may want it
		b.answers("not wanted by this process", true, func() { b.nearSeries(q, w.events) })
		b.clock.advance(2 * time.Hour)
		b.ok(b.store.TidyRollups(b.Context()))
	}
	b.answers("not declared", false, func() { b.nearSeries(q, w.events) })
	w.run(100)
	b.declares(everyShape(100))
	b.answers("declared again", true, func() { b.nearSeries(q, w.events) })
	for range 20 {
		w.askDeclared(w.events)
	}
}

// past makes events of some days, so many days back and more.
func (w *workload) past(n, back, days int) {
	for range n {
		e := w.event()
		e.Timestamp = epoch.AddDate(0, 0, -back-w.r.IntN(days))
		e.ReceivedAt = e.Timestamp
		w.events = append(w.events, e)
	}
}

// undeclaredByGuest has a command that knows of no declarations, and would keep roll-ups for an hour, at
// work on what is left of events.
func undeclaredByGuest(b *bench) {
	b.declares(everyShape(100))
	w := newWorkload(b, 76)
	w.unsampled = true
	w.past(100, 50, 50)
	b.commit(w.events...)
	b.ok(b.store.TidyRollups(b.Context()))
	if n, err := b.store.Expire(b.Context(), epoch, 1000); err != nil || int(n) != len(w.events) {
		b.Fatalf("%d events were deleted, %v", n, err)
	}
	set, keep := b.cfg.Declared, b.cfg.Keep
	b.cfg.Declared, b.cfg.Guest, b.cfg.Keep = nil, true, store.Keep{Minute: time.Hour, Hour: time.Hour, Day: time.Hour}
	b.reopen()
	b.clock.advance(2 * time.Hour)
	b.ok(b.store.TidyRollups(b.Context()))
	if n, err := b.store.ExpireRollups(b.Context()); err != nil || n != 0 {
		b.Errorf("a guest has %d rows of roll-ups deleted, %v", n, err)
	}
	b.cfg.Declared, b.cfg.Guest, b.cfg.Keep = set, false, keep
	b.reopen()
	b.ok(b.store.TidyRollups(b.Context()))
	q := b.seriesOf("count", "properties.plan", "")
	q.Span.Start, q.Span.End = q.Span.Start.Truncate(day), q.Span.End.Truncate(day)
	b.answers("what a guest has left", true, func() { b.nearSeries(q, w.events) })
}

// declaredTogether lets several stores with different declarations write, change, delete, tidy and
// fill at once.
func declaredTogether(b *bench) {
	w := newWorkload(b, 73)
	w.run(60)
	stores := []*store.Store{b.store}
	if b.store.Dialect() == "postgres" {
		few := everyShape(100)
		few.Dimensions, few.Numbers = few.Dimensions[:1], nil
		for _, c := range []declared.Config{everyShape(100), few} {
			set, err := declared.New(c, "statistics")
			b.ok(err)
			b.cfg.Declared = set
			stores = append(stores, b.another())
		}
	} else {
		b.declares(everyShape(100))
		stores = []*store.Store{b.store, b.store}
	}
	b.contendAll(stores, 8)
	last := stores[len(stores)-1]
	b.ok(last.TidyRollups(b.Context()))
	events, err := last.List(b.Context(), store.Filter{}, store.Page{Limit: 1000})
	b.ok(err)
	b.answers("afterwards", true, func() { b.nearSeries(b.seriesOf("count", "properties.plan", ""), events) })
	for range fewer(60, 15) {
		w.askDeclared(events)
	}
}

// manyValues has more values than are kept, some far more frequent than others.
func manyValues(b *bench) {
	b.declares(declared.Config{Dimensions: []declared.DimensionConfig{{Property: "page", Values: 20}}})
	w := newWorkload(b, 74)
	var all []event.Event
	for range 6 {
		var batch []event.Event
		for range 400 {
			e := w.event()
			e.Timestamp = epoch.Add(time.Duration(w.r.Int64N(int64(50 * time.Hour)))).Truncate(time.Microsecond)
			e.Properties = event.Object(fmt.Sprintf(`{"page":"/%d"}`, int(math.Exp(w.r.Float64()*7))))
			batch = append(batch, e)
		}
		b.commit(batch...)
		all = append(all, batch...)
		b.ok(b.store.TidyRollups(b.Context()))
	}
	var p question.Parser
	q := &question.Breakdown{Span: wholeSpan(), Metric: question.Metric{Measure: question.Count}, By: p.Field("by", "properties.page"), Groups: 5, AsOf: epoch}
	b.answers("the first five", true, func() {
		if b.nearBreakdown(q, all) {
			b.Error("it says it is exact where values were put away")
		}
	})
	got, err := b.store.Breakdown(b.Context(), q)
	b.ok(err)
	want := questiontest.Breakdown(q, all)
	for i, row := range got.Rows {
		if row.Value != want.Rows[i].Value || row.ErrorBound > 0.2 {
			b.Errorf("row %d is %v within %v, want %v", i, row.Value, row.ErrorBound, want.Rows[i].Value)
		}
	}
}

func declaredMetadata(b *bench) {
	b.declares(everyShape(100))
	e := at("a", 0)
	e.Metadata = event.Object(`{"plan":"pro"}`)
	b.commit(e)
	for range 2 {
		b.answers("before", true, func() { b.nearSeries(b.seriesOf("count", "metadata.plan", ""), []event.Event{e}) })
		b.ok(b.store.TidyRollups(b.Context()))
	}
	now, err := b.store.Update(b.Context(), "a", store.Patch{Metadata: ptr(event.Object(`{"plan":"free"}`)), Processed: ptr(true)}, epoch)
	b.ok(err)
	for range 2 {
		b.answers("after", true, func() { b.nearSeries(b.seriesOf("count", "metadata.plan", ""), []event.Event{now}) })
		b.ok(b.store.TidyRollups(b.Context()))
	}
}

// declaredOutlives deletes events for their age. What was counted stays; what was not is not claimed.
func declaredOutlives(b *bench) {
	b.declares(everyShape(100))
	w := newWorkload(b, 75)
	w.unsampled = true
	w.past(200, 0, 100)
	b.commit(w.events...)
	b.ok(b.store.TidyRollups(b.Context()))
	n, err := b.store.Expire(b.Context(), epoch.AddDate(0, 0, -50), 1000)
	if b.ok(err); n < 50 {
		b.Fatalf("only %d events were deleted", n)
	}
	for _, metric := range []string{"count", "p90:amount"} {
		q := b.seriesOf(metric, "", "")
		if metric == "count" {
			q = b.seriesOf(metric, "properties.plan", "")
		}
		q.Span.Start, q.Span.End = q.Span.Start.Truncate(24*time.Hour), q.Span.End.Truncate(24*time.Hour)
		b.answers(metric, true, func() { b.nearSeries(q, w.events) })
	}
	more := everyShape(100)
	more.Dimensions = append(more.Dimensions, declared.DimensionConfig{Property: "$", Label: "dollar"})
	b.declares(more)
	q := b.seriesOf("count", "properties.$", "")
	b.answers("declared too late", false, func() {
		a, err := b.store.Series(b.Context(), q)
		if b.ok(err); a.CompleteFrom == nil {
			b.Error("the answer does not say that events are missing")
		}
	})
	q.Span.Start = epoch.AddDate(0, 0, -49).Truncate(24 * time.Hour)
	b.answers("of the events that are left", true, func() { b.nearSeries(q, w.events) })
}

// declaredHoursBegin deletes an event of a day of which only the later hours are kept: the day's numbers are
// made anew from its events, and these hours stay.
func declaredHoursBegin(b *bench) {
	b.cfg.Keep = store.Keep{Hour: 5 * day}
	b.declares(declared.Config{Numbers: []declared.NumberConfig{{Property: "amount"}}})
	border := epoch.Add(-5 * day).Truncate(time.Hour)
	midnight := border.Truncate(day)
	var list []event.Event
	for h := range 24 {
		e := at(fmt.Sprint(h), midnight.Add(time.Duration(h)*time.Hour+time.Minute).Sub(epoch))
		e.Properties = event.Object(fmt.Sprintf(`{"amount":%d}`, h+1))
		list = append(list, e)
	}
	b.commit(list...)
	b.ok(b.store.TidyRollups(b.Context()))
	for _, gone := range []int{20, 3} { // of an hour that is kept, and of one that is not
		b.ok(b.store.Delete(b.Context(), fmt.Sprint(gone)))
		list = slices.DeleteFunc(list, func(e event.Event) bool { return e.ID == fmt.Sprint(gone) })
		b.ok(b.store.TidyRollups(b.Context()))
		for _, start := range []time.Time{border, midnight} {
			q := b.seriesOf("sum:amount", "", "")
			q.Span.Start, q.Span.End, q.Interval = start, midnight.Add(day), question.Day
			b.answers(fmt.Sprint("without ", gone), true, func() { b.nearSeries(q, list) })
		}
	}
}

// declaredErased looks for an erased person's property in every file of the database.
func declaredErased(b *bench) {
	b.declares(declared.Config{Dimensions: []declared.DimensionConfig{{Property: "mail", Values: 5}}, Numbers: []declared.NumberConfig{{Property: "age"}}})
	list := NewGenerator(3, epoch).Events(3_000)
	for i := range list {
		if i%50 == 0 {
			list[i].UserID = person
			list[i].Properties = event.Object(`{"mail":"` + person + `","age":30}`)
		}
	}
	b.commit(list...)
	b.ok(b.store.TidyRollups(b.Context()))
	b.clock.advance(time.Minute)
	_, err := b.store.Erase(b.Context(), "erasure", person, true)
	b.ok(err)
	b.clock.advance(time.Minute)
	b.ok(b.store.Compact(b.Context()))
	if found := b.filesWith(person); len(found) > 0 {
		b.Errorf("the person is still in %v", found)
	}
	left := slices.DeleteFunc(list, func(e event.Event) bool { return e.UserID == person })
	b.answers("counts", true, func() { b.nearSeries(b.seriesOf("count", "properties.mail", ""), left) })
	b.answers("numbers", true, func() { b.nearSeries(b.seriesOf("p50:age", "", ""), left) })
}
