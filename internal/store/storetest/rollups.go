package storetest

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/question"
	"github.com/tidemark-obs/tidemark/internal/question/questiontest"
	"github.com/tidemark-obs/tidemark/internal/rollup"
	"github.com/tidemark-obs/tidemark/internal/store"
)

func rollupStories() []story {
	return []story{
		{"counts equal a recomputation", countsOverHistory},
		{"what answers", whatAnswers},
		{"many users lie within the bound", manyUsers},
		{"events and roll-ups expire while all goes on", countsOverAges},
		{"a late deletion is said where it cannot be taken out", lostForEver},
		{"a range begins where there are no minutes any more", edgesWithoutMinutes},
		{"a range ends on the day that hours are kept from", endsWhereHoursBegin},
		{"journeys say what they lack", journeysLack},
		{"nothing is deleted that is not rolled up", filledBeforeExpiry},
		{"what is taken back leaves nothing behind", takenBack},
		{"events from before there were roll-ups", filledLater},
		{"roll-ups from before there were totals", totalsLater},
	}
}

var (
	rollupFields = []string{"event_type", "event_name", "severity", "source", "processed"}
	rollupWheres = []string{
		``, ``, `[{"field":"event_name","op":"in","value":["pay","été"]}]`, `[{"field":"source","op":"!=","value":"web"}]`,
		`[{"field":"source","op":"exists","value":false}]`, `[{"field":"processed","op":"=","value":true}]`,
		`[{"field":"severity","op":"=","value":"high"},{"field":"event_type","op":"!=","value":"custom"}]`,
		`[{"field":"source","op":"contains","value":"web"},{"field":"event_name","op":"<","value":"a"}]`,
	}
)

// answered is how many questions were answered by a path so far.
func (b *bench) answered(path string) (n int) {
	b.Helper()
	r := prometheus.NewRegistry()
	r.MustRegister(b.store.Collectors()...)
	families, err := r.Gather()
	b.ok(err)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "tidemark_questions_total" && m.GetLabel()[0].GetValue() == path {
				return int(m.GetCounter().GetValue())
			}
		}
	}
	b.Fatalf("no counter for %s", path)
	return 0
}

// wholeSpan is about all moments of a workload.
func wholeSpan() question.Span {
	return question.Span{Start: epoch.AddDate(-2, 0, 0), End: epoch.AddDate(1, 0, 0), Zone: time.UTC}
}

// rollupSpan is a random range with ends on and off the hour and the day.
func (w *workload) rollupSpan() question.Span {
	s := w.span()
	if w.r.IntN(2) == 0 {
		s.Zone = time.UTC
	}
	if w.r.IntN(4) == 0 { // months
		s.Start, s.End = s.Start.AddDate(0, 0, -w.r.IntN(120)), s.End.AddDate(0, 0, w.r.IntN(60))
	}
	unit := pick(w.r, time.Microsecond, time.Minute, time.Hour, 24*time.Hour)
	start := s.Start.Truncate(unit)
	if end := s.End.Truncate(unit); start.Before(end) {
		s.Start, s.End = start, end
	}
	return s
}

func (w *workload) askCounts(events []event.Event) {
	w.Helper()
	metric := question.Metric{Measure: pick(w.r, question.Count, question.Weighted, question.Users, question.Sessions)}
	by := question.Field{Column: question.Column(pick(w.r, rollupFields...))}
	text := pick(w.r, rollupWheres...)
	if metric.Measure != question.Count && metric.Measure != question.Weighted && w.r.IntN(3) > 0 {
		by.Column, text = question.EventName, pick(w.r, rollupWheres[:3]...)
	}
	where := mustParse(w.bench, func(p *question.Parser) []question.Condition { return p.Where("where", []byte(text)) })
	rows := &question.Breakdown{Span: w.rollupSpan(), Where: where, Metric: metric, By: by, Groups: 1 + w.r.IntN(6), AsOf: epoch}
	w.sameBreakdown(rows, events)

	line := &question.Series{Span: w.rollupSpan(), Where: where, Metric: metric, Groups: 1 + w.r.IntN(3), AsOf: epoch}
	line.Interval = pick(w.r, question.Day, question.Day, question.Week, question.Month)
	if line.Span.End.Sub(line.Span.Start) < 3*time.Hour {
		line.Interval = pick(w.r, question.Minute, question.Hour)
	} else if line.Span.End.Sub(line.Span.Start) < 100*time.Hour {
		line.Interval = pick(w.r, question.Hour, question.Hour, question.Day)
	}
	if w.r.IntN(2) == 0 {
		line.GroupBy = by
	}
	w.sameSeries(line, events)
}

// sameBreakdown and sameSeries compare answers with the recomputation. The few ids of a workload
// are counted exactly also where the answer says that it may be off.
func (b *bench) sameBreakdown(q *question.Breakdown, events []event.Event) {
	b.Helper()
	got, err := b.store.Breakdown(b.Context(), q)
	b.ok(err)
	if got.CompleteFrom != nil || got.ErrorBound > rollup.IDsBound && q.Metric.Measure != question.Weighted {
		b.withinBreakdown(q, got, events)
		return
	}
	if sketched(&got.Quality, q.Metric) {
		for i := range got.Rows {
			got.Rows[i].ErrorBound = 0
		}
	}
	b.same(q, got, questiontest.Breakdown(q, events))
}

func (b *bench) sameSeries(q *question.Series, events []event.Event) {
	b.Helper()
	got, err := b.store.Series(b.Context(), q)
	b.ok(err)
	if got.CompleteFrom != nil || got.ErrorBound > rollup.IDsBound && q.Metric.Measure != question.Weighted {
		b.withinSeries(q, got, events)
		return
	}
	if sketched(&got.Quality, q.Metric) {
		for _, line := range got.Series {
			for i := range line.Points {
				line.Points[i].ErrorBound = 0
			}
		}
	}
	b.same(q, got, questiontest.Series(q, events))
}

// sketched reports whether an answer says that it comes from sketches, and makes it say otherwise.
func sketched(q *question.Quality, m question.Metric) bool {
	if q.Exact || q.ErrorBound != rollup.IDsBound || m.Measure != question.Users && m.Measure != question.Sessions {
		return false
	}
	q.Exact, q.ErrorBound = true, 0
	return true
}

// countsOverHistory asks between changes, before and after roll-ups are tidied, once with all
// events whole and once with some sampled.
func countsOverHistory(b *bench) {
	for seed, unsampled := range []bool{true, false} {
		w := newWorkload(b, uint64(20+seed))
		w.unsampled = unsampled
		if seed > 0 {
			b.fresh()
		}
		for range fewer(4, 2) {
			w.run(fewer(120, 60))
			for range fewer(12, 5) {
				w.askCounts(w.events)
			}
			if w.r.IntN(3) > 0 {
				b.ok(b.store.TidyRollups(b.Context()))
			}
			// A clock that stands within the events lets ends be taken from whole hours.
			b.clock.advance(pick(w.r, clockChanges...).Add(time.Duration(w.r.Int64N(int64(48 * time.Hour)))).Sub(b.clock.Now()))
			for range fewer(12, 5) {
				w.askCounts(w.events)
			}
		}
	}
	if rolled, raw := b.answered("rollup"), b.answered("raw"); rolled < raw {
		b.Errorf("only %d questions of %d were answered from roll-ups", rolled, rolled+raw)
	}
}

// fresh empties the database.
func (b *bench) fresh() {
	b.Helper()
	_, err := b.store.MigrateDown(b.Context(), 0)
	b.ok(err)
	b.reopen()
}

func whatAnswers(b *bench) {
	w := newWorkload(b, 30)
	w.run(100)
	b.ok(b.store.Delete(b.Context(), w.events[0].ID))
	w.events = w.events[1:]
	name := question.Field{Column: question.EventName}
	count, users := question.Metric{Measure: question.Count}, question.Metric{Measure: question.Users}
	weekInBerlin := wholeSpan()
	var err error
	weekInBerlin.Zone, err = time.LoadLocation("Europe/Berlin")
	b.ok(err)
	inKathmandu := wholeSpan()
	inKathmandu.Zone, err = time.LoadLocation("Asia/Kathmandu")
	b.ok(err)
	property := mustParse(b, func(p *question.Parser) []question.Condition {
		return p.Where("where", []byte(`[{"field":"properties.plan","op":"exists"}]`))
	})
	short := question.Span{Start: epoch.Truncate(time.Hour).Add(time.Minute), End: epoch.Truncate(time.Hour).Add(50 * time.Minute), Zone: time.UTC}
	moment := question.Span{Start: epoch.Truncate(time.Minute).Add(time.Second), End: epoch.Truncate(time.Minute).Add(50 * time.Second), Zone: time.UTC}
	for _, c := range []struct {
		name   string
		series question.Series
		rolled bool
	}{
		{"days", question.Series{Span: wholeSpan(), Metric: count, Interval: question.Day, GroupBy: name}, true},
		{"weeks in a zone of whole hours", question.Series{Span: weekInBerlin, Metric: count, Interval: question.Week}, true},
		{"a zone of quarters of hours", question.Series{Span: inKathmandu, Metric: count, Interval: question.Day}, true},
		{"minutes", question.Series{Span: short, Metric: count, Interval: question.Minute}, true},
		{"within an hour", question.Series{Span: short, Metric: count, Interval: question.Hour}, true},
		{"within a minute", question.Series{Span: moment, Metric: count, Interval: question.Minute}, false},
		{"users by minute", question.Series{Span: short, Metric: users, Interval: question.Minute}, false},
		{"a condition on a property", question.Series{Span: wholeSpan(), Metric: count, Interval: question.Day, Where: property}, false},
		{"by user", question.Series{Span: wholeSpan(), Metric: count, Interval: question.Month, GroupBy: question.Field{Column: question.UserID}}, false},
		{"weighted, with sampled events", question.Series{Span: wholeSpan(), Metric: question.Metric{Measure: question.Weighted}, Interval: question.Month}, false},
		{"users, after a deletion", question.Series{Span: wholeSpan(), Metric: users, Interval: question.Month}, false},
		{"", question.Series{}, false},
		{"users, with sketches made anew", question.Series{Span: wholeSpan(), Metric: users, Interval: question.Month}, true},
		{"users by severity", question.Series{Span: wholeSpan(), Metric: users, Interval: question.Month, GroupBy: question.Field{Column: "severity"}}, false},
		{"days after tidying", question.Series{Span: wholeSpan(), Metric: count, Interval: question.Day, GroupBy: name}, true},
	} {
		if c.name == "" {
			b.ok(b.store.TidyRollups(b.Context()))
			continue
		}
		c.series.Groups, c.series.AsOf = 3, epoch
		rolled, raw := b.answered("rollup"), b.answered("raw")
		b.sameSeries(&c.series, w.events)
		if asked := b.answered("rollup") - rolled; (asked == 1) != c.rolled || asked+b.answered("raw")-raw != 1 {
			b.Errorf("%s: %d answered from roll-ups, %d from events", c.name, asked, b.answered("raw")-raw)
		}
	}
}

// counts are the events that series and breakdowns know of, by name.
func (b *bench) counts() question.BreakdownAnswer {
	b.Helper()
	a, err := b.store.Breakdown(b.Context(), byName())
	b.ok(err)
	return a
}

func byName() *question.Breakdown {
	return &question.Breakdown{Span: wholeSpan(), Metric: question.Metric{Measure: question.Count},
		By: question.Field{Column: question.EventName}, Groups: 20, AsOf: epoch}
}

// takenBack tries events that are refused, probed, stored from a stale cursor, and deleted before
// they come: none of them may count.
func takenBack(b *bench) {
	b.commit(at("kept", 0), at("gone", time.Hour))
	b.ok(b.store.Delete(b.Context(), "gone"))
	b.ok(b.store.Probe(b.Context(), []event.Event{at("probed", 0)}))
	stale := store.Batch{From: store.Cursor{Stream: "stream"}, Seq: 9, Events: []event.Event{at("stale", 0)}}
	_, err := b.store.Commit(b.Context(), &stale)
	b.wantKind(err, errs.Conflict)
	bad := at("bad", 0)
	bad.Name = "a\x00b"
	b.wantKind(b.store.Probe(b.Context(), []event.Event{at("beside", 0), bad}), errs.Invalid)
	b.wantDuplicates(b.commit(at("gone", 2*time.Hour), at("kept", 3*time.Hour)), "gone", "kept")
	for range 2 {
		want := questiontest.Breakdown(byName(), []event.Event{at("kept", 0)})
		b.same("counts", b.counts(), want)
		b.ok(b.store.TidyRollups(b.Context()))
	}
}

// filledLater takes the roll-ups away from under the events and brings them back. Until they are
// filled the events answer, and what changes meanwhile counts once.
func filledLater(b *bench) {
	w := newWorkload(b, 40)
	w.run(100)
	const before = 6
	_, err := b.store.MigrateDown(b.Context(), before)
	b.ok(err)
	b.reopen()
	w.run(60)
	rolled := b.answered("rollup")
	b.same("before", b.counts(), questiontest.Breakdown(byName(), w.events))
	if b.answered("rollup") != rolled {
		b.Error("roll-ups answered before they were filled")
	}
	b.ok(b.store.TidyRollups(b.Context()))
	w.run(60)
	for range 20 {
		w.askCounts(w.events)
	}
	b.same("after", b.counts(), questiontest.Breakdown(byName(), w.events))
	if b.answered("rollup") == rolled {
		b.Error("roll-ups did not answer after they were filled")
	}
}

// totalsLater takes the totals away from under roll-ups that are tidy, and lets the migration make them.
func totalsLater(b *bench) {
	w := newWorkload(b, 43)
	w.run(100)
	b.ok(b.store.TidyRollups(b.Context()))
	const before = 14
	_, err := b.store.MigrateDown(b.Context(), before)
	b.ok(err)
	b.reopen()
	raw := b.answered("raw")
	for _, field := range rollupFields {
		q := byName()
		q.By.Column = question.Column(field)
		b.sameBreakdown(q, w.events)
	}
	if b.answered("raw") != raw {
		b.Error("roll-ups did not answer")
	}
	w.run(60)
	for range 20 {
		w.askCounts(w.events)
	}
}

// manyUsers stores more users than a sketch can hold exactly, over ragged days and in an order that
// has tidying between.
func manyUsers(b *bench) {
	g := NewGenerator(7, epoch)
	var events []event.Event
	each := fewer(15_000, 4_000)
	apart := 62*time.Hour/time.Duration(each) + time.Second
	for part := range 4 {
		batch := g.Events(each)
		for i := range batch {
			e := &batch[i]
			e.Name = fmt.Sprint("n", i%3)
			e.Timestamp = epoch.Add(time.Duration(i) * apart).Truncate(time.Microsecond)
		}
		b.commit(batch...)
		events = append(events, batch...)
		if part == 2 {
			b.ok(b.store.TidyRollups(b.Context()))
		}
	}
	ask := func() {
		span := question.Span{Start: epoch.Add(90 * time.Minute), End: epoch.Add(61 * time.Hour), Zone: time.UTC}
		users := question.Metric{Measure: question.Users}
		series := &question.Series{Span: span, Metric: users, Interval: question.Day, AsOf: epoch}
		got, err := b.store.Series(b.Context(), series)
		b.ok(err)
		want := questiontest.Series(series, events)
		for i, p := range got.Series[0].Points {
			b.near(*p.Value, *want.Series[0].Points[i].Value, got.ErrorBound)
		}
		rows := &question.Breakdown{Span: span, Metric: users, By: question.Field{Column: question.EventName}, Groups: 1, AsOf: epoch}
		answer, err := b.store.Breakdown(b.Context(), rows)
		b.ok(err)
		all := questiontest.Breakdown(&question.Breakdown{Span: span, Metric: users, By: rows.By, Groups: 3, AsOf: epoch}, events)
		rest := questiontest.Breakdown(rows, events)
		for _, row := range all.Rows {
			if row.Value == answer.Rows[0].Value {
				b.near(*answer.Rows[0].Metric, *row.Metric, answer.ErrorBound)
			}
		}
		b.near(*answer.Other, *rest.Other, 2*rollup.IDsBound) // another group may be the first
	}
	ask()
	rolled := b.answered("rollup")
	for range 30 {
		i := len(events)/2 + each/3 // hours after the start
		b.ok(b.store.Delete(b.Context(), events[i].ID))
		events = slices.Delete(events, i, i+1)
	}
	ask()
	b.ok(b.store.TidyRollups(b.Context()))
	ask()
	if rolled != 2 || b.answered("rollup") != 4 {
		b.Errorf("roll-ups answered %d and %d questions, want 2 before the deletions and 2 after tidying", rolled, b.answered("rollup")-rolled)
	}
}

func (b *bench) near(got, want, bound float64) {
	b.Helper()
	if math.Abs(got-want) > bound*max(got, want) { // a bound is a share of the answer
		b.Errorf("%v users, want %v within %v", got, want, bound)
	}
}
