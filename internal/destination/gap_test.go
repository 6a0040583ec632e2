package destination

import (
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"time"
)

// The journal takes events however long a destination is away; what had to leave it undelivered
// comes from the database.
func TestAFullJournalForgetsNothing(t *testing.T) {
	w, r := newWorld(t, 1<<20), newReceiver(t)
	var away atomic.Bool
	away.Store(true)
	r.failing(func(rw http.ResponseWriter, _ *http.Request, _ int, _ []byte) bool {
		if away.Load() {
			rw.WriteHeader(http.StatusServiceUnavailable)
		}
		return away.Load()
	})
	w.put(hook("a", r), Secrets{Secret: signingSecret})
	until(t, "the first try", func() bool { w.send(1); return w.metric("failed_total", "a") > 0 })
	for first := w.log.State().FirstSeq; w.log.State().FirstSeq < first+100; {
		w.send(200)
		if _, err := w.pipeline.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		// Nothing is delivered yet: what has left the journal is more than was asked for.
		if s := w.log.State(); s.FirstSeq > 1 && s.LastSeq-s.FirstSeq < 20 {
			t.Fatalf("the journal keeps %d to %d only, for a destination that needs all", s.FirstSeq, s.LastSeq)
		}
	}
	until(t, "the journal to be kept half full at most", func() bool { return w.log.State().Bytes <= 1<<20/2 })
	if at := w.manager.runnerOf("a").position().seq; at+1 >= w.log.State().FirstSeq {
		t.Fatalf("there is no gap between %d, which is delivered, and %d", at, w.log.State().FirstSeq)
	}
	w.stop() // what was read ahead goes with the process
	w.start()
	away.Store(false)
	until(t, "everything to come", func() bool { return len(r.got()) == w.sent })
	w.send(10)
	until(t, "what comes after", func() bool { return len(r.got()) == w.sent })
	r.inOrder(w.sent - 10)
}

// inOrder checks that the last events, from the n-th on, came after all others and in order.
func (r *receiver) inOrder(n int) {
	r.Helper()
	if got := r.got(); !slices.IsSorted(got[n:]) || got[n] != eventOf(n).ID {
		r.Errorf("the last events are %v", got[n:])
	}
}

// What a bridge over a gap delivers again was received within gapSlack of one of its edges.
func TestABridgeRepeatsLittle(t *testing.T) {
	w, r := newWorld(t, 0), newReceiver(t)
	var back atomic.Int64 // how much the pipeline's clock is behind
	w.now = func() time.Time { return time.Now().Add(-time.Duration(back.Load())) }
	w.stop()
	w.start()
	w.put(hook("a", r), Secrets{Secret: signingSecret})
	back.Store(int64(2 * gapSlack))
	w.send(100)
	r.await(100)
	back.Store(0)
	w.send(50)
	r.await(150)
	w.saved("a")
	_, err := w.manager.SetEnabled(t.Context(), "a", false)
	w.ok(err)
	until(t, "the pause", func() bool { return w.metric("state", "a") == float64(Paused) })
	w.send(50)
	if _, err := w.pipeline.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	until(t, "the journal to forget what it is not asked to keep", func() bool { s := w.log.State(); return s.FirstSeq == s.LastSeq })
	_, err = w.manager.SetEnabled(t.Context(), "a", true)
	w.ok(err)
	until(t, "what came during the pause", func() bool { return len(r.got()) == 200 })
	until(t, "the end of the bridge", func() bool { return w.metric("state", "a") == float64(Delivering) && w.metric("lag_events", "a") == 0 })
	w.send(10)
	until(t, "what comes after", func() bool { return len(r.got()) == 210 })
	r.inOrder(150)
	r.mu.Lock()
	defer r.mu.Unlock()
	times := map[string]int{}
	for _, id := range r.ids {
		times[id]++
	}
	for n := range w.sent {
		id := eventOf(n).ID
		if again := times[id] - 1; n < 100 && again != 0 || again > 1 {
			t.Errorf("%s came %d times", id, times[id])
		}
	}
}

// A restart in good order repeats nothing.
func TestARestartRepeatsNothingThatIsSaved(t *testing.T) {
	w, r := newWorld(t, 0), newReceiver(t)
	w.put(hook("a", r), Secrets{Secret: signingSecret})
	for n := range 3 {
		w.send(50)
		r.await(50 * (n + 1))
		w.saved("a")
		w.stop()
		w.start()
	}
	w.send(1)
	r.await(151)
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.ids) != 151 {
		t.Errorf("%d deliveries of 151 events", len(r.ids))
	}
}
