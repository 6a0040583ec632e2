package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/question"
	"github.com/tidemark-obs/tidemark/internal/question/questiontest"
	"github.com/tidemark-obs/tidemark/internal/store"
)

// TestIDsUntilNowAreNotReadFromEvents asks for spans that end within an hour, as those that end now
// do: its events need not be read, unless there are others behind them in that hour, nor the hours
// of that day, unless there are others behind them in it.
func TestIDsUntilNowAreNotReadFromEvents(t *testing.T) {
	for name, cfg := range bothDatabases {
		t.Run(name, func(t *testing.T) {
			hour := time.Date(2025, 3, 4, 15, 0, 0, 0, time.UTC)
			c := cfg(t)
			c.Now, c.FewEvents = func() time.Time { return hour.Add(20 * time.Minute) }, 1
			s := open(t, c)
			var events []event.Event
			add := func(at time.Time, user string) {
				n := len(events)
				events = append(events, event.Event{
					ID: fmt.Sprint("e", n), Name: fmt.Sprint("n", n%3), Type: event.Custom, Severity: event.Low, SampleRate: 1,
					Timestamp: at, ReceivedAt: at, UserID: user, SessionID: "of " + user,
				})
			}
			for n := range 60 {
				add(hour.Add(time.Duration(n-40)*time.Minute), fmt.Sprint("u", n%40))
			}
			add(hour.Add(30*time.Minute), "whose clock is ahead")
			add(hour.Add(5*time.Hour), "whose clock is hours ahead")
			for n := range 30 {
				add(hour.Add(time.Duration(-n)*time.Hour), fmt.Sprint("before", n%20))
			}
			_, err := s.Commit(t.Context(), &store.Batch{From: store.Cursor{Stream: "now"}, Seq: 1, Events: events})
			must(t, err)
			ask := func(end time.Time) {
				t.Helper()
				answered := store.AnsweredFromRollups(t, s)
				for _, start := range []time.Time{hour.Add(-5 * time.Hour), hour.Add(-25 * time.Hour)} {
					asksForIDs(t, s, events, question.Span{Start: start, End: end, Zone: time.UTC})
				}
				if n := store.AnsweredFromRollups(t, s) - answered; n != 8 {
					t.Errorf("%v of 8 questions were answered from roll-ups", n)
				}
			}
			for _, tidy := range []bool{false, true} {
				if tidy {
					must(t, s.TidyRollups(t.Context()))
				}
				ask(hour.Add(20 * time.Minute)) // with one behind it
				ask(hour.Add(31 * time.Minute)) // with one behind its hour
				ask(hour.Add(301 * time.Minute))
			}
			store.OnlyRollups(t, s)
			asksForIDs(t, s, events, question.Span{Start: hour.Add(-5 * time.Hour), End: hour.Add(31 * time.Minute), Zone: time.UTC})
			store.NoSketchesOfHours(t, s, hour.Truncate(24*time.Hour))
			asksForNames(t, s, events, question.Span{Start: hour.Add(-25 * time.Hour), End: hour.Add(301 * time.Minute), Zone: time.UTC})
		})
	}
}

// asksForIDs compares with a recomputation.
func asksForIDs(t *testing.T, s *store.Store, events []event.Event, span question.Span) {
	t.Helper()
	asksForNames(t, s, events, span)
	for _, measure := range []question.Measure{question.Users, question.Sessions} {
		line := &question.Series{Span: span, Metric: question.Metric{Measure: measure}, Interval: question.Hour}
		series, err := s.Series(t.Context(), line)
		must(t, err)
		for i, p := range questiontest.Series(line, events).Series[0].Points {
			if value := *series.Series[0].Points[i].Value; value != *p.Value {
				t.Errorf("until %v %v from %v: %v, want %v", span.End, measure, p.Start, value, *p.Value)
			}
		}
	}
	st, err := s.Stats(t.Context(), span.Start, span.End)
	must(t, err)
	users := map[string]bool{}
	for i := range events {
		if at := events[i].Timestamp; !at.Before(span.Start) && at.Before(span.End) {
			users[events[i].UserID] = true
		}
	}
	if st.UniqueUsers != int64(len(users)) {
		t.Errorf("until %v %d users, want %d", span.End, st.UniqueUsers, len(users))
	}
}

func asksForNames(t *testing.T, s *store.Store, events []event.Event, span question.Span) {
	t.Helper()
	for _, measure := range []question.Measure{question.Users, question.Sessions} {
		rows := &question.Breakdown{Span: span, Metric: question.Metric{Measure: measure}, Groups: 3, By: question.Field{Column: question.EventName}}
		got, err := s.Breakdown(t.Context(), rows)
		must(t, err)
		for i, want := range questiontest.Breakdown(rows, events).Rows {
			if len(got.Rows) <= i || *got.Rows[i].Metric != *want.Metric {
				t.Errorf("until %v %v by name: %+v, want %v of %v", span.End, measure, got.Rows, *want.Metric, want.Value)
			}
		}
	}
}
