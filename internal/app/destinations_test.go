package app

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestDestinationsOverTheAPI makes a destination, looks at it, and finds its secret nowhere.
func TestDestinationsOverTheAPI(t *testing.T) {
	var got, refuse atomic.Int64
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body struct{ Events []any }
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil || r.Header.Get("Authorization") != "Bearer very-secret-token" {
			t.Errorf("%v, authorised by %q", err, r.Header.Get("Authorization"))
		}
		// The first is. Then the secret is taken away, which the next delivery may be a moment too early for.
		if signed, n := r.Header.Get("Webhook-Signature") != "", got.Load(); n != 2 && signed != (n == 0) {
			t.Errorf("signed: %v, after %d events", signed, n)
		}
		if refuse.Load() > 0 {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		got.Add(int64(len(body.Events)))
	}))
	defer hook.Close()
	var log logBuffer
	a := start(t, testConfig(t.TempDir()), Options{Log: &log})
	const path = "/api/analytics/destinations"
	shown := ""
	ask := func(method, path, body string, want int) map[string]any {
		t.Helper()
		status, answer := call(t, a, method, path, body)
		shown += fmt.Sprint(answer)
		if status != want {
			t.Fatalf("%s %s: %d %v", method, path, status, answer)
		}
		return answer
	}
	settings := fmt.Sprintf(`{"name": "crm", "kind": "webhook", "format": "json", "url": %q, "allow_private_addresses": true, "batch": {"linger_ms": 1}`, hook.URL)
	ask("POST", path, settings+`, "secrets": {"token": "very-secret-token", "secret": "very-secret-key-to-sign-with"}}`, 201)
	ask("POST", path, settings+`}`, 200) // keeps its secrets
	if v := ask("POST", path+"/crm/test", "", 200); v["success"] != true || got.Load() != 1 {
		t.Errorf("the test says %v", v)
	}
	ask("POST", path, settings+`, "secrets": {"token": 7}}`, 422)
	ask("POST", path, settings+`, "secrets": {"tokens": "x"}}`, 422)
	ask("POST", path, settings+`, "secrets": null}`, 200)
	if v := ask("POST", path, settings+`, "secrets": {"secret": ""}}`, 200); fmt.Sprint(v["secrets_set"]) != "[secret token]" {
		t.Errorf("with a secret that is empty it is shown as %v", v)
	}
	if v := ask("POST", path, settings+`, "secrets": {"secret": null}}`, 200); fmt.Sprint(v["secrets_set"]) != "[token]" {
		t.Errorf("without its secret it is shown as %v", v)
	}
	ask("POST", path, `{"name": "crm", "kind": "webhook", "url": "ftp://x"}`, 422)
	ask("POST", path, `{"name": "crm", "sort": "webhook"}`, 422)
	if v := ask("GET", path+"/crm", "", 200); fmt.Sprint(v["secrets_set"]) != "[token]" {
		t.Errorf("it is shown as %v", v)
	}
	if v := ask("POST", path+"/crm/test", "", 200); v["success"] != true || v["answer"] != "200 OK" || got.Load() != 2 {
		t.Errorf("the test says %v", v)
	}
	services, _ := ask("GET", "/api/analytics/stats", "", 200)["enabled_services"].([]any)
	if !slices.Contains(services, any("destination:crm")) {
		t.Errorf("at work: %v", services)
	}
	await := func(what string, holds func() bool) {
		t.Helper()
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for deadline := time.Now().Add(2 * time.Minute); !holds(); <-tick.C {
			if time.Now().After(deadline) {
				t.Fatalf("waited in vain: %s", what)
			}
		}
	}
	ask("POST", "/api/analytics/track", `{"event": "one"}`, 200)
	await("the event", func() bool { return got.Load() == 3 })
	refuse.Store(1)
	ask("POST", "/api/analytics/track", `{"event": "two"}`, 200)
	letters := func() int {
		list, _ := ask("GET", path+"/crm/dead-letters", "", 200)["dead_letters"].([]any)
		return len(list)
	}
	await("a dead letter", func() bool { return letters() == 1 })
	refuse.Store(0)
	ask("POST", path+"/crm/replay", `{"what": "everything"}`, 422)
	ask("POST", path+"/crm/replay", `{"what": "dead_letters"}`, 202)
	await("the dead letter", func() bool { return got.Load() == 4 && letters() == 0 })
	ask("POST", path+"/crm/replay", `{"what": "history", "from": "2020-01-01T00:00:00Z"}`, 202)
	await("history", func() bool { return got.Load() == 6 })
	if v := ask("POST", path+"/crm/pause", "", 200); v["enabled"] != false {
		t.Errorf("paused: %v", v)
	}
	ask("POST", path+"/crm/resume", "", 200)
	ask("DELETE", path+"/crm", "", 200)
	ask("GET", path+"/crm", "", 404)
	stop(t, a)
	if strings.Contains(shown, "very-secret") || strings.Contains(log.String(), "very-secret") {
		t.Error("a secret was shown or logged")
	}
}
