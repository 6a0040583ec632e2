package notify

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// shared is a buffer that a process writes while a test reads.
type shared struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *shared) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *shared) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// startAlertmanager starts a real Alertmanager that tells a webhook at once, and returns its URL.
func startAlertmanager(t *testing.T, hook string) string {
	t.Helper()
	binary := "prometheus-alertmanager"
	if _, err := exec.LookPath(binary); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("prometheus-alertmanager is not installed")
		}
		t.Skip("SKIPPED: prometheus-alertmanager is not installed (apt-get install prometheus-alertmanager)")
	}
	dir := t.TempDir()
	config := fmt.Sprintf("route: {receiver: hook, group_by: ['...'], group_wait: 0s, group_interval: 100ms, repeat_interval: 4h}\n"+
		"receivers: [{name: hook, webhook_configs: [{url: '%s'}]}]\n", hook)
	path := filepath.Join(dir, "config.yml")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	log := &shared{}
	cmd := exec.Command(binary, "--config.file="+path, "--storage.path="+dir, "--web.listen-address=127.0.0.1:0", "--cluster.listen-address=")
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
		if t.Failed() {
			t.Log(log.String())
		}
	})
	address := regexp.MustCompile(`(?:address|Listening).*?(127\.0\.0\.1:\d\d+)`)
	var url string
	waitFor(t, "Alertmanager to listen", func() bool {
		if m := address.FindStringSubmatch(log.String()); m != nil && !strings.HasSuffix(m[1], ":0") {
			url = "http://" + m[1]
		}
		return url != ""
	})
	return url
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
