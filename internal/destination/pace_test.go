package destination

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// While the store is busy, five destinations on two cores use no more than their part, and that.
func TestDestinationsTogetherTakeTheirPart(t *testing.T) {
	const cores, runners, pieces, read, sent = 2, 5, 40, 300, 100
	synctest.Test(t, func(t *testing.T) {
		p := pace{busy: func() bool { return true }, cores: cores, running: func() int { return runners }}
		began := time.Now()
		var group sync.WaitGroup
		for range runners {
			group.Go(func() {
				for range pieces {
					p.rest(t.Context(), read, sent)
				}
			})
		}
		group.Wait()
		cost := runners * pieces * (read*readCost + sent*sendCost)
		if took, want := time.Since(began), cost*yieldTo/cores; took != want {
			t.Errorf("%v of processor time were spread over %v, want %v", cost, took, want)
		}
	})
}

// A rest ends when the store is no longer busy, and with what it belongs to; without a store that
// is busy there is none.
func TestARestEndsWithItsReason(t *testing.T) {
	const many = 100_000_000 // events: rests for hours
	synctest.Test(t, func(t *testing.T) {
		var busy atomic.Bool
		p := pace{busy: busy.Load, cores: 1, running: func() int { return 0 }}
		began := time.Now()
		p.rest(t.Context(), many, many)
		if took := time.Since(began); took != 0 {
			t.Errorf("it rested for %v although the store is not busy", took)
		}
		busy.Store(true)
		time.AfterFunc(time.Minute+time.Millisecond, func() { busy.Store(false) })
		p.rest(t.Context(), many, many)
		if took, want := time.Since(began), time.Minute+glance; took != want {
			t.Errorf("it rested for %v, want %v", took, want)
		}
		busy.Store(true)
		began = time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second+time.Millisecond)
		defer cancel()
		p.rest(ctx, many, many)
		if took, want := time.Since(began), time.Second+time.Millisecond; took != want {
			t.Errorf("it rested for %v, want %v", took, want)
		}
	})
}

// Destinations fall behind with the store, be it in the journal or in a replay, and then catch up
// with every event. They rest here for days, which an end of the service must not wait for either.
func TestDestinationsGiveWayToTheStore(t *testing.T) {
	w, follows, replays := newWorld(t, 0), newReceiver(t), newReceiver(t)
	w.manager.pace.running = func() int { return 1 << 30 }
	var asked atomic.Int64
	w.manager.pace.busy = func() bool { asked.Add(1); return w.busy.Load() }
	w.sendLarge(2000)
	if _, err := w.pipeline.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.busy.Store(true)
	w.put(hook("follows", follows), Secrets{Secret: signingSecret})
	s := hook("replays", replays)
	s.AllowPrivateAddresses = true
	_, _, err := w.manager.Put(t.Context(), &Request{Settings: s, Secrets: Secrets{Secret: signingSecret}, Start: History})
	w.ok(err)
	until(t, "the first page", func() bool { return len(replays.got()) == replayPage })
	for range 10 { // a message each, because each waits for the one before
		w.send(10)
	}
	until(t, "the first message", func() bool { return len(follows.got()) > 0 })
	until(t, "the lag", func() bool { return w.metric("lag_events", "follows") == 90 && w.metric("lag_seconds", "follows") > 0 })
	was := asked.Load()
	until(t, "some of the rest", func() bool { return asked.Load() > was+10 })
	if n := len(follows.got()); n > 10 {
		t.Errorf("%d events went out of the journal before the rest", n)
	}
	if n := len(replays.got()); n > replayPage {
		t.Errorf("%d events went out of the database before the rest", n)
	}
	w.stop()
	w.start() // with rests as they are
	w.busy.Store(false)
	until(t, "all events", func() bool { return len(replays.got()) == 2100 && len(follows.got()) == 100 })
	until(t, "no lag", func() bool { return w.metric("lag_events", "follows")+w.metric("lag_events", "replays") == 0 })
}
