package storetest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/question"
	"github.com/tidemark-obs/tidemark/internal/question/questiontest"
	"github.com/tidemark-obs/tidemark/internal/store"
)

// countsTogether lets several stores write, change, delete, tidy and fill at once: in the end
// everything that is stored counts, and nothing else.
func countsTogether(b *bench) {
	b.sketchUsers()
	const streams, rounds = 3, 12
	stores := make([]*store.Store, streams)
	w := newWorkload(b, 41)
	w.run(60)
	_, err := b.store.MigrateDown(b.Context(), 6)
	b.ok(err)
	b.reopen()
	for i := range stores {
		stores[i] = b.store
	}
	if b.store.Dialect() == "postgres" {
		stores = []*store.Store{b.store, b.another(), b.another()}
	}
	b.contendAll(stores, rounds)
	b.ok(b.store.TidyRollups(b.Context()))
	events, err := b.store.List(b.Context(), store.Filter{}, store.Page{Limit: 1000})
	b.ok(err)
	w = newWorkload(b, 42)
	for range fewer(30, 8) {
		w.askCounts(events)
		b.sameStats(events, w.rollupSpan())
	}
	b.same("all", b.counts(), questiontest.Breakdown(byName(), events))
	if b.answered("rollup") == 0 {
		b.Error("roll-ups answered nothing")
	}
}

// contendAll lets stores contend, and tidy meanwhile.
func (b *bench) contendAll(stores []*store.Store, rounds int) {
	ctx, cancel := context.WithCancel(b.Context())
	var tidying, wg sync.WaitGroup
	for _, s := range stores[:2] {
		tidying.Go(func() {
			for ctx.Err() == nil {
				if err := s.TidyRollups(b.Context()); err != nil {
					b.Error(err)
				}
			}
		})
	}
	for n, s := range stores {
		wg.Go(func() { b.contend(s, n, rounds) })
	}
	wg.Wait()
	cancel()
	tidying.Wait()
}

// contend stores ids that others store too, in an order of its own, and changes and deletes some.
func (b *bench) contend(s *store.Store, n, rounds int) {
	stream := fmt.Sprint("contender ", n)
	cursor, err := s.Cursor(b.Context(), stream)
	w := &workload{bench: b, r: rand.New(rand.NewPCG(uint64(n), 50))}
	for round := 0; round < rounds && err == nil; round++ {
		batch := store.Batch{From: cursor, Seq: cursor.Seq + 1}
		for _, i := range w.r.Perm(30) {
			e := w.event()
			e.ID = fmt.Sprintf("c%d-%d", round, i)
			batch.Events = append(batch.Events, e)
		}
		var result store.Result
		if result, err = s.Commit(b.Context(), &batch); err != nil {
			break
		}
		cursor = result.Cursor
		ids := []string{batch.Events[0].ID, batch.Events[1].ID, batch.Events[2].ID}
		if _, err = s.MarkProcessed(b.Context(), ids, epoch); err != nil {
			break
		}
		if _, err = s.Update(b.Context(), ids[0], store.Patch{Severity: ptr(pick(w.r, event.Severities...))}, epoch); err != nil && !errs.Is(err, errs.NotFound) {
			break
		}
		if err = s.Delete(b.Context(), ids[2]); errs.Is(err, errs.NotFound) {
			err = nil
		}
	}
	if err != nil {
		b.Errorf("%s: %v", stream, err)
	}
}

// wholeBatches stores batches of 50 while roll-ups are tidied and asked.
func wholeBatches(b *bench) {
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() {
		for ctx.Err() == nil {
			if err := b.store.TidyRollups(b.Context()); err != nil {
				b.Error(err)
			}
		}
	})
	all := &question.Series{Span: wholeSpan(), Metric: question.Metric{Measure: question.Count}, Interval: question.Month, AsOf: epoch}
	total := func() (n float64, err error) {
		a, err := b.store.Series(b.Context(), all)
		if err != nil {
			return 0, err
		}
		for _, p := range a.Series[0].Points {
			n += *p.Value
		}
		return n, nil
	}
	wg.Go(func() {
		for seen := 0.0; ctx.Err() == nil; {
			n, err := total()
			if err != nil || int(n)%50 != 0 || n < seen {
				b.Errorf("%v events after %v, %v", n, seen, err)
				return
			}
			seen = n
		}
	})
	g := NewGenerator(1, epoch)
	for i := range 40 {
		b.commit(g.Events(50)...)
		// A question after the commit counts it.
		if n, err := total(); err != nil || int(n) != 50*(i+1) {
			b.Errorf("%v events after %d batches, %v", n, i+1, err)
		}
	}
	cancel()
	wg.Wait()
}
