package ingest

import (
	"fmt"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/journal"
)

// TestAsOfStaysBehindWhatWaits is the promise: what was accepted before it is stored.
func TestAsOfStaysBehindWhatWaits(t *testing.T) {
	w := newWorld(t)
	w.send(event.Event{ID: "stored", Name: "n"})
	w.flush()
	before := time.Now()
	if at := w.AsOf(); at.Before(before) {
		t.Errorf("nothing waits and the answer is %v old", before.Sub(at))
	}
	w.sink.away.Store(true)
	w.send(event.Event{ID: "waits", Name: "n"})
	accepted := time.Now()
	w.ledger() // the tail has read the message
	at := w.AsOf()
	if at.After(accepted) {
		t.Errorf("as of %v, and an event accepted at %v is not stored", at, accepted)
	}
	w.send(event.Event{ID: "also waits", Name: "n"})
	if again := w.AsOf(); again.After(at) {
		t.Errorf("as of moved from %v to %v while nothing was stored", at, again)
	}
	w.sink.away.Store(false)
	w.flush()
	done := time.Now()
	if at := w.AsOf(); at.Before(done) {
		t.Errorf("everything is stored, as of %v", at)
	}
}

func TestMarksAreBoundedAndNeverAhead(t *testing.T) {
	var m marks
	epoch := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	at := func(seq uint64) time.Time { return epoch.Add(time.Duration(seq) * 3 * time.Millisecond) }
	const n = 100_000
	for seq := uint64(1); seq <= n; seq++ {
		m.note(&journal.Message{Seq: seq, Time: at(seq)})
		if len(m.list) > maxMarks {
			t.Fatalf("%d marks", len(m.list))
		}
	}
	for _, settled := range []uint64{2_000, 50_000, 50_001, n} {
		got, ok := m.settled(settled)
		if !ok || got.After(at(settled)) {
			t.Errorf("settled up to %d gives %v, %v", settled, got, ok)
		}
		if behind := at(settled).Sub(got); behind > at(n).Sub(epoch)*3/maxMarks {
			t.Errorf("settled up to %d is %v behind", settled, behind)
		}
	}
	if _, ok := (&marks{}).settled(5); ok {
		t.Error("no marks know a time")
	}
	if at, ok := m.settled(10); ok {
		t.Error(fmt.Sprint("what was forgotten is known as ", at))
	}
}
