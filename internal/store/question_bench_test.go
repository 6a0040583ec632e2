package store_test

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/question"
	"github.com/tidemark-obs/tidemark/internal/store"
)

// BenchmarkQuestions fills a database with TIDEMARK_BENCH_ROWS events over 90 days and prints how
// long each question takes. TIDEMARK_BENCH_MEMORY is DuckDB's memory limit.
func BenchmarkQuestions(b *testing.B) {
	rows := benchRows(b)
	start := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	span := question.Span{Start: start, End: start.AddDate(0, 0, pastDays), Zone: time.UTC}
	databases(b, func(b *testing.B, cfg store.Config) {
		cfg = kept(cfg)
		cfg.MemoryLimit = os.Getenv("TIDEMARK_BENCH_MEMORY")
		s := open(b, cfg)
		c, err := s.Cursor(b.Context(), "questions")
		if err != nil {
			b.Fatal(err)
		}
		fillPast(b, s, c, start, rows, func(*event.Event) {})
		store.Vacuum(b, s)
		for _, q := range questions(s, span) {
			best := time.Hour
			for range 3 {
				began := time.Now()
				if err := q.ask(b); err != nil {
					fmt.Printf("%s %s: %v\n", s.Dialect(), q.name, err)
					best = -1
					break
				}
				best = min(best, time.Since(began))
			}
			fmt.Printf("%s %-40s %v, memory %d MB\n", s.Dialect(), q.name, best.Round(time.Millisecond), resident(b)>>20)
		}
	})
}

type benchQuestion struct {
	name string
	ask  func(b *testing.B) error
}

func questions(s *store.Store, span question.Span) []benchQuestion {
	var p question.Parser
	name := question.Field{Column: question.EventName}
	series := func(metric string, by question.Field) func(b *testing.B) error {
		return func(b *testing.B) error {
			_, err := s.Series(b.Context(), &question.Series{Span: span, Metric: p.Metric("", metric), Interval: question.Day, GroupBy: by, Groups: 10})
			return err
		}
	}
	breakdown := func(metric, by string) func(b *testing.B) error {
		return func(b *testing.B) error {
			_, err := s.Breakdown(b.Context(), &question.Breakdown{Span: span, Metric: p.Metric("", metric), By: p.Field("", by), Groups: 10})
			return err
		}
	}
	step := func(n int) question.Match { return question.Match{EventName: "event_" + strconv.Itoa(n)} }
	funnel := func(breakdown question.Field, steps ...question.Match) func(b *testing.B) error {
		return func(b *testing.B) error {
			_, err := s.Funnel(b.Context(), &question.Funnel{Span: span, Steps: steps, Window: 7 * 24 * time.Hour, By: question.ByUser, Breakdown: breakdown, Groups: 10})
			return err
		}
	}
	return []benchQuestion{
		{"count by day", series("count", question.Field{})},
		{"count by day and name", series("count", name)},
		{"users by day", series("users", question.Field{})},
		{"users by day and name", series("users", name)},
		{"weighted by day and name", series("weighted", name)},
		{"p95 of a property by day", series("p95:amount", question.Field{})},
		{"p95 of a property by day and name", series("p95:amount", name)},
		{"count by name", breakdown("count", "event_name")},
		{"count by property, 1 value", breakdown("count", "properties.plan")},
		{"count by property, 5000 values", breakdown("count", "properties.path")},
		{"avg of a property by property", breakdown("avg:amount", "properties.path")},
		{"users by user_id", breakdown("users", "user_id")},
		{"funnel, 3 steps", funnel(question.Field{}, step(0), step(1), step(2))},
		{"funnel, 3 steps, breakdown", funnel(p.Field("", "properties.plan"), step(0), step(1), step(2))},
		{"funnel, 2 steps of any event", funnel(question.Field{}, question.Match{Where: p.Where("", []byte(`[{"field":"source","op":"exists"}]`))}, question.Match{Where: p.Where("", []byte(`[{"field":"source","op":"exists"}]`))})},
		{"retention by week", func(b *testing.B) error {
			_, err := s.Retention(b.Context(), &question.Retention{Span: span, First: step(0), Returning: step(1), Period: question.Week, Periods: 12})
			return err
		}},
		{"retention by week, any event", func(b *testing.B) error {
			_, err := s.Retention(b.Context(), &question.Retention{Span: span, Period: question.Week, Periods: 12})
			return err
		}},
		{"sessions", func(b *testing.B) error {
			_, err := s.Visits(b.Context(), &question.Visits{Span: span, Gap: 30 * time.Minute})
			return err
		}},
		{"paths", func(b *testing.B) error {
			_, err := s.Paths(b.Context(), &question.Paths{Span: span, Anchor: "event_0", By: question.ByUser, Depth: 3, Groups: 10})
			return err
		}},
	}
}
