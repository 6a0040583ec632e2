package httpapi

import (
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/notify"
	"github.com/tidemark-obs/tidemark/internal/store"
)

func alertState(name string, firing bool, silences ...string) notify.AlertState {
	now := time.Now().UTC()
	return notify.AlertState{Alert: notify.Alert{Fingerprint: "f" + name, Labels: map[string]string{"alertname": name}, Firing: firing,
		StartsAt: now.Add(-time.Hour), EndsAt: now}, Receivers: []string{"pager"}, SilencedBy: silences}
}

func TestAlerts(t *testing.T) {
	w := newWorld(t)
	w.memory.alerts = []notify.AlertState{alertState("Up", true), alertState("Disk", true, "s1"), alertState("Up", false)}
	w.memory.history = []store.AlertEvent{{At: time.Now(), What: "notified", AlertName: "Up", Receiver: "pager", Detail: "x"}}
	for query, want := range map[string]int{"": 3, "?state=firing": 1, "?state=silenced": 1, "?state=resolved": 1,
		"?alertname=Up": 2, "?alertname=Up&state=silenced": 0, "?limit=2": 2} {
		body := w.get(t, "/api/analytics/alerts"+query).want(200).json()
		if got := body["alerts"].([]any); len(got) != want {
			t.Errorf("%s: %v", query, got)
		}
		if len(body["history"].([]any)) != 1 || body["notifies"] != true {
			t.Errorf("%s: %v", query, body)
		}
	}
	w.get(t, "/api/analytics/alerts?event=failed&alertname=Up&limit=7").want(200)
	if w.asked != (store.AlertHistoryFilter{What: "failed", AlertName: "Up", Limit: 7}) {
		t.Errorf("asked %+v", w.asked)
	}
	for _, bad := range []string{"?state=odd", "?event=odd", "?limit=0", "?limit=1001", "?alertname=%00"} {
		w.get(t, "/api/analytics/alerts"+bad).problem(422)
	}
	one := w.get(t, "/api/analytics/alerts?state=resolved").json()["alerts"].([]any)[0].(map[string]any)
	if one["ends_at"] == nil || one["state"] != "resolved" {
		t.Errorf("resolved: %v", one)
	}
	one = w.get(t, "/api/analytics/alerts?state=firing").json()["alerts"].([]any)[0].(map[string]any)
	if one["ends_at"] != nil {
		t.Errorf("firing: %v", one)
	}
	// That the database is away is just when somebody looks here.
	w.memory.storeErr = errs.New(errs.Unavailable, "away")
	body := w.get(t, "/api/analytics/alerts").want(200).json()
	if body["history"] != nil || len(body["alerts"].([]any)) != 3 {
		t.Errorf("without the database: %v", body)
	}
}

func TestAlertsTest(t *testing.T) {
	w := newWorld(t)
	body := w.post(t, "/api/analytics/alerts/test", "").want(200).json()
	results := body["results"].([]any)
	first := results[0].(map[string]any)
	if body["success"] != false || len(results) != 2 || first["answer"] != "200 OK" || first["duration_ms"] != 12.35 {
		t.Errorf("answer %v", body)
	}
	w.memory.nobody = true
	if body := w.post(t, "/api/analytics/alerts/test", "").want(200).json(); body["success"] != false {
		t.Errorf("nobody is told, and the answer is %v", body)
	}
	w.memory.storeErr = errs.New(errs.Conflict, "a test is under way")
	w.post(t, "/api/analytics/alerts/test", "").problem(409)
}

func TestSilences(t *testing.T) {
	w := newWorld(t)
	const path = "/api/analytics/alerts/silences"
	made := w.post(t, path, `{"matchers":["a=\"b\""],"starts_at":"2026-01-01T00:00:00Z","duration":"90m","comment":"c"}`).want(201).json()
	if made["id"] != "s1" || made["ends_at"] != "2026-01-01T01:30:00Z" || made["state"] != "expired" && made["state"] != "pending" {
		t.Errorf("made %v", made)
	}
	if all := w.get(t, path).want(200).json()["silences"].([]any); len(all) != 1 {
		t.Errorf("silences %v", all)
	}
	for body, location := range map[string]string{
		`{"matchers":["a=b"]}`: "/ends_at", `{"matchers":["a=b"],"duration":"soon"}`: "/duration", `{"matchers":["a=b"],"duration":"-1h"}`: "/duration",
		`{"matchers":["a=b"],"duration":"1h","ends_at":"2030-01-01T00:00:00Z"}`: "/duration", `{"matchers":"a"}`: "/matchers", `{"until":1}`: "/until",
	} {
		if p := w.post(t, path, body).problem(422); len(p.Errors) != 1 || p.Errors[0].Location != location {
			t.Errorf("%s: %+v", body, p)
		}
	}
	w.do(t, "DELETE", path+"/s1", "").want(200)
	w.do(t, "DELETE", path+"/other", "").problem(404)
}
