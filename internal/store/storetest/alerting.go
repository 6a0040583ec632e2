package storetest

import (
	"fmt"
	"reflect"
	"time"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/store"
)

func alertingStories() []story {
	return []story{
		{"alerts", activeAlerts},
		{"what was told", toldStory},
		{"silences", silenceStory},
		{"history", historyStory},
	}
}

func alertOf(fingerprint, source string) store.Alert {
	return store.Alert{
		Fingerprint: fingerprint, Source: source,
		Labels:       map[string]string{"alertname": "Up", "quote": `"\` + "\n\u2028é"},
		Annotations:  map[string]string{"summary": "it's 100% <b>"},
		GeneratorURL: "http://x/graph?g0.expr=up", StartsAt: epoch.Add(-time.Minute), EndsAt: epoch.Add(4 * time.Minute), UpdatedAt: epoch,
	}
}

func (b *bench) alerting() store.Alerting {
	b.Helper()
	a, err := b.store.LoadAlerting(b.Context())
	b.ok(err)
	return a
}

func (b *bench) save(c store.AlertingChanges) {
	b.Helper()
	b.ok(b.store.SaveAlerting(b.Context(), &c))
}

func (b *bench) wantAlerts(want ...store.Alert) {
	b.Helper()
	got := b.alerting().Alerts
	if len(got) != len(want) || len(want) > 0 && !reflect.DeepEqual(got, want) {
		b.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func activeAlerts(b *bench) {
	one, two, other := alertOf("f1", "a"), alertOf("f1", "b"), alertOf("f2", "a")
	b.save(store.AlertingChanges{Alerts: []store.Alert{one, two, other}})
	b.save(store.AlertingChanges{Noted: map[string]string{"f1": "fired", "unknown": "fired"}})
	one.Noted, two.Noted = "fired", "fired"
	b.reopen()
	b.wantAlerts(one, two, other)

	// An update keeps what the history says, whatever the replica thinks of it.
	one.Resolved, one.EndsAt, one.UpdatedAt = true, epoch.Add(time.Second), epoch.Add(2*time.Second)
	one.Annotations = map[string]string{"summary": "other"}
	forgetful := one
	forgetful.Noted = ""
	b.save(store.AlertingChanges{Alerts: []store.Alert{forgetful}})
	b.wantAlerts(one, two, other)

	// What another replica still sees stays; what has timed out goes.
	b.save(store.AlertingChanges{Ended: []string{"f1", "f2"}})
	b.wantAlerts(two, other)
	b.clock.advance(time.Hour)
	b.save(store.AlertingChanges{Ended: []string{"f1"}})
	b.wantAlerts(other)
	b.save(store.AlertingChanges{Alerts: []store.Alert{alertOf("f1", "a")}})
	b.wantAlerts(alertOf("f1", "a"), other)
}

func toldStory(b *bench) {
	one := store.Told{Receiver: "ops", GroupKey: `{}:{alertname="Up"}`, Firing: []string{"f1", "f2"}, Resolved: []string{}, At: epoch}
	two := store.Told{Receiver: "web", GroupKey: `{}:{alertname="Up"}`, Firing: []string{}, Resolved: []string{"f1"}, At: epoch}
	b.save(store.AlertingChanges{Told: []store.Told{two, one}})
	one.Firing, one.Resolved, one.At = []string{"f2"}, []string{"f1"}, epoch.Add(time.Minute)
	b.save(store.AlertingChanges{Told: []store.Told{one}})
	b.reopen()
	if got := b.alerting().Told; !reflect.DeepEqual(got, []store.Told{one, two}) {
		b.Errorf("told %+v", got)
	}
	b.save(store.AlertingChanges{Untold: epoch.Add(time.Second)})
	if got := b.alerting().Told; !reflect.DeepEqual(got, []store.Told{one}) {
		b.Errorf("after pruning %+v", got)
	}
}

func silenceStory(b *bench) {
	one := store.Silence{ID: "s1", Matchers: []string{`alertname="Up"`, `severity=~"a|b"`}, StartsAt: epoch,
		EndsAt: epoch.Add(time.Hour), CreatedBy: "me", Comment: "'; DROP TABLE silences", CreatedAt: epoch}
	two := one
	two.ID, two.StartsAt, two.CreatedAt = "s2", epoch.Add(30*time.Minute), epoch.Add(time.Second)
	b.ok(b.store.InsertSilence(b.Context(), one, 2))
	b.ok(b.store.InsertSilence(b.Context(), two, 2))
	three := two
	three.ID = "s3"
	b.wantKind(b.store.InsertSilence(b.Context(), three, 2), errs.Conflict)
	three.Comment = "\x00"
	b.wantKind(b.store.InsertSilence(b.Context(), three, 9), errs.Invalid)
	b.reopen()
	if got := b.alerting().Silences; !reflect.DeepEqual(got, []store.Silence{one, two}) {
		b.Errorf("silences %+v", got)
	}

	at := epoch.Add(10 * time.Minute)
	b.ok(b.store.ExpireSilence(b.Context(), "s1", at))
	b.ok(b.store.ExpireSilence(b.Context(), "s1", at.Add(time.Minute)))
	b.ok(b.store.ExpireSilence(b.Context(), "s2", at))
	b.wantKind(b.store.ExpireSilence(b.Context(), "s9", at), errs.NotFound)
	one.EndsAt, two.EndsAt, two.StartsAt = at, at, at
	if got := b.alerting().Silences; !reflect.DeepEqual(got, []store.Silence{one, two}) {
		b.Errorf("expired %+v", got)
	}
	b.save(store.AlertingChanges{Unsilent: at.Add(time.Second)})
	if got := b.alerting().Silences; len(got) != 0 {
		b.Errorf("after pruning %+v", got)
	}
}

func historyStory(b *bench) {
	var lines []store.AlertEvent
	for i, what := range []string{"fired", "notified", "failed", "resolved"} {
		lines = append(lines, store.AlertEvent{At: epoch.Add(time.Duration(i) * time.Second), What: what, Fingerprint: fmt.Sprint("f", i),
			AlertName: "Up", Labels: map[string]string{"a": "b"}, Receiver: "ops", Detail: "x"})
	}
	lines[3].AlertName = "Down"
	b.save(store.AlertingChanges{History: lines})
	b.reopen()
	for _, c := range []struct {
		filter store.AlertHistoryFilter
		want   []store.AlertEvent
	}{
		{store.AlertHistoryFilter{Limit: 2}, []store.AlertEvent{lines[3], lines[2]}},
		{store.AlertHistoryFilter{Limit: 9, AlertName: "Up"}, []store.AlertEvent{lines[2], lines[1], lines[0]}},
		{store.AlertHistoryFilter{Limit: 9, What: "fired"}, []store.AlertEvent{lines[0]}},
		{store.AlertHistoryFilter{Limit: 9, What: "fired", AlertName: "' OR 1=1"}, []store.AlertEvent{}},
	} {
		got, err := b.store.AlertHistory(b.Context(), c.filter)
		b.ok(err)
		if !reflect.DeepEqual(got, c.want) {
			b.Errorf("%+v: %+v", c.filter, got)
		}
	}
	b.save(store.AlertingChanges{Forget: epoch.Add(2 * time.Second)})
	got, err := b.store.AlertHistory(b.Context(), store.AlertHistoryFilter{Limit: 9})
	b.ok(err)
	if !reflect.DeepEqual(got, []store.AlertEvent{lines[3], lines[2]}) {
		b.Errorf("after pruning %+v", got)
	}
	_, err = b.store.AlertHistory(b.Context(), store.AlertHistoryFilter{Limit: 1, AlertName: "\x00"})
	b.wantKind(err, errs.Invalid)
}

func officeStories() []story {
	return []story{
		{"one holder", oneHolder},
		{"changes of an ended term", endedTerm},
	}
}

const office = "notify"

func (b *bench) elect(holder string, ttl time.Duration) (store.Term, bool) {
	b.Helper()
	t, ok, err := b.store.Elect(b.Context(), office, holder, ttl)
	b.ok(err)
	return t, ok
}

func oneHolder(b *bench) {
	first, ok := b.elect("a", time.Hour)
	if !ok {
		b.Fatal("a free office is not given")
	}
	if again, ok := b.elect("a", time.Hour); !ok || again != first {
		b.Errorf("renewed %+v %v, was %+v", again, ok, first)
	}
	if b.store.Dialect() == "duckdb" {
		if _, ok := b.elect("b", time.Hour); !ok {
			b.Error("the only process does not hold its office")
		}
		return
	}
	if _, ok := b.elect("b", time.Hour); ok {
		b.Fatal("two hold the office")
	}
	b.ok(b.store.Resign(b.Context(), office, "b"))
	if _, ok := b.elect("b", time.Hour); ok {
		b.Fatal("somebody resigned for another")
	}
	b.ok(b.store.Resign(b.Context(), office, "a"))
	second, ok := b.elect("b", time.Millisecond)
	if !ok || second.Number <= first.Number {
		b.Fatalf("after resigning: %+v %v, before %+v", second, ok, first)
	}
	// A term ends by itself.
	for ok = false; !ok && b.Context().Err() == nil; {
		_, ok = b.elect("c", time.Hour)
	}
}

func endedTerm(b *bench) {
	mine, _ := b.elect("a", time.Hour)
	b.save(store.AlertingChanges{Term: &mine, Told: []store.Told{{Receiver: "r", GroupKey: "g", At: epoch}}})
	if b.store.Dialect() == "duckdb" {
		return
	}
	b.ok(b.store.Resign(b.Context(), office, "a"))
	// Nobody has taken over, so the term still counts.
	b.save(store.AlertingChanges{Term: &mine, Told: []store.Told{{Receiver: "r", GroupKey: "g", At: epoch}}})
	b.elect("b", time.Hour)
	err := b.store.SaveAlerting(b.Context(), &store.AlertingChanges{Term: &mine, Alerts: []store.Alert{alertOf("f1", "a")}})
	b.wantKind(err, errs.Conflict)
	b.wantAlerts()
}
