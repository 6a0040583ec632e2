package store_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/declared"
	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/question"
	"github.com/tidemark-obs/tidemark/internal/question/questiontest"
	"github.com/tidemark-obs/tidemark/internal/rollup"
	"github.com/tidemark-obs/tidemark/internal/store"
)

// TestManyDaysAreReadAtOnce takes away the days that wide sketches and numbers stand for: answers about
// months need them no more. So it is shown that those are read, over late events, deletions and days that
// are filled later.
func TestManyDaysAreReadAtOnce(t *testing.T) {
	for name, cfg := range bothDatabases {
		if testing.Short() && name == "postgres" {
			continue // the same code reads both
		}
		for change, do := range map[string]func(t *testing.T, s *store.Store, m *months){
			"nothing": func(*testing.T, *store.Store, *months) {},
			"late events": func(t *testing.T, s *store.Store, m *months) {
				var late []event.Event
				for i, d := range []int{20, 20, 57} {
					e := m.event(d)
					e.UserID, e.SessionID = fmt.Sprint("late", i), fmt.Sprint("late", i)
					m.events[len(m.events)-1] = e
					late = append(late, e)
				}
				m.commit(t, s, late...)
			},
			"deletions": func(t *testing.T, s *store.Store, m *months) {
				for range 3 {
					must(t, s.Delete(t.Context(), m.events[30].ID))
					m.events = append(m.events[:30], m.events[31:]...)
				}
			},
			"filled later": func(t *testing.T, s *store.Store, m *months) {
				_, err := s.MigrateDown(t.Context(), 6)
				must(t, err)
				_, err = s.Migrate(t.Context(), false)
				must(t, err)
			},
			"from a schema without": func(t *testing.T, s *store.Store, _ *months) {
				_, err := s.MigrateDown(t.Context(), 16)
				must(t, err)
				_, err = s.Migrate(t.Context(), false)
				must(t, err)
			},
		} {
			t.Run(name+"/"+change, func(t *testing.T) {
				c := cfg(t)
				now := monthsStart.AddDate(0, 0, monthsLong)
				c.Now, c.FewEvents, c.Declared = func() time.Time { return now }, 1, amounts(t)
				s, m := open(t, c), &months{}
				for d := 0; d < monthsLong; d += 8 {
					var events []event.Event
					for i := range 8 * 3 {
						events = append(events, m.event(d+i/3))
					}
					m.commit(t, s, events...)
				}
				must(t, s.TidyRollups(t.Context()))
				m.ask(t, s)
				m.askNumbers(t, s)
				do(t, s, m)
				if change != "filled later" {
					m.ask(t, s)
					m.askNumbers(t, s)
				}
				must(t, s.TidyRollups(t.Context()))
				answered := store.AnsweredFromRollups(t, s)
				m.ask(t, s)
				if n := store.AnsweredFromRollups(t, s) - answered; n != 4 {
					t.Errorf("%v of 4 questions were answered from roll-ups", n)
				}
				m.askNumbers(t, s)
				if ids, numbers := store.OnlyWide(t, s); ids < 15 || numbers < 15 {
					t.Errorf("there are %d wide sketches of ids, and %d of numbers", ids, numbers)
				}
				m.askOfAll(t, s)
				m.askNumbers(t, s)
			})
		}
	}
}

const monthsLong = 128

var monthsStart = time.Time{}.AddDate(2024, 0, 0).Truncate(32 * 24 * time.Hour)

// months are events over whole wide buckets.
type months struct {
	events []event.Event
	cursor store.Cursor
}

func (m *months) event(d int) event.Event {
	n := len(m.events)
	e := event.Event{
		ID: fmt.Sprint("m", n), Name: fmt.Sprint("n", n%4), Type: event.Custom, Severity: event.Low, SampleRate: 1,
		Timestamp: monthsStart.AddDate(0, 0, d).Add(time.Duration(n%24) * time.Hour), UserID: fmt.Sprint("u", n*n%97), SessionID: fmt.Sprint("s", n/5),
	}
	e.ReceivedAt = e.Timestamp
	e.Properties = fmt.Appendf(nil, `{"amount":%d}`, 1+n*n%1009)
	m.events = append(m.events, e)
	return e
}

func (m *months) commit(t *testing.T, s *store.Store, events ...event.Event) {
	t.Helper()
	m.cursor.Stream = "months"
	result, err := s.Commit(t.Context(), &store.Batch{From: m.cursor, Seq: m.cursor.Seq + 1, Events: events})
	must(t, err)
	m.cursor = result.Cursor
}

// ask compares with a recomputation.
func (m *months) ask(t *testing.T, s *store.Store) {
	t.Helper()
	m.askOfAll(t, s)
	for _, measure := range []question.Measure{question.Users, question.Sessions} {
		line := &question.Series{Span: monthsSpan(), Metric: question.Metric{Measure: measure}, Interval: question.Month, AsOf: monthsStart}
		series, err := s.Series(t.Context(), line)
		must(t, err)
		for i, p := range questiontest.Series(line, m.events).Series[0].Points {
			if value := *series.Series[0].Points[i].Value; value != *p.Value {
				t.Errorf("%v of %v: %v, want %v", measure, p.Start, value, *p.Value)
			}
		}
	}
}

func monthsSpan() question.Span {
	return question.Span{Start: monthsStart, End: monthsStart.AddDate(0, 0, monthsLong), Zone: time.UTC}
}

// askOfAll asks what needs no days.
func (m *months) askOfAll(t *testing.T, s *store.Store) {
	t.Helper()
	for _, measure := range []question.Measure{question.Users, question.Sessions} {
		rows := &question.Breakdown{Span: monthsSpan(), Metric: question.Metric{Measure: measure}, Groups: 3, AsOf: monthsStart,
			By: question.Field{Column: question.EventName}}
		got, err := s.Breakdown(t.Context(), rows)
		must(t, err)
		want := questiontest.Breakdown(rows, m.events)
		for i, row := range want.Rows {
			if *got.Rows[i].Metric != *row.Metric || got.Rows[i].Value != row.Value {
				t.Errorf("%v by name: %v has %v, want %v with %v", measure, got.Rows[i].Value, *got.Rows[i].Metric, row.Value, *row.Metric)
			}
		}
		if *got.Other != *want.Other {
			t.Errorf("%v of other names: %v, want %v", measure, *got.Other, *want.Other)
		}
	}
	st, err := s.Stats(t.Context(), monthsSpan().Start, monthsSpan().End)
	must(t, err)
	users := map[string]bool{}
	for i := range m.events {
		users[m.events[i].UserID] = true
	}
	if st.UniqueUsers != int64(len(users)) {
		t.Errorf("%d users, want %d", st.UniqueUsers, len(users))
	}
}

func amounts(t *testing.T) *declared.Set {
	t.Helper()
	set, err := declared.New(declared.Config{Numbers: []declared.NumberConfig{{Property: "amount"}}}, "statistics")
	must(t, err)
	return set
}

// askNumbers asks of declared numbers what needs no days: from events, there would be none of these.
func (m *months) askNumbers(t *testing.T, s *store.Store) {
	t.Helper()
	for name, off := range map[string]float64{"sum:amount": 0, "max:amount": 0, "p95:amount": rollup.Accuracy} {
		var p question.Parser
		rows := &question.Breakdown{Span: monthsSpan(), Metric: p.Metric("", name), Groups: 4, AsOf: monthsStart, By: p.Grouping("", "event_name")}
		must(t, p.Err())
		got, err := s.Breakdown(t.Context(), rows)
		must(t, err)
		want := map[any]float64{}
		for _, row := range questiontest.Breakdown(rows, m.events).Rows {
			want[row.Value] = *row.Metric
		}
		if len(got.Rows) != len(want) {
			t.Errorf("%s: %d names, want %d", name, len(got.Rows), len(want))
		}
		for _, row := range got.Rows {
			if n := want[row.Value]; math.Abs(*row.Metric-n) > off*n {
				t.Errorf("%s: %v has %v, want %v", name, row.Value, *row.Metric, n)
			}
		}
	}
}
