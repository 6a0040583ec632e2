//go:build linux

package alertstory

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/tidemark-obs/tidemark/internal/tooltest"
)

// impatient writes the shipped rules with every waiting time cut to two seconds, and returns the
// file's path. Nothing else is changed.
func impatient(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("../../alerts/tidemark.rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	waits := regexp.MustCompile(`(?m)^( +for): [0-9]+m$`)
	if n := len(waits.FindAll(b, -1)); n < 10 {
		t.Fatalf("%d waiting times in the shipped rules", n)
	}
	path := filepath.Join(t.TempDir(), "tidemark.rules.yaml")
	if err := os.WriteFile(path, waits.ReplaceAll(b, []byte("$1: 2s")), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// judge is who evaluates the rules, by its Prometheus API: the service itself, or Prometheus.
type judge struct{ name, api string }

// state is the alert's state: firing, pending, or nothing.
func (j judge) state(t *testing.T, alert string) (string, error) {
	var answer struct {
		Data struct {
			Alerts []struct {
				Labels map[string]string
				State  string
			}
		}
	}
	if err := fetchJSON(t, j.api+"/api/v1/alerts", &answer); err != nil {
		return "", err
	}
	state := ""
	for _, a := range answer.Data.Alerts {
		if a.Labels["alertname"] == alert && state != "firing" {
			state = a.State
		}
	}
	return state, nil
}

// await waits until the alert is in that state.
func (j judge) await(t *testing.T, alert, want string) {
	t.Helper()
	eventually(t, fmt.Sprintf("%s is %q by %s", alert, want, j.name), func() error {
		got, err := j.state(t, alert)
		if err == nil && got != want {
			err = fmt.Errorf("it is %q", got)
		}
		return err
	})
}

// waited tells whether the alert was pending before it fired, as recorded by the judge.
func (j judge) waited(t *testing.T, alert string) error {
	query := fmt.Sprintf(`count_over_time(ALERTS{alertname="%s", alertstate="pending"}[1h])`, alert)
	var answer struct {
		Data struct{ Result []json.RawMessage }
	}
	if err := fetchJSON(t, j.api+"/api/v1/query?query="+url.QueryEscape(query), &answer); err != nil {
		return err
	}
	if len(answer.Data.Result) == 0 {
		return fmt.Errorf("%s was never pending by %s", alert, j.name)
	}
	return nil
}

// prometheus starts a real one that scrapes the service and loads the same file.
func prometheus(t *testing.T, s service, rules string) judge {
	t.Helper()
	path := tooltest.Find(t, "prometheus")
	dir := t.TempDir()
	config := fmt.Sprintf(`
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [%q]
scrape_configs:
  - job_name: tidemark
    static_configs: [{targets: [%q]}]
`, rules, s.address)
	file := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	address := freeAddress(t)
	run(t, path, "--config.file="+file, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+address)
	eventually(t, "Prometheus is ready", func() error { _, err := fetch(t, "http://"+address+"/-/ready"); return err })
	return judge{"Prometheus", "http://" + address}
}

// alertmanager starts a real one that tells nobody, and returns its URL.
func alertmanager(t *testing.T) string {
	t.Helper()
	path := tooltest.Find(t, "prometheus-alertmanager", "alertmanager")
	dir := t.TempDir()
	file := filepath.Join(dir, "alertmanager.yml")
	if err := os.WriteFile(file, []byte("route: {receiver: nobody}\nreceivers: [{name: nobody}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	address := freeAddress(t)
	run(t, path, "--config.file="+file, "--storage.path="+filepath.Join(dir, "data"), "--web.listen-address="+address, "--cluster.listen-address=")
	eventually(t, "Alertmanager is ready", func() error { _, err := fetch(t, "http://"+address+"/-/ready"); return err })
	return "http://" + address
}

// held tells whether the Alertmanager holds the alert as active.
func held(t *testing.T, alertmanager, alert string) (bool, error) {
	var all []struct {
		Labels map[string]string
		Status struct{ State string }
	}
	if err := fetchJSON(t, alertmanager+"/api/v2/alerts", &all); err != nil {
		return false, err
	}
	for _, a := range all {
		if a.Labels["alertname"] == alert && a.Status.State == "active" {
			return true, nil
		}
	}
	return false, nil
}

// hook is a webhook's receiver that counts what it is told.
type hook struct {
	url string
	mu  sync.Mutex
	got map[string]int // by "status alertname"
}

func newHook(t *testing.T) *hook {
	t.Helper()
	h := &hook{got: map[string]int{}}
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var m struct {
			Alerts []struct {
				Status string
				Labels map[string]string
			}
		}
		b, err := io.ReadAll(r.Body)
		if err != nil || json.Unmarshal(b, &m) != nil {
			t.Errorf("the webhook was sent %q, %v", b, err)
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		for _, a := range m.Alerts {
			h.got[a.Status+" "+a.Labels["alertname"]]++
		}
	}))
	t.Cleanup(s.Close)
	h.url = s.URL
	return h
}

// told is how often the hook was told of the alert with that status.
func (h *hook) told(status, alert string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.got[status+" "+alert]
}

// heard is everything that the hook was told, for a message.
func (h *hook) heard() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.ReplaceAll(fmt.Sprint(h.got), "map", "")
}
