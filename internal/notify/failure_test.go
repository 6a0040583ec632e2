package notify

import (
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/tidemark-obs/tidemark/internal/store"
)

func TestAReceiverThatRecovers(t *testing.T) {
	inWorld(t, testConfig(), func(w *world) {
		ear := w.ears["ops"]
		ear.failing(func(try int) error {
			if try < 5 {
				return &failure{cause: "answered 500"}
			}
			return nil
		})
		w.fire("Up/a")
		w.pass(2 * time.Minute)
		w.wantHeard("ops", "+Up/a")
		tries := ear.triedAt()
		for i := 1; i < len(tries); i++ {
			wait := tries[i].Sub(tries[i-1])
			if base := firstWait << (i - 1); wait < base/2 || wait > 3*base/2 {
				w.t.Errorf("waited %v before try %d, want about %v", wait, i+1, base)
			}
		}
		if got := testutil.ToFloat64(w.m.metrics.retries.WithLabelValues("ops")); got != 4 {
			w.t.Errorf("%v retries counted", got)
		}
		if got := testutil.ToFloat64(w.m.metrics.failed.WithLabelValues("ops")); got != 0 {
			w.t.Errorf("%v failures counted", got)
		}
	})
}

func TestAReceiverIsLeftAloneAsLongAsItAsks(t *testing.T) {
	inWorld(t, testConfig(), func(w *world) {
		ear := w.ears["ops"]
		ear.failing(func(try int) error {
			switch try {
			case 1:
				return &failure{cause: "answered 429", retryAfter: 90 * time.Second}
			case 2:
				return &failure{cause: "answered 503", retryAfter: 20 * time.Minute}
			}
			return nil
		})
		w.fire("Up/a")
		w.pass(40 * time.Minute)
		w.wantHeard("ops", "+Up/a")
		if at := ear.triedAt(); len(at) != 3 || at[1].Sub(at[0]) < 90*time.Second || at[2].Sub(at[1]) < 20*time.Minute {
			w.t.Errorf("tries at %v", at)
		}
	})
}

// A refusal for good is not repeated at once, but the group's next turn asks again, as with
// Alertmanager: somebody may have mended the receiver.
func TestARefusalForGood(t *testing.T) {
	inWorld(t, testConfig(), func(w *world) {
		ear := w.ears["ops"]
		ear.failing(func(int) error { return &failure{cause: "answered 404 Not Found", permanent: true} })
		w.fire("Up/a")
		w.pass(5 * time.Minute)
		if at := ear.triedAt(); len(at) != 1 {
			w.t.Errorf("tries at %v", at)
		}
		w.pass(5 * time.Minute)
		if at := ear.triedAt(); len(at) != 2 {
			w.t.Errorf("tries at %v", at)
		}
		if got := testutil.ToFloat64(w.m.metrics.failed.WithLabelValues("ops")); got != 2 {
			w.t.Errorf("%v failures counted", got)
		}
		ear.failing(nil)
		w.pass(5 * time.Minute)
		w.wantHeard("ops", "+Up/a")
		lines, err := w.db.AlertHistory(w.t.Context(), store.AlertHistoryFilter{What: failed, Limit: 9})
		w.ok(err)
		if len(lines) != 2 || lines[0].Detail != "1 firing, 0 resolved; first notification; answered 404 Not Found" {
			w.t.Errorf("history %+v", lines)
		}
	})
}

// One receiver that fails keeps nothing from the others, and hears of ends it missed the
// beginning of never.
func TestOneReceiverFails(t *testing.T) {
	cfg := testConfig(Receiver{Name: "good", Type: Webhook, URL: "http://x"}, Receiver{Name: "bad", Type: Webhook, URL: "http://x"})
	inWorld(t, cfg, func(w *world) {
		w.ears["bad"].failing(func(int) error { return &failure{cause: "no answer in time"} })
		w.fire("Up/a")
		w.pass(10 * time.Minute)
		w.wantHeard("good", "+Up/a")
		w.resolve("Up/a")
		w.pass(30 * time.Minute)
		w.wantHeard("good", "-Up/a")
		w.wantHeard("bad")
		w.ears["bad"].failing(nil)
		w.pass(30 * time.Minute)
		w.wantHeard("bad")
		if left := w.m.State().Alerts; len(left) != 0 {
			w.t.Errorf("remembers %v", left)
		}
	})
}

func TestMoreAlertsThanThereIsRoomFor(t *testing.T) {
	b := newBook(&plan{cfg: testConfig()}, "one")
	now := time.Now()
	for i := range maxAlerts + 5 {
		ls := map[string]string{"alertname": "Up", "instance": time.Duration(i).String()}
		b.observe(store.Alert{Fingerprint: fingerprint(ls), Labels: ls, EndsAt: now.Add(time.Minute)}, now)
	}
	if len(b.alerts) != maxAlerts || b.dropped != 5 {
		t.Errorf("%d alerts, %d dropped", len(b.alerts), b.dropped)
	}
	var p pending
	for range maxHistory + 3 {
		p.remember(store.AlertEvent{})
	}
	if len(p.history) != maxHistory || p.lost != 3 {
		t.Errorf("%d lines, %d lost", len(p.history), p.lost)
	}
}

func TestSilences(t *testing.T) {
	inWorld(t, testConfig(), func(w *world) {
		s, err := w.m.Silence(w.t.Context(), store.Silence{Matchers: []string{`instance="a"`}, EndsAt: time.Now().Add(time.Hour), CreatedBy: "me"})
		w.ok(err)
		w.fire("Up/a", "Up/b", "Disk/a")
		w.pass(10 * time.Minute)
		w.wantHeard("ops", "+Up/b")
		w.crash()
		w.start()
		w.pass(10 * time.Minute)
		w.wantHeard("ops")
		w.resolve("Disk/a")
		w.ok(w.m.EndSilence(w.t.Context(), s.ID))
		w.pass(6 * time.Minute)
		w.wantHeard("ops", "+Up/a +Up/b")
		if all := w.m.Silences(); len(all) != 1 || all[0].EndsAt.After(time.Now()) {
			w.t.Errorf("silences %+v", all)
		}
	})
}

func TestReceiversCanBeReplaced(t *testing.T) {
	inWorld(t, testConfig(), func(w *world) {
		w.fire("Up/a")
		w.pass(10 * time.Minute)
		w.wantHeard("ops", "+Up/a")
		bad := testConfig(Receiver{Name: "ops", Type: "pigeon"})
		if err := w.m.Apply(bad); err == nil {
			w.t.Error("a pigeon was taken")
		}
		next := testConfig(Receiver{Name: "ops", Type: Webhook, URL: "http://x"}, Receiver{Name: "new", Type: Webhook, URL: "http://x"})
		w.apply(next)
		w.pass(10 * time.Minute)
		w.wantHeard("ops")
		w.wantHeard("new", "+Up/a")
		w.apply(testConfig(Receiver{Name: "new", Type: Webhook, URL: "http://x"}))
		w.resolve("Up/a")
		w.pass(10 * time.Minute)
		w.wantHeard("ops")
		w.wantHeard("new", "-Up/a")
		if n := testutil.CollectAndCount(w.m.metrics.total); n != 1 {
			w.t.Errorf("%d series of notifications", n)
		}
	})
}

func TestStopWaitsForWhatIsUnderWayAndNoLonger(t *testing.T) {
	inWorld(t, testConfig(), func(w *world) {
		w.ears["ops"].failing(func(int) error { return &failure{cause: "answered 500", retryAfter: time.Hour} })
		w.fire("Up/a")
		w.pass(time.Minute)
		began := time.Now()
		w.stop()
		if took := time.Since(began); took > time.Second {
			w.t.Errorf("stopping took %v", took)
		}
		w.ears["ops"].failing(nil)
		w.start()
		w.pass(time.Minute)
		if got := w.ears["ops"].take(); !slices.Equal(got, []string{"+Up/a"}) {
			w.t.Errorf("after the restart %q", got)
		}
	})
}

// An alert that ends while its beginning is being told is told as ended afterwards.
func TestAnEndWhileTheBeginningIsTold(t *testing.T) {
	inWorld(t, testConfig(), func(w *world) {
		w.ears["ops"].failing(func(try int) error {
			if try == 1 {
				w.resolve("Up/a")
				return &failure{cause: "answered 500"}
			}
			return nil
		})
		w.firing["Up/a"] = time.Now()
		w.report(time.Time{}, "Up/a")
		time.Sleep(time.Minute)
		w.wantHeard("ops", "+Up/a")
		w.pass(10 * time.Minute)
		w.wantHeard("ops", "-Up/a")
	})
}

// The evaluator repeats an end for a quarter of an hour; it is no news.
func TestARepeatedEndIsNoNews(t *testing.T) {
	inWorld(t, testConfig(), func(w *world) {
		w.fire("Up/a")
		w.pass(10 * time.Minute)
		since := w.firing["Up/a"]
		w.resolve("Up/a")
		w.pass(10 * time.Minute)
		w.wantHeard("ops", "+Up/a", "-Up/a")
		w.m.Notify(w.t.Context(), "x", ruleAlert("Up/a", since, time.Now().Add(-10*time.Minute)))
		if left := w.m.State().Alerts; len(left) != 0 {
			w.t.Errorf("remembers %v", left)
		}
	})
}

// Without the office a replica stores its own alerts and nothing else.
func TestWhoDoesNotHoldTheOfficeStoresOnlyItsAlerts(t *testing.T) {
	p := newPending()
	p.alerts["f"], p.noted["f"], p.ended["g"], p.told[groupID{"r", "k"}] = store.Alert{}, fired, true, store.Told{}
	p.remember(store.AlertEvent{})
	c, taken := p.take(nil)
	if len(c.Alerts) != 1 || len(c.Noted)+len(c.Ended)+len(c.Told)+len(c.History) != 0 {
		t.Errorf("stores %+v", c)
	}
	p.giveBack(taken)
	if c, _ = p.take(&store.Term{}); len(c.Alerts) != 1 || len(c.Noted) != 1 || len(c.Ended) != 1 || len(c.Told) != 1 || len(c.History) != 1 {
		t.Errorf("in office it stores %+v", c)
	}
}
