package store_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/declared"
	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/question"
	"github.com/tidemark-obs/tidemark/internal/store"
	"github.com/tidemark-obs/tidemark/internal/store/storetest"
)

// declaredShop declares three dimensions, one of which has far more values than are kept, and two
// numbers.
func declaredShop(b *testing.B) *declared.Set {
	set, err := declared.New(declared.Config{
		Dimensions: []declared.DimensionConfig{{Property: "plan"}, {Property: "country"}, {Property: "path"}},
		Numbers:    []declared.NumberConfig{{Property: "amount"}, {Property: "ms"}},
	}, "statistics")
	if err != nil {
		b.Fatal(err)
	}
	return set
}

// shopEvents makes events with what declaredShop declares.
func shopEvents(g *storetest.Generator, r *rand.Rand, n int) []event.Event {
	list := g.Events(n)
	for i := range list {
		list[i].Properties = fmt.Appendf(nil, `{"plan":%q,"amount":%d.5,"path":"/catalogue/%d","country":"c%d","ms":%.2f}`,
			[]string{"free", "pro", "team"}[r.IntN(3)], r.IntN(100_000), int(r.ExpFloat64()*500), int(r.ExpFloat64()*8), r.ExpFloat64()*200)
	}
	return list
}

// BenchmarkDeclared compares how fast events are stored without and with declarations.
func BenchmarkDeclared(b *testing.B) {
	databases(b, func(b *testing.B, cfg store.Config) {
		s := open(b, cfg)
		g, r := storetest.NewGenerator(1, time.Now()), rand.New(rand.NewPCG(1, 1))
		c := store.Cursor{Stream: "bench"}
		for _, declares := range []bool{false, true} {
			if declares {
				if err := s.Close(); err != nil {
					b.Fatal(err)
				}
				cfg.Declared = declaredShop(b)
				s = open(b, cfg)
				if err := s.TidyRollups(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
			for _, size := range []int{500, 5_000} {
				b.Run(fmt.Sprint(declares, "/", size), func(b *testing.B) {
					var took time.Duration
					for b.Loop() {
						batch := store.Batch{From: c, Seq: c.Seq + 1, Events: shopEvents(g, r, size)}
						start := time.Now()
						result, err := s.Commit(b.Context(), &batch)
						took += time.Since(start)
						if err != nil {
							b.Fatal(err)
						}
						c = result.Cursor
					}
					b.ReportMetric(float64(size*b.N)/took.Seconds(), "rows/s")
				})
			}
		}
	})
}

// BenchmarkDeclaredQuestions fills a database with TIDEMARK_BENCH_ROWS events over 90 days and
// prints how long questions about what is declared take, and how large the roll-ups are.
func BenchmarkDeclaredQuestions(b *testing.B) {
	rows, err := strconv.Atoi(os.Getenv("TIDEMARK_BENCH_ROWS"))
	if err != nil {
		b.Skip("TIDEMARK_BENCH_ROWS is not set")
	}
	start := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	span := question.Span{Start: start, End: start.AddDate(0, 0, 90), Zone: time.UTC}
	databases(b, func(b *testing.B, cfg store.Config) {
		cfg.Declared = declaredShop(b)
		s := open(b, cfg)
		tidy(b, s)
		began := time.Now()
		fillShop(b, s, span, rows)
		stored := time.Since(began)
		tidy(b, s)
		store.Vacuum(b, s)
		fmt.Printf("%s stored in %v, tidied in %v, %s\n", s.Dialect(), stored.Round(time.Second),
			(time.Since(began) - stored).Round(time.Millisecond), store.RollupSizes(b, s))
		for _, q := range shopQuestions(span) {
			best, answered := time.Hour, 0.0
			var quality question.Quality
			for range 4 {
				before, at := store.AnsweredFromRollups(b, s), time.Now()
				quality = q.ask(b, s)
				best = min(best, time.Since(at))
				answered = store.AnsweredFromRollups(b, s) - before
			}
			fmt.Printf("%s %-28s %v, rolled %v, exact %v, bound %.3f\n", s.Dialect(), q.name, best.Round(100*time.Microsecond),
				answered == 1, quality.Exact, quality.ErrorBound)
		}
	})
}

func tidy(b *testing.B, s *store.Store) {
	if err := s.TidyRollups(b.Context()); err != nil {
		b.Fatal(err)
	}
}

// fillShop stores events evenly over a span.
func fillShop(b *testing.B, s *store.Store, span question.Span, rows int) {
	c, g, r := store.Cursor{Stream: "questions"}, storetest.NewGenerator(1, span.Start), rand.New(rand.NewPCG(1, 1))
	const size = 10_000
	for i := 0; i < rows; i += size {
		batch := store.Batch{From: c, Seq: c.Seq + 1, Events: shopEvents(g, r, size)}
		for k := range batch.Events {
			e := &batch.Events[k]
			late := e.ReceivedAt.Sub(e.Timestamp)
			e.ReceivedAt = span.Start.Add(span.End.Sub(span.Start) / time.Duration(rows) * time.Duration(i+k)).Truncate(time.Microsecond)
			e.Timestamp = e.ReceivedAt.Add(-late)
		}
		result, err := s.Commit(b.Context(), &batch)
		if err != nil {
			b.Fatal(err)
		}
		c = result.Cursor
	}
}

type shopQuestion struct {
	name, metric, by string
	span             question.Span
	where            []question.Condition
	daily            bool
}

func shopQuestions(span question.Span) []shopQuestion {
	var p question.Parser
	pro := p.Where("", []byte(`[{"field":"properties.plan","op":"=","value":"pro"}]`))
	name := p.Where("", []byte(`[{"field":"event_name","op":"=","value":"event_3"}]`))
	ragged := span
	ragged.Start, ragged.End = span.Start.Add(100*time.Hour+17*time.Minute), span.End.Add(-50*time.Hour-13*time.Minute)
	return []shopQuestion{
		{"top plans", "count", "properties.plan", span, nil, false},
		{"top countries", "count", "properties.country", span, nil, false},
		{"top countries, ragged", "count", "properties.country", ragged, nil, false},
		{"top paths", "count", "properties.path", span, nil, false},
		{"top countries of a name", "count", "properties.country", span, name, false},
		{"plan pro by day", "count", "", span, pro, true},
		{"plan pro by name", "count", "event_name", span, pro, false},
		{"plans by day", "count", "properties.plan", span, nil, true},
		{"sum by day", "sum:amount", "", span, nil, true},
		{"p95 by day", "p95:ms", "", span, nil, true},
		{"p95 by name", "p95:ms", "event_name", span, nil, false},
		{"p95 by day and name", "p95:ms", "event_name", span, nil, true},
	}
}

func (q *shopQuestion) ask(b *testing.B, s *store.Store) question.Quality {
	var p question.Parser
	metric, by := p.Metric("", q.metric), p.Grouping("", q.by)
	if q.daily {
		a, err := s.Series(b.Context(), &question.Series{Span: q.span, Metric: metric, GroupBy: by, Where: q.where, Interval: question.Day, Groups: 10})
		if err != nil {
			b.Fatal(err)
		}
		return a.Quality
	}
	a, err := s.Breakdown(b.Context(), &question.Breakdown{Span: q.span, Metric: metric, By: by, Where: q.where, Groups: 10})
	if err != nil {
		b.Fatal(err)
	}
	return a.Quality
}
