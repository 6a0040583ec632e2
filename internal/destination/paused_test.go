package destination

import (
	"testing"
	"time"
)

// What waits for a paused destination is told, by the API as by the metrics, also when the journal
// does not have it any more; after a restart at least since when.
func TestAPausedDestinationLags(t *testing.T) {
	w, r := newWorld(t, 0), newReceiver(t)
	w.put(hook("a", r), Secrets{Secret: signingSecret})
	w.send(20)
	r.await(20)
	w.saved("a")
	_, err := w.manager.SetEnabled(t.Context(), "a", false)
	w.ok(err)
	until(t, "the pause", func() bool { return w.metric("state", "a") == float64(Paused) })
	if events, seconds := w.metric("lag_events", "a"), w.metric("lag_seconds", "a"); events != 0 || seconds != 0 {
		t.Errorf("all is delivered, and it lags by %v events, %v seconds", events, seconds)
	}
	paused := time.Now()
	w.send(30)
	until(t, "the events to be missing", func() bool { return w.metric("lag_events", "a") == 30 })
	if _, err := w.pipeline.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	until(t, "the journal to forget what it is not asked to keep", func() bool { s := w.log.State(); return s.FirstSeq == s.LastSeq })
	v, err := w.manager.Get(t.Context(), "a")
	w.ok(err)
	if most := time.Since(paused).Seconds(); v.Status.LagEvents != 30 || v.Status.LagSeconds <= 0 || v.Status.LagSeconds > most {
		t.Errorf("30 events of the last %v seconds are missing, and it lags by %d, %v seconds", most, v.Status.LagEvents, v.Status.LagSeconds)
	}

	w.stop()
	w.start()
	until(t, "what left the journal before the restart", func() bool { return w.metric("lag_seconds", "a") > time.Since(paused).Seconds() })
	before := w.metric("lag_events", "a")
	w.send(5)
	until(t, "what came since", func() bool { return w.metric("lag_events", "a") >= before+5 })
	_, err = w.manager.SetEnabled(t.Context(), "a", true)
	w.ok(err)
	r.await(55)
	until(t, "no lag", func() bool { return w.metric("lag_events", "a") == 0 && w.metric("lag_seconds", "a") == 0 })
}
