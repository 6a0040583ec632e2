package notify

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/proctest"
	"github.com/tidemark-obs/tidemark/internal/tooltest"
)

// startAlertmanager starts a real Alertmanager that tells a webhook at once, and returns its URL.
func startAlertmanager(t *testing.T, hook string) string {
	t.Helper()
	binary := tooltest.Installed(t, "prometheus-alertmanager", "alertmanager")
	dir := t.TempDir()
	config := fmt.Sprintf("route: {receiver: hook, group_by: ['...'], group_wait: 0s, group_interval: 100ms, repeat_interval: 4h}\n"+
		"receivers: [{name: hook, webhook_configs: [{url: '%s'}]}]\n", hook)
	path := filepath.Join(dir, "config.yml")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	_, address := proctest.Tool(t, binary, "--config.file="+path, "--storage.path="+dir, "--cluster.listen-address=")
	return "http://" + address
}

// amAlerts is what Alertmanager says of an alert that is active: its state and when it ends.
func amAlerts(t *testing.T, url string) []struct {
	Labels map[string]string
	EndsAt time.Time
	Status struct{ State string }
} {
	t.Helper()
	res, err := http.Get(url + "/api/v2/alerts")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var all []struct {
		Labels map[string]string
		EndsAt time.Time
		Status struct{ State string }
	}
	body, err := io.ReadAll(res.Body)
	if err == nil {
		err = json.Unmarshal(body, &all)
	}
	if err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	return all
}

// TestARealAlertmanager gets an alert that fires and that ends, and tells each once.
func TestARealAlertmanager(t *testing.T) {
	box := newMailbox(t)
	url := startAlertmanager(t, box.URL)
	to := newSender(&Receiver{Type: Alertmanager, URL: Secret(url)})
	now := time.Now().UTC()
	a := Alert{Labels: map[string]string{"alertname": "Up", "severity": "critical"}, Annotations: map[string]string{"summary": "é"},
		StartsAt: now.Add(-time.Minute), EndsAt: now.Add(4 * time.Minute), Firing: true, GeneratorURL: "http://tidemark.example/graph"}
	for range 3 { // as often as it is resent
		if _, err := to.send(t.Context(), &message{alerts: []Alert{a}}); err != nil {
			t.Fatal(err)
		}
	}
	waitFor(t, "the beginning", func() bool { return box.got("Up firing") == 1 })
	if all := amAlerts(t, url); len(all) != 1 || all[0].Status.State != "active" || all[0].EndsAt.Sub(a.EndsAt).Abs() > time.Millisecond {
		t.Errorf("Alertmanager has %+v", all)
	}
	a.Firing, a.EndsAt = false, time.Now().UTC()
	if _, err := to.send(t.Context(), &message{alerts: []Alert{a}}); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the end", func() bool { return box.got("Up resolved") == 1 })
	if n := box.got("Up firing"); n != 1 {
		t.Errorf("told %d times that it fires", n)
	}
}
