package store_test

import (
	"sync"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/pgtest"
	"github.com/tidemark-obs/tidemark/internal/question"
	"github.com/tidemark-obs/tidemark/internal/store"
	"github.com/tidemark-obs/tidemark/internal/store/storetest"
)

// TestPostgresRollupsOverCrashes kills the server while events are stored, deleted and rolled up.
// Afterwards roll-ups count what is in the table.
func TestPostgresRollupsOverCrashes(t *testing.T) {
	pg := pgtest.Start(t)
	s := open(t, store.Config{URL: pg.Database(t)})
	for round := range 3 {
		failed := make(chan struct{})
		var once, ready sync.Once
		begun := make(chan struct{})
		var wg sync.WaitGroup
		for n := range 2 {
			wg.Go(func() {
				w := &writer{s: s, g: storetest.NewGenerator(uint64(10*round+n), time.Now()), cursor: store.Cursor{Stream: string(rune('a' + 2*round + n))}}
				for {
					events := w.g.Events(200)
					batch := store.Batch{From: w.cursor, Seq: w.cursor.Seq + 1, Events: events}
					result, err := s.Commit(t.Context(), &batch)
					if err == nil {
						w.cursor = result.Cursor
						err = s.Delete(t.Context(), events[7].ID)
					}
					if err != nil {
						once.Do(func() { close(failed) })
						return
					}
					if w.cursor.Seq == 5 {
						ready.Do(func() { close(begun) })
					}
				}
			})
		}
		wg.Go(func() {
			for {
				select {
				case <-failed:
					return
				default:
					_ = s.TidyRollups(t.Context()) // fails when the server does
				}
			}
		})
		<-begun
		must(t, pg.Restart(pgtest.Immediate))
		wg.Wait()
		wantSameCounts(t, s)
	}
}

// TestADeadConnectionEndsItsTransaction: a transaction that finds its connection dead below
// database/sql must not wait for itself.
func TestADeadConnectionEndsItsTransaction(t *testing.T) {
	for name, cfg := range map[string]store.Config{"duckdb": {Dir: t.TempDir()}, "postgres": {URL: pgtest.URL(t)}} {
		t.Run(name, func(t *testing.T) {
			s := open(t, cfg)
			ended := make(chan error, 1)
			go func() { ended <- store.FindDeadConnection(t.Context(), s) }()
			select {
			case err := <-ended:
				if err == nil {
					t.Error("the transaction ends without an error")
				}
			case <-time.After(time.Minute):
				t.Fatal("the transaction waits for itself")
			}
			_, err := s.Stats(t.Context(), time.Now(), time.Now())
			must(t, err)
		})
	}
}

// wantSameCounts compares roll-ups with the events.
func wantSameCounts(t *testing.T, s *store.Store) {
	t.Helper()
	now := time.Now().UTC()
	span := question.Span{Start: now.AddDate(0, 0, -2), End: now.AddDate(0, 0, 2), Zone: time.UTC}
	q := question.Breakdown{Span: span, Metric: question.Metric{Measure: question.Count},
		By: question.Field{Column: "event_type"}, Groups: 20}
	for range 2 {
		var stats store.Stats
		eventually(t, func() (err error) { stats, err = s.Stats(t.Context(), span.Start, span.End); return err })
		if stats.TotalEvents == 0 {
			t.Fatal("nothing is stored")
		}
		answer, err := s.Breakdown(t.Context(), &q)
		must(t, err)
		counted := int64(0)
		for _, row := range answer.Rows {
			n := int64(*row.Metric)
			counted += n
			if want := stats.ByType[row.Value.(string)]; n != want {
				t.Errorf("%s: %d in roll-ups, %d stored", row.Value, n, want)
			}
		}
		if counted != stats.TotalEvents {
			t.Errorf("%d in roll-ups, %d stored", counted, stats.TotalEvents)
		}
		must(t, s.TidyRollups(t.Context()))
	}
}
