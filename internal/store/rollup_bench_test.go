package store_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/pgtest"
	"github.com/tidemark-obs/tidemark/internal/store"
	"github.com/tidemark-obs/tidemark/internal/store/storetest"
)

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
	if err := c.s.TidyRollups(b.Context()); err != nil { // declares, and knows which minutes are too old
		b.Fatal(err)
	}
	if c.commit = c.s.Commit; !counts {
		c.commit = func(ctx context.Context, batch *store.Batch) (store.Result, error) {
			return store.CommitWithoutRollups(ctx, c.s, batch)
		}
	}
}

func rollupCost(b *testing.B, both [2]*counting, past bool, size int) {
	const rows, tidyEach = 1_000_000, 200_000
	start := time.Now().AddDate(0, 0, -90)
	g, r := storetest.NewGenerator(1, start), rand.New(rand.NewPCG(1, 2))
	stored := 0
	if !past {
		g = storetest.NewGenerator(1, time.Now())
	}
	for b.Loop() {
		events := shopEvents(g, r, size)
		for i := range events {
			if past {
				e := &events[i]
				late := e.ReceivedAt.Sub(e.Timestamp)
				e.ReceivedAt = start.Add(90 * 24 * time.Hour / rows * time.Duration((stored+i)%rows)).Truncate(time.Microsecond)
				e.Timestamp = e.ReceivedAt.Add(-late)
			}
		}
		first := r.IntN(2)
		both[first].store(b, events)
		both[1-first].store(b, events)
		if stored += size; stored/tidyEach != (stored-size)/tidyEach {
			began := time.Now()
			if err := both[0].s.TidyRollups(b.Context()); err != nil {
				b.Fatal(err)
			}
			both[0].tidied += time.Since(began)
		}
	}
	with, without := both[0].took.Seconds(), both[1].took.Seconds()
	b.ReportMetric(float64(stored)/with, "rows/s")
	b.ReportMetric(without/with, "share")
	b.ReportMetric(without/(with+both[0].tidied.Seconds()), "share-tidied")
}
