package destination

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/proctest"
)

// patient has a destination send nothing again because its receiver is slow to answer.
const patient = 60_000

func hook(name string, r *receiver) Settings {
	return Settings{Name: name, Kind: Webhook, URL: r.server.URL + "/hook", TimeoutMS: patient}
}

// hasty is a hook whose receiver is to hang.
func hasty(name string, r *receiver) Settings {
	s := hook(name, r)
	s.TimeoutMS = 300
	return s
}

func TestEveryFaultIsSatOut(t *testing.T) {
	w, r := newWorld(t, 0), newReceiver(t)
	w.put(hasty("a", r), Secrets{Secret: signingSecret})
	hang := make(chan struct{})
	defer close(hang)
	r.failing(func(rw http.ResponseWriter, q *http.Request, try int, body []byte) bool {
		switch try % 8 {
		case 1:
			rw.WriteHeader(http.StatusInternalServerError)
		case 2:
			rw.Header().Set("Retry-After", "1")
			rw.WriteHeader(http.StatusTooManyRequests)
		case 3:
			reset(rw)
		case 4: // taken, but the answer is lost: it comes again
			r.note(body)
			reset(rw)
		case 5:
			select {
			case <-hang:
			case <-q.Context().Done():
			}
		case 6:
			http.Redirect(rw, q, r.server.URL+"/elsewhere", http.StatusTemporaryRedirect)
		default:
			return false
		}
		return true
	})
	w.send(60)
	r.await(60)
	if w.metric("failed_total", "a") < 100 {
		t.Errorf("failed: %v", w.metric("failed_total", "a"))
	}
	until(t, "the lag to be gone", func() bool {
		return w.metric("lag_events", "a") == 0 && w.metric("lag_seconds", "a") == 0 && w.metric("delivered_total", "a") == 60
	})
}

// Dead destinations, of which one resets, one refuses connections and one hangs, delay neither
// another one nor the store, and get everything in order when they return, after many tries.
func TestDeadDestinationsDelayNobody(t *testing.T) {
	w, dead, hanging, alive := newWorld(t, 0), newReceiver(t), newReceiver(t), newReceiver(t)
	var away atomic.Bool
	away.Store(true)
	dead.failing(func(rw http.ResponseWriter, _ *http.Request, _ int, _ []byte) bool {
		if away.Load() {
			reset(rw)
		}
		return away.Load()
	})
	hanging.failing(func(_ http.ResponseWriter, q *http.Request, _ int, _ []byte) bool {
		if away.Load() {
			<-q.Context().Done()
		}
		return away.Load()
	})
	w.put(hook("dead", dead), Secrets{Secret: signingSecret})
	w.put(hasty("hanging", hanging), Secrets{Secret: signingSecret})
	w.put(Settings{Name: "closed", Kind: Webhook, URL: "http://" + proctest.FreeAddress(t)}, Secrets{})
	w.put(hook("alive", alive), Secrets{Secret: signingSecret})
	for range 5 {
		w.send(200)
		alive.await(w.sent)
	}
	if _, err := w.pipeline.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	until(t, "the living one's lag to be gone", func() bool { return w.metric("lag_events", "alive") == 0 && w.metric("lag_seconds", "alive") == 0 })
	for _, name := range []string{"dead", "hanging", "closed"} {
		until(t, name+" to lag", func() bool { return w.metric("lag_events", name) == 1000 && w.metric("lag_seconds", name) > 0 })
	}
	until(t, "many tries", func() bool {
		return w.metric("failed_total", "dead") >= 20*20 && w.metric("state", "hanging") == float64(Open)
	})
	away.Store(false)
	dead.await(w.sent)
	hanging.await(w.sent)
	until(t, "the lag to be gone", func() bool { return w.metric("lag_events", "dead")+w.metric("lag_events", "hanging") == 0 })
}

func TestRefusedEventsAreKeptAndReplayed(t *testing.T) {
	w, r := newWorld(t, 0), newReceiver(t)
	var mended atomic.Bool
	r.failing(func(rw http.ResponseWriter, _ *http.Request, _ int, body []byte) bool {
		if mended.Load() || !bytes.Contains(body, []byte(`"e000013"`)) && !bytes.Contains(body, []byte(`"e000027"`)) {
			return false
		}
		rw.WriteHeader(http.StatusUnprocessableEntity)
		_, _ = rw.Write([]byte("bad\nthing " + signingSecret))
		return true
	})
	w.put(hook("a", r), Secrets{Secret: signingSecret})
	w.send(40)
	r.await(38)
	until(t, "two dead letters", func() bool {
		list, err := w.manager.Undelivered(t.Context(), "a", "", 10)
		w.ok(err)
		return len(list) == 2 && list[0].Event.ID == "e000013" && list[0].Detail == "answered 422 Unprocessable Entity: bad thing <secret>"
	})
	mended.Store(true)
	w.ok(w.manager.Replay(t.Context(), "a", DeadLetters, time.Time{}, time.Time{}))
	until(t, "the dead letters to come", func() bool { return len(r.got()) == 40 })
	until(t, "none to be left", func() bool {
		n, err := w.store.CountUndelivered(t.Context(), "a")
		w.ok(err)
		return n == 0
	})
}

func TestHistoryPauseAndRestart(t *testing.T) {
	w, r := newWorld(t, 0), newReceiver(t)
	w.send(100)
	s := hook("a", r)
	s.AllowPrivateAddresses = true
	_, created, err := w.manager.Put(t.Context(), &Request{Settings: s, Secrets: Secrets{Secret: signingSecret}, Start: History})
	if w.ok(err); !created {
		t.Error("it was there before")
	}
	r.await(100)
	_, err = w.manager.SetEnabled(t.Context(), "a", false)
	w.ok(err)
	until(t, "the pause", func() bool { return w.metric("state", "a") == float64(Paused) })
	w.send(50)
	if _, err := w.pipeline.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	until(t, "the journal to forget what it is not asked to keep", func() bool { s := w.log.State(); return s.FirstSeq == s.LastSeq })
	w.stop()
	w.start()
	_, err = w.manager.SetEnabled(t.Context(), "a", true)
	w.ok(err)
	until(t, "what came during the pause", func() bool { return len(r.got()) == 150 })
	until(t, "the end of the replay", func() bool { return w.metric("state", "a") == float64(Delivering) && w.metric("lag_seconds", "a") == 0 })
	w.stop()
	w.start()
	w.send(10)
	until(t, "what came after a restart", func() bool { return len(r.got()) == 160 })
}

// History and the journal leave nothing out between them, though another replica's clock is ahead.
func TestHistoryMeetsTheJournal(t *testing.T) {
	w, r := newWorld(t, 0), newReceiver(t)
	w.now = func() time.Time { return time.Now().Add(gapSlack / 2) }
	w.stop()
	w.start()
	w.send(50)
	s := hook("a", r)
	s.AllowPrivateAddresses = true
	_, _, err := w.manager.Put(t.Context(), &Request{Settings: s, Secrets: Secrets{Secret: signingSecret}, Start: History})
	w.ok(err)
	r.await(50)
	w.send(10)
	until(t, "what comes after", func() bool { return len(r.got()) == 60 })
}

// Names are labels: what is deleted leaves none behind, be it at work or paused.
func TestADeletedDestinationLeavesNoMetrics(t *testing.T) {
	w, r := newWorld(t, 0), newReceiver(t)
	for _, name := range []string{"atwork", "paused"} {
		w.put(hook(name, r), Secrets{Secret: signingSecret})
		until(t, "the destination", func() bool { return w.metric("delivered_total", name) == 0 && w.metric("lag_events", name) == 0 })
	}
	_, err := w.manager.SetEnabled(t.Context(), "paused", false)
	w.ok(err)
	until(t, "the pause", func() bool {
		return w.metric("state", "paused") == float64(Paused) && w.manager.runnerOf("paused") == nil
	})
	for _, name := range []string{"atwork", "paused"} {
		w.ok(w.manager.Delete(t.Context(), name))
		until(t, "no metrics of "+name, func() bool { return w.metric("delivered_total", name) == -1 && w.metric("state", name) == -1 })
	}
}

// Nothing of an erased person goes out, be it read from the journal before the erasure empties that,
// as may be while a destination is tried, or from the database, as after a pause.
func TestErasedPersonsDoNotGoOut(t *testing.T) {
	for name, paused := range map[string]bool{"while it is tried": false, "while it is paused": true} {
		t.Run(name, func(t *testing.T) { eraseBefore(t, paused) })
	}
}

func eraseBefore(t *testing.T, paused bool) {
	w, r := newWorld(t, 0), newReceiver(t)
	var away atomic.Bool
	r.failing(func(rw http.ResponseWriter, _ *http.Request, _ int, body []byte) bool {
		switch {
		case away.Load():
			rw.WriteHeader(http.StatusBadGateway)
		case bytes.Contains(body, []byte(`"e000003"`)), bytes.Contains(body, []byte(`"e000004"`)):
			rw.WriteHeader(http.StatusBadRequest)
		default:
			return false
		}
		return true
	})
	w.put(hook("a", r), Secrets{Secret: signingSecret})
	w.send(10)
	r.await(8)
	until(t, "dead letters", func() bool { n, _ := w.store.CountUndelivered(t.Context(), "a"); return n == 2 })
	away.Store(true)
	if paused {
		_, err := w.manager.SetEnabled(t.Context(), "a", false)
		w.ok(err)
		until(t, "the pause", func() bool { return w.metric("state", "a") == float64(Paused) })
	}
	w.send(100)
	until(t, "a failure", func() bool { return paused || w.metric("failed_total", "a") > 2 && w.metric("state", "a") > 0 })
	e, err := w.pipeline.Erase(t.Context(), "u3", false)
	w.ok(err)
	if e.Events != 11 || e.DeadLetters != 1 || e.JournalAt.IsZero() {
		t.Errorf("the receipt: %+v", e)
	}
	away.Store(false)
	if paused {
		_, err := w.manager.SetEnabled(t.Context(), "a", true)
		w.ok(err)
	}
	until(t, "the others", func() bool { return len(r.got()) == 8+90 })
	until(t, "the end", func() bool { return w.metric("state", "a") == float64(Delivering) && w.metric("lag_events", "a") == 0 })
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, d := range r.data {
		if d["user_id"] == "u3" {
			t.Errorf("%v of an erased person went out", d["event_id"])
		}
	}
	list, err := w.manager.Undelivered(t.Context(), "a", "", 10)
	w.ok(err)
	for _, l := range list { // there may be two of one event, which came again
		if l.Event.ID != eventOf(4).ID {
			t.Errorf("there is a dead letter of %s", l.Event.ID)
		}
	}
	if len(list) == 0 {
		t.Error("the dead letter of somebody else is gone")
	}
}

// A large message goes out in parts; the cursor passes it when all of it has.
func TestAStopWithinAMessage(t *testing.T) {
	w, r := newWorld(t, 0), newReceiver(t)
	var away atomic.Bool
	away.Store(true)
	r.failing(func(rw http.ResponseWriter, _ *http.Request, _ int, _ []byte) bool {
		fails := away.Load() && len(r.got()) >= partEvents+200
		if fails {
			rw.WriteHeader(http.StatusServiceUnavailable)
		}
		return fails
	})
	w.put(hook("a", r), Secrets{Secret: signingSecret})
	w.sendLarge(1000)
	until(t, "a failure", func() bool { return w.metric("failed_total", "a") > 0 })
	w.stop()
	away.Store(false)
	w.start()
	r.await(1000)
}

func TestMaskingAndFilter(t *testing.T) {
	w, r := newWorld(t, 0), newReceiver(t)
	s := hook("a", r)
	s.Filter = Filter{EventNames: []string{"order"}, EventTypes: []string{"custom"}, Where: []byte(`[{"field":"properties.n","op":">=","value":5}]`)}
	s.Transform = Transform{Rename: map[string]string{"properties.plan": "tier"}, Drop: []string{"properties.n"}, Hash: []string{"user_id", "properties.email"}}
	w.put(s, Secrets{Secret: signingSecret})
	w.send(20)
	r.await(15)
	first, second := r.data[0], r.data[10]
	p, _ := first["properties"].(map[string]any)
	if len(p) != 2 || p["tier"] != "pro" || strings.Contains(p["email"].(string), "@") || strings.HasPrefix(first["user_id"].(string), "u") {
		t.Errorf("it went out as %v", first)
	}
	if first["user_id"] != second["user_id"] || first["user_id"] == r.data[1]["user_id"] {
		t.Error("a hash does not stand for one person")
	}
}

func TestPrivateAddressesAndBadSettingsAreRefused(t *testing.T) {
	w, r := newWorld(t, 0), newReceiver(t)
	w.put(hook("a", r), Secrets{Secret: signingSecret})
	if result, err := w.manager.Test(t.Context(), "a"); err != nil || !result.Success || result.Answer != "200 OK" {
		t.Errorf("%+v %v", result, err)
	}
	s := hook("b", r)
	_, _, err := w.manager.Put(t.Context(), &Request{Settings: s})
	w.ok(err)
	if result, err := w.manager.Test(t.Context(), "b"); err != nil || result.Success || !strings.Contains(result.Answer, "private") {
		t.Errorf("%+v %v", result, err)
	}
	for _, s := range []Settings{
		{Name: "no/name", Kind: Webhook, URL: "https://x/"}, {Name: "x", Kind: "fax", URL: "https://x/"}, {Name: "x", Kind: Webhook, URL: "https://a:b@x/"},
		{Name: "x", Kind: Webhook, URL: "file:///etc/passwd"}, {Name: "x", Kind: Segment, URL: "https://x/"}, {Name: "x", Kind: NATS, URL: "nats://x", Subject: "a.*"},
		{Name: "x", Kind: Kafka, URL: "x", Topic: "t"}, {Name: "x", Kind: Webhook, URL: "https://x/", Transform: Transform{Hash: []string{"event_id"}}},
		{Name: "x", Kind: Webhook, URL: "https://x/", Filter: Filter{Where: []byte(`[{"field":"nothing","op":"="}]`)}},
	} {
		if _, _, err := w.manager.Put(context.Background(), &Request{Settings: s}); !errs.Is(err, errs.Invalid) {
			t.Errorf("%+v: %v", s, err)
		}
	}
}
