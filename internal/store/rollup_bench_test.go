package store_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/declared"
	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/pgtest"
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

// counting is one of two stores that take the same events by turns.
type counting struct {
	s      *store.Store
	commit func(context.Context, *store.Batch) (store.Result, error)
	cursor store.Cursor
	took   time.Duration
	tidied time.Duration
}

func (c *counting) store(b *testing.B, events []event.Event) {
	batch := store.Batch{From: c.cursor, Seq: c.cursor.Seq + 1, Events: events}
	start := time.Now()
	result, err := c.commit(b.Context(), &batch)
	c.took += time.Since(start)
	if err != nil {
		b.Fatal(err)
	}
	c.cursor = result.Cursor
}

// BenchmarkRollupCost stores the same events in two databases by turns, one of which counts them, and
// reports how fast it is with roll-ups as a share of how fast without: alone, and with what putting
// them together costs, which it does more often than the background would at full rate. The events
// are of now, or of 90 days in their order at a million in all.
func BenchmarkRollupCost(b *testing.B) {
	run := func(b *testing.B, fresh func(b *testing.B) store.Config) {
		for _, declares := range []bool{false, true} {
			for _, past := range []bool{false, true} {
				for _, size := range []int{100, 1_000, 10_000} {
					b.Run(fmt.Sprintf("declared=%t/past=%t/%d", declares, past, size), func(b *testing.B) {
						both := [2]*counting{{}, {}}
						for i, c := range both {
							cfg := fresh(b)
							c.cursor = store.Cursor{Stream: b.Name() + fmt.Sprint(i)}
							c.open(b, cfg, declares, i == 0)
						}
						rollupCost(b, both, past, size)
					})
				}
			}
		}
	}
	b.Run("duckdb", func(b *testing.B) {
		run(b, func(b *testing.B) store.Config { return store.Config{Dir: b.TempDir()} })
	})
	b.Run("postgres", func(b *testing.B) {
		server := pgtest.Start(b)
		run(b, func(b *testing.B) store.Config { return store.Config{URL: server.Database(b)} })
	})
}

func (c *counting) open(b *testing.B, cfg store.Config, declares, counts bool) {
	if declares {
		cfg.Declared = declaredShop(b)
	}
	cfg.Keep.Minute = 7 * 24 * time.Hour
	c.s = open(b, cfg)
	tidy(b, c.s) // declares, and knows which minutes are too old
	if c.commit = c.s.Commit; !counts {
		c.commit = func(ctx context.Context, batch *store.Batch) (store.Result, error) {
			return store.CommitWithoutRollups(ctx, c.s, batch)
		}
	}
}

func rollupCost(b *testing.B, both [2]*counting, past bool, size int) {
	const rows, tidyEach = 1_000_000, 200_000
	start := time.Now().AddDate(0, 0, -pastDays)
	g, r := storetest.NewGenerator(1, start), rand.New(rand.NewPCG(1, 2))
	stored := 0
	if !past {
		g = storetest.NewGenerator(1, time.Now())
	}
	for b.Loop() {
		events := shopEvents(g, r, size)
		if past {
			spread(events, start, stored, rows)
		}
		first := r.IntN(2)
		both[first].store(b, events)
		both[1-first].store(b, events)
		if stored += size; stored/tidyEach != (stored-size)/tidyEach {
			began := time.Now()
			tidy(b, both[0].s)
			both[0].tidied += time.Since(began)
		}
	}
	with, without := both[0].took.Seconds(), both[1].took.Seconds()
	b.ReportMetric(float64(stored)/with, "rows/s")
	b.ReportMetric(without/with, "share")
	b.ReportMetric(without/(with+both[0].tidied.Seconds()), "share-tidied")
}
