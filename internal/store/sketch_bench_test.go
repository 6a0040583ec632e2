package store

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/pgtest"
	"github.com/tidemark-obs/tidemark/internal/question"
)

// sketchDays is how long the time is that BenchmarkUsersFromSketches asks about.
const sketchDays = 90

var sketchStart = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)

// BenchmarkUsersFromSketches asks for users over 90 days of a database with the sketches that
// TIDEMARK_BENCH_ROWS events leave, tidied, and without the events. TIDEMARK_BENCH_DIR keeps DuckDB's
// file for the next run.
func BenchmarkUsersFromSketches(b *testing.B) {
	rows, err := strconv.Atoi(os.Getenv("TIDEMARK_BENCH_ROWS"))
	if err != nil {
		b.Skip("TIDEMARK_BENCH_ROWS is not set")
	}
	b.Run("duckdb", func(b *testing.B) {
		dir := os.Getenv("TIDEMARK_BENCH_DIR")
		if dir == "" {
			dir = b.TempDir()
		}
		benchSketches(b, Config{Dir: dir}, rows)
	})
	b.Run("postgres", func(b *testing.B) { benchSketches(b, Config{URL: pgtest.Start(b).Database(b)}, rows) })
}

func benchSketches(b *testing.B, cfg Config, rows int) {
	s, err := Open(b.Context(), cfg)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Migrate(b.Context(), false); err != nil {
		b.Fatal(err)
	}
	sketchPast(b, s, rows)
	var p question.Parser
	end := sketchStart.AddDate(0, 0, sketchDays)
	for _, days := range []int{90, 30, 7} {
		span := question.Span{Start: end.AddDate(0, 0, -days), End: end, Zone: time.UTC}
		users, by := p.Metric("", "users"), question.Field{Column: question.EventName}
		for _, q := range []struct {
			name string
			ask  func() error
		}{
			{"users by name", func() error {
				_, err := s.Breakdown(b.Context(), &question.Breakdown{Span: span, Metric: users, By: by, Groups: 10})
				return err
			}},
			{"users by day", func() error {
				_, err := s.Series(b.Context(), &question.Series{Span: span, Metric: users, Interval: question.Day})
				return err
			}},
			{"users by day and name", func() error {
				_, err := s.Series(b.Context(), &question.Series{Span: span, Metric: users, Interval: question.Day, GroupBy: by, Groups: 10})
				return err
			}},
		} {
			b.Run(fmt.Sprintf("%s, %d days", q.name, days), func(b *testing.B) { quantiles(b, q.ask) })
		}
	}
}

// quantiles reports how long something takes.
func quantiles(b *testing.B, ask func() error) {
	var took []time.Duration
	for b.Loop() {
		began := time.Now()
		if err := ask(); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2])/1e6, "p50-ms")
	b.ReportMetric(float64(took[(len(took)*99)/100])/1e6, "p99-ms")
}

// sketchPast writes the sketches of many events, unless they are there.
func sketchPast(b *testing.B, s *Store, rows int) {
	var n int
	if err := s.p.admin.Get(&n, "SELECT count(*) FROM rollup_ids"); err != nil || n > 0 {
		return
	}
	r := rand.New(rand.NewPCG(1, 2))
	// zipf draws a rank from 0 to n-1 whose frequency falls with one over the rank.
	zipf := func(n int) int { return int(math.Pow(float64(n+1), r.Float64())) - 1 }
	for d := range sketchDays {
		m := sketches{}
		for range rows / sketchDays {
			at := sketchStart.AddDate(0, 0, d).Add(time.Duration(r.Int64N(int64(day))))
			user := zipf(100_000)
			e := counted{at: at, name: fmt.Sprint("event ", zipf(50)), user: fmt.Sprintf("user-%06d", user),
				session: fmt.Sprintf("session-%06d-%d", user, at.Unix()/1800)}
			m.add(&e, hour)
			m.add(&e, day)
		}
		err := s.transact(b.Context(), "INSERT", func(ctx context.Context, ses session) error {
			return s.keepSketches(ctx, ses, m, false)
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	if err := s.TidyRollups(b.Context()); err != nil { // writes those of many days
		b.Fatal(err)
	}
	if !s.d.alone() {
		if _, err := s.p.admin.Exec("VACUUM ANALYZE rollup_ids"); err != nil {
			b.Fatal(err)
		}
	}
}
