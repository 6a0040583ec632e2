package ingest

import (
	"math"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/event"
)

// Regular work settles at its part of the time, whatever came before, and is forgotten.
func TestOccupancyIsAPartOfTime(t *testing.T) {
	now := time.Unix(1, 0)
	var o occupancy
	if level := o.read(now); level != 0 {
		t.Errorf("before all work it is %v", level)
	}
	for _, part := range []time.Duration{90, 10, 50, 0, 100} { // ms of 100
		for range 100 {
			o.turn(true, now)
			now = now.Add(part * time.Millisecond)
			o.turn(false, now)
			now = now.Add((100 - part) * time.Millisecond)
		}
		if level := o.read(now); math.Abs(level-float64(part)/100) > 0.06 {
			t.Errorf("%d %% of the time was work, and the level is %v", part, level)
		}
	}
	o.turn(true, now)
	if level := o.read(now.Add(time.Minute)); level < 0.99 {
		t.Errorf("a minute into a transaction it is %v", level)
	}
	o.turn(false, now)
	if level := o.read(now.Add(time.Minute)); level > 0.01 {
		t.Errorf("a minute after a transaction it is %v", level)
	}
}

// until waits for a condition.
func (w *world) until(what string, holds func() bool) {
	w.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(2 * time.Minute); !holds(); <-tick.C {
		if time.Now().After(end) {
			w.t.Fatalf("waited in vain: %s", what)
		}
	}
}

// A transaction that lasts makes the store busy, until some time after it.
func TestBusyWhileTheStoreIsAtWork(t *testing.T) {
	w := newWorld(t)
	if w.Busy() {
		t.Error("busy without an event")
	}
	w.sink.busy.Lock() // commits begin, and last
	w.send(event.Event{Name: "n"})
	w.until("a busy store", w.Busy)
	w.sink.busy.Unlock()
	w.flush()
	if w.Busy() {
		t.Error("busy with nothing to store")
	}
}

// While the database is away, nobody gains when others give way.
func TestNotBusyWhileTheDatabaseIsAway(t *testing.T) {
	w := newWorld(t)
	w.sink.away.Store(true)
	w.send(event.Event{Name: "n"})
	if err := w.writer.progress.wait(t.Context(), w.newest.Load(), false); err == nil {
		t.Fatal("it was stored")
	}
	w.until("a store that does nothing", func() bool { return !w.Busy() })
	w.sink.away.Store(false)
	w.flush()
}
