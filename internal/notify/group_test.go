package notify

import (
	"slices"
	"testing"
	"time"
)

func TestAGroupIsToldWhole(t *testing.T) {
	inWorld(t, testConfig(), func(w *world) {
		w.fire("Up/a")
		w.pass(20 * time.Second)
		w.fire("Up/b", "Disk/a")
		w.pass(9 * time.Second)
		w.wantHeard("ops")
		w.pass(2 * time.Second)
		w.wantHeard("ops", "+Up/a +Up/b")
		w.pass(20 * time.Second)
		w.wantHeard("ops", "+Disk/a")
	})
}

func TestChangesComeWithTheGroupsInterval(t *testing.T) {
	inWorld(t, testConfig(), func(w *world) {
		w.fire("Up/a")
		w.pass(31 * time.Second)
		w.wantHeard("ops", "+Up/a")
		w.fire("Up/b")
		w.pass(4 * time.Minute)
		w.wantHeard("ops")
		w.pass(2 * time.Minute)
		w.wantHeard("ops", "+Up/a +Up/b")
		w.resolve("Up/a")
		w.pass(5 * time.Minute)
		w.wantHeard("ops", "+Up/b -Up/a")
		w.pass(2 * time.Hour)
		w.wantHeard("ops")
		w.pass(2*time.Hour + 5*time.Minute)
		w.wantHeard("ops", "+Up/b")
		w.resolve("Up/b")
		w.pass(10 * time.Minute)
		w.wantHeard("ops", "-Up/b")
		w.pass(10 * time.Hour)
		w.wantHeard("ops")
		if left := w.m.State().Alerts; len(left) != 0 {
			w.t.Errorf("remembers %v", left)
		}
		want := []string{"fired Up", "notified Up ops", "fired Up", "notified Up ops", "resolved Up", "notified Up ops",
			"notified Up ops", "resolved Up", "notified Up ops"}
		if got := w.history(); !slices.Equal(got, want) {
			w.t.Errorf("history %q", got)
		}
		a, err := w.db.LoadAlerting(w.t.Context())
		w.ok(err)
		if len(a.Alerts) != 0 || len(a.Told) != 1 || len(a.Told[0].Firing) != 0 {
			w.t.Errorf("stored %+v", a)
		}
	})
}

func TestWhatComesAndGoesWithinTheWaitIsNotTold(t *testing.T) {
	inWorld(t, testConfig(), func(w *world) {
		w.fire("Up/a")
		w.pass(10 * time.Second)
		w.resolve("Up/a")
		w.pass(time.Hour)
		w.wantHeard("ops")
	})
}

// A rule that is removed, or a target, sends no end.
func TestAVanishedAlertEnds(t *testing.T) {
	inWorld(t, testConfig(), func(w *world) {
		w.fire("Up/a")
		w.pass(10 * time.Minute)
		w.wantHeard("ops", "+Up/a")
		delete(w.firing, "Up/a")
		w.pass(validity - time.Minute)
		w.wantHeard("ops")
		w.pass(10 * time.Minute)
		w.wantHeard("ops", "-Up/a")
		w.pass(10 * time.Hour)
		w.wantHeard("ops")
	})
}

func TestReceiversChooseByMatchers(t *testing.T) {
	never := false
	cfg := testConfig(
		Receiver{Name: "all", Type: Webhook, URL: "http://x", SendResolved: &never},
		Receiver{Name: "disks", Type: Slack, URL: "http://x", Matchers: []string{`alertname=~"Disk.*"`, `severity="critical"`}},
		Receiver{Name: "none", Type: Webhook, URL: "http://x", Matchers: []string{`severity!="critical"`}},
	)
	inWorld(t, cfg, func(w *world) {
		w.fire("Up/a", "DiskFull/a")
		w.pass(time.Minute)
		got := w.ears["all"].take()
		slices.Sort(got)
		if !slices.Equal(got, []string{"+DiskFull/a", "+Up/a"}) {
			w.t.Errorf("all heard %q", got)
		}
		w.wantHeard("disks", "+DiskFull/a")
		w.resolve("Up/a", "DiskFull/a")
		w.pass(10 * time.Minute)
		w.wantHeard("all")
		w.wantHeard("disks", "-DiskFull/a")
		w.wantHeard("none")
		// It is a new alert, though nobody was told of the end of the last.
		w.fire("Up/a")
		w.pass(10 * time.Minute)
		w.wantHeard("all", "+Up/a")
	})
}

func TestGroupingByEverythingAndByNothing(t *testing.T) {
	for by, want := range map[string][]string{"...": {"+Disk/a", "+Up/a", "+Up/b"}, "": {"+Disk/a +Up/a +Up/b"}} {
		cfg := testConfig()
		cfg.GroupBy = nil
		if by != "" {
			cfg.GroupBy = []string{by}
		}
		inWorld(t, cfg, func(w *world) {
			w.fire("Up/a", "Up/b", "Disk/a")
			w.pass(time.Minute)
			got := w.ears["ops"].take()
			slices.Sort(got)
			if !slices.Equal(got, want) {
				w.t.Errorf("by %q: %q", by, got)
			}
		})
	}
}

// An Alertmanager groups by itself: it hears of every alert at once, again each minute, and of its
// end.
func TestAlertmanagerIsFedAsPrometheusDoes(t *testing.T) {
	inWorld(t, testConfig(Receiver{Name: "am", Type: Alertmanager, URL: "http://x"}), func(w *world) {
		w.fire("Up/a", "Disk/b")
		w.pass(time.Second)
		w.wantHeard("am", "+Disk/b +Up/a")
		w.pass(3 * time.Minute)
		w.wantHeard("am", "+Disk/b +Up/a", "+Disk/b +Up/a", "+Disk/b +Up/a")
		w.resolve("Up/a")
		w.pass(time.Second)
		w.wantHeard("am", "-Up/a")
		w.pass(time.Minute)
		w.wantHeard("am", "+Disk/b")
		delete(w.firing, "Disk/b")
		w.pass(validity)
		got := w.ears["am"].take()
		if len(got) == 0 || got[len(got)-1] != "-Disk/b" || slices.Contains(got[:len(got)-1], "-Disk/b") {
			w.t.Errorf("heard %q", got)
		}
		w.pass(time.Hour)
		w.wantHeard("am")
		want := []string{"fired Disk", "fired Up", "notified  am", "notified Disk am", "notified Up am", "resolved Disk", "resolved Up"}
		if got := slices.Sorted(slices.Values(w.history())); !slices.Equal(got, want) {
			w.t.Errorf("history %q", got)
		}
	})
}
