package storetest

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"sync"
	"time"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/store"
)

func cursorStories() []story {
	return []story{
		{"a new stream is at zero", newStream},
		{"counts and totals add up", countsAddUp},
		{"a stale writer does nothing", staleWriter},
		{"of two writers of one stream one wins", twoWriters},
		{"streams do not touch each other", separateStreams},
	}
}

func newStream(b *bench) {
	want := store.Cursor{Stream: "never", Totals: map[string]uint64{}}
	if got := b.cursorOf("never"); !reflect.DeepEqual(got, want) {
		b.Errorf("cursor %+v", got)
	}
}

func countsAddUp(b *bench) {
	counts := event.Counts{Accepted: 4, SampledOut: 2}
	counts.Received[event.Analytics] = 7
	counts.Rejected[event.ReasonInvalid] = 1
	b.commitBatch(store.Batch{
		Counts: counts, Totals: map[string]uint64{"w1": 4},
		Events: []event.Event{at("a", 0), at("b", 0), at("a", 0)},
		Dead:   []store.DeadLetter{{EventID: "d", Reason: event.ReasonUndecodable, Payload: []byte("?"), At: epoch}},
	})
	b.commitBatch(store.Batch{
		Counts: event.Counts{Accepted: 1}, Totals: map[string]uint64{"w2": 1},
		Events: []event.Event{at("b", 0)},
	})
	want := store.Cursor{Stream: "stream", Seq: 2, Totals: map[string]uint64{"w1": 4, "w2": 1}}
	want.Counts = counts
	want.Counts.Accepted, want.Counts.Stored, want.Counts.Duplicate = 5, 2, 2
	want.Counts.DeadLettered[event.ReasonUndecodable] = 1
	for _, got := range []store.Cursor{b.cursor, b.cursorOf("stream")} {
		if !reflect.DeepEqual(got, want) {
			b.Errorf("got  %+v\nwant %+v", got, want)
		}
	}
}

func staleWriter(b *bench) {
	stale := b.cursor
	b.commit(at("a", 0))
	for _, from := range []store.Cursor{stale, {Stream: "stream", Seq: 7}, {Stream: "unknown", Seq: 7}} {
		before := b.cursorOf(from.Stream)
		_, err := b.store.Commit(b.Context(), &store.Batch{
			From: from, Seq: 9, Events: []event.Event{at("b", 0)},
			Receipts: []store.Receipt{{EventID: "r", Status: store.StatusRejected, At: epoch}},
			Dead:     []store.DeadLetter{{EventID: "d", At: epoch}},
		})
		b.wantKind(err, errs.Conflict)
		for _, id := range []string{"b", "r", "d"} {
			_, err := b.store.Receipt(b.Context(), id)
			b.wantKind(err, errs.NotFound)
		}
		if after := b.cursorOf(from.Stream); !reflect.DeepEqual(after, before) {
			b.Errorf("cursor moved from %+v to %+v", before, after)
		}
	}
	b.wantDuplicates(b.commit(at("b", 0)))
}

func twoWriters(b *bench) {
	second := b.store
	if b.store.Dialect() == "postgres" {
		second = b.another()
	}
	for round := range 20 {
		var wg sync.WaitGroup
		failures := make([]error, 2)
		for i, s := range []*store.Store{b.store, second} {
			wg.Go(func() {
				e := at(fmt.Sprintf("%d by %d", round, i), time.Second)
				_, failures[i] = s.Commit(b.Context(), &store.Batch{From: b.cursor, Seq: b.cursor.Seq + 1, Events: []event.Event{e}})
			})
		}
		wg.Wait()
		lost := errors.Join(failures...)
		if (failures[0] == nil) == (failures[1] == nil) {
			b.Fatalf("both or neither won: %v", lost)
		}
		b.wantKind(lost, errs.Conflict)
		b.cursor = b.cursorOf("stream")
	}
	if n := len(b.ids(store.Filter{})); n != 20 || b.cursor.Counts.Stored != 20 {
		b.Errorf("%d events, %d counted", n, b.cursor.Counts.Stored)
	}
}

func separateStreams(b *bench) {
	b.commitBatch(store.Batch{Totals: map[string]uint64{"w": 1}, Events: []event.Event{at("a", 0)}})
	other, err := b.store.Commit(b.Context(), &store.Batch{
		From: b.cursorOf("other"), Seq: 5, Events: []event.Event{at("a", 0), at("b", 0)},
	})
	b.ok(err)
	b.wantDuplicates(other, "a")
	if c := b.cursorOf("stream"); c.Seq != 1 || !maps.Equal(c.Totals, map[string]uint64{"w": 1}) {
		b.Errorf("the first stream's cursor became %+v", c)
	}
	if c := b.cursorOf("other"); c.Seq != 5 || c.Counts.Stored != 1 || len(c.Totals) != 0 {
		b.Errorf("the other stream's cursor is %+v", c)
	}
}
