package questiontest

import (
	"cmp"
	"math"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/question"
)

// measure is a metric of events, nil where there is none, and how far it may be off.
func measure(m question.Metric, events []event.Event) (value *float64, bound float64) {
	number := func(v float64) *float64 { return &v }
	distinct := func(id func(*event.Event) string) *float64 {
		ids := map[string]bool{}
		for i := range events {
			if s := id(&events[i]); s != "" {
				ids[s] = true
			}
		}
		return number(float64(len(ids)))
	}
	switch m.Measure {
	case question.Count:
		return number(float64(len(events))), 0
	case question.Users:
		return distinct(func(e *event.Event) string { return e.UserID }), 0
	case question.Sessions:
		return distinct(func(e *event.Event) string { return e.SessionID }), 0
	case question.Weighted:
		return weighted(events)
	}
	var numbers []float64
	sum := 0.0
	for i := range events {
		if v, ok := Value(&events[i], m.Field).(float64); ok {
			numbers = append(numbers, v)
			sum += v
		}
	}
	slices.Sort(numbers)
	switch n := len(numbers); {
	case m.Measure == question.Sum:
		return &sum, 0
	case n == 0:
		return nil, 0
	case m.Measure == question.Avg:
		return number(sum / float64(n)), 0
	case m.Measure == question.Min:
		return &numbers[0], 0
	case m.Measure == question.Max:
		return &numbers[n-1], 0
	default:
		at := float64(m.Percent) / 100 * float64(n-1)
		low := int(math.Floor(at))
		high := min(low+1, n-1)
		return number(numbers[low] + (numbers[high]-numbers[low])*(at-float64(low))), 0
	}
}

func weighted(events []event.Event) (*float64, float64) {
	total, sampled := 0.0, 0.0
	drawn := map[string]float64{}
	for i := range events {
		e := &events[i]
		total += 1 / e.SampleRate
		if e.SampleRate < 1 {
			sampled += 1 / e.SampleRate
		}
		person := cmp.Or(e.UserID, e.AnonymousID, e.SessionID, e.ID)
		drawn[person] += math.Sqrt(1-e.SampleRate) / e.SampleRate
	}
	variance := 0.0
	for _, s := range drawn {
		variance += s * s
	}
	if sampled == 0 {
		return &total, 0
	}
	// The largest count that is 1.96 of its standard deviations away at most, as a share of the value.
	b := 1.959964 * 1.959964 * variance / sampled
	return &total, (b + math.Sqrt(b*b+4*1.959964*1.959964*variance)) / 2 / total
}

// group is the events of one value.
type group struct {
	value  any
	events []event.Event
	metric *float64
}

// groups are the values of a field with their events, highest metric first: the named ones, and
// the events of all others.
func groups(events []event.Event, by question.Field, m question.Metric, most int) (named []group, rest []event.Event) {
	index := map[any]int{}
	var all []group
	for i := range events {
		v := Value(&events[i], by)
		switch x := v.(type) {
		case string, bool:
		case float64:
			v = x + 0 // one zero
		default:
			v = nil
		}
		at, ok := index[v]
		if !ok {
			at = len(all)
			index[v] = at
			all = append(all, group{value: v})
		}
		all[at].events = append(all[at].events, events[i])
	}
	for i := range all {
		all[i].metric, _ = measure(m, all[i].events)
	}
	sort.Slice(all, func(i, j int) bool {
		a, b := all[i], all[j]
		switch {
		case a.metric == nil && b.metric == nil || a.metric != nil && b.metric != nil && *a.metric == *b.metric:
			return before(a.value, b.value)
		case a.metric == nil || b.metric == nil:
			return b.metric == nil
		}
		return *a.metric > *b.metric
	})
	for i := range all {
		if i < most {
			named = append(named, all[i])
		} else {
			rest = append(rest, all[i].events...)
		}
	}
	return named, rest
}

// before orders values: numbers, then texts by their bytes, then false and true, then nothing.
func before(a, b any) bool {
	rank := func(v any) (int, float64, string, int) {
		switch v := v.(type) {
		case float64:
			return 0, v, "", 0
		case string:
			return 1, 0, v, 0
		case bool:
			if v {
				return 2, 0, "", 1
			}
			return 2, 0, "", 0
		}
		return 3, 0, "", 0
	}
	ak, an, at, ab := rank(a)
	bk, bn, bt, bb := rank(b)
	return cmp.Or(cmp.Compare(ak, bk), cmp.Compare(an, bn), strings.Compare(at, bt), cmp.Compare(ab, bb)) < 0
}

// Breakdown answers a question.Breakdown.
func Breakdown(q *question.Breakdown, events []event.Event) question.BreakdownAnswer {
	a := question.BreakdownAnswer{Quality: question.Exactly("", q.AsOf), By: q.By.String(), Rows: []question.Row{}}
	a.Metric = q.Metric.String()
	named, rest := groups(Select(events, q.Span, q.Where), q.By, q.Metric, q.Groups)
	for _, g := range named {
		value, bound := measure(q.Metric, g.events)
		a.Rows = append(a.Rows, question.Row{Value: g.value, Metric: value, ErrorBound: bound})
		a.ErrorBound = max(a.ErrorBound, bound)
	}
	if len(rest) > 0 {
		value, bound := measure(q.Metric, rest)
		a.Other = value
		a.ErrorBound = max(a.ErrorBound, bound)
	}
	a.Exact = a.ErrorBound == 0
	return a
}

// Series answers a question.Series.
func Series(q *question.Series, events []event.Event) question.SeriesAnswer {
	a := question.SeriesAnswer{Quality: question.Exactly("", q.AsOf), Interval: q.Interval, Timezone: q.Span.Zone.String(), Series: []question.Line{}}
	a.Metric = q.Metric.String()
	starts := Starts(q.Span, q.Interval)
	selected := Select(events, q.Span, q.Where)
	line := func(value any, other bool, events []event.Event) {
		l := question.Line{Group: value, Other: other}
		for i, start := range starts[:len(starts)-1] {
			var in []event.Event
			for _, e := range events {
				if !e.Timestamp.Before(start) && e.Timestamp.Before(starts[i+1]) {
					in = append(in, e)
				}
			}
			value, bound := measure(q.Metric, in)
			a.ErrorBound = max(a.ErrorBound, bound)
			l.Points = append(l.Points, question.Point{Start: start, Value: value, Complete: !starts[i+1].After(q.AsOf), ErrorBound: bound})
		}
		a.Series = append(a.Series, l)
	}
	if q.GroupBy.IsZero() {
		line(nil, false, selected)
	} else {
		named, rest := groups(selected, q.GroupBy, q.Metric, q.Groups)
		for _, g := range named {
			line(g.value, false, g.events)
		}
		if len(rest) > 0 {
			line("other", true, rest)
		}
	}
	a.Exact = a.ErrorBound == 0
	return a
}

// Starts are the first moments of all buckets that a span touches, and that of the one after.
// It walks through time and watches the calendar on the wall change.
func Starts(s question.Span, i question.Interval) []time.Time {
	const step = 15 * time.Minute // clocks change at quarters of hours
	if i == question.Minute || i == question.Hour {
		return evenStarts(s, i)
	}
	at := s.Start.Add(-40 * 24 * time.Hour).Truncate(step)
	var starts []time.Time
	for last := ""; ; at = at.Add(step) {
		now := label(at.In(s.Zone), i)
		if now == last {
			continue
		}
		last = now
		if !at.After(s.Start) {
			starts = starts[:0]
		}
		starts = append(starts, at.In(s.Zone))
		if !at.Before(s.End) {
			return starts
		}
	}
}

// label names the bucket that a wall clock's reading lies in.
func label(t time.Time, i question.Interval) string {
	day := time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)
	switch i {
	case question.Day:
		return day.Format(time.DateOnly)
	case question.Week:
		return day.AddDate(0, 0, -(int(day.Weekday())+6)%7).Format(time.DateOnly)
	default:
		return day.Format("2006-01")
	}
}

func evenStarts(s question.Span, i question.Interval) []time.Time {
	width := time.Minute
	local := s.Start.In(s.Zone)
	at := local.Add(-time.Duration(local.Second())*time.Second - time.Duration(local.Nanosecond()))
	if i == question.Hour {
		width = time.Hour
		at = at.Add(-time.Duration(local.Minute()) * time.Minute)
	}
	starts := []time.Time{at}
	for at.Before(s.End) {
		at = at.Add(width)
		starts = append(starts, at)
	}
	return starts
}
