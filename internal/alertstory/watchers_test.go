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
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/proctest"
	"github.com/tidemark-obs/tidemark/internal/tooltest"
)

// impatient writes the shipped rules with every waiting time cut to two seconds, but for the one
// alert that is to wait as long as given, and returns the file's path. Nothing else is changed.
func impatient(t *testing.T, patient, wait string) string {
	t.Helper()
	b, err := os.ReadFile("../../alerts/tidemark.rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	waits := regexp.MustCompile(`(?m)^( +for): [0-9]+m$`)
	parts := strings.SplitAfter(string(b), "- alert: ")
	changed := 0
	for i, part := range parts {
		to := "2s"
		if strings.HasPrefix(part, patient+"\n") && patient != "" {
			to = wait
		}
		if parts[i] = waits.ReplaceAllString(part, "$1: "+to); parts[i] != part {
			changed++
		}
	}
	if changed < 10 {
		t.Fatalf("%d waiting times in the shipped rules", changed)
	}
	path := filepath.Join(t.TempDir(), "tidemark.rules.yaml")
	if err := os.WriteFile(path, []byte(strings.Join(parts, "")), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// judge is who evaluates the rules, by its Prometheus API: the service itself, or Prometheus.
type judge struct{ name, api string }

// standing is an alert as the API shows it; State is empty where there is none.
type standing struct {
	State    string
	ActiveAt time.Time
}

// standing is how the alert stands: the firing one of several series, or else a pending one.
func (j judge) standing(t *testing.T, alert string) (standing, error) {
	var answer struct {
		Data struct {
			Alerts []struct {
				standing
				Labels map[string]string
			}
		}
	}
	if err := fetchJSON(t, j.api+"/api/v1/alerts", &answer); err != nil {
		return standing{}, err
	}
	var found standing
	for _, a := range answer.Data.Alerts {
		if a.Labels["alertname"] == alert && found.State != "firing" {
			found = a.standing
		}
	}
	return found, nil
}

// begun waits until the judge records how the alert stands. It does so after its second evaluation, when it
// has looked for what it recorded before it was started.
func (j judge) begun(t *testing.T, alert string) {
	t.Helper()
	evaluations := map[string]bool{"0001-01-01T00:00:00Z": true} // where there is none yet
	eventually(t, j.name+" has evaluated "+alert+" three times", func() error {
		var answer struct {
			Data struct {
				Groups []struct {
					Rules []struct{ Name, LastEvaluation string }
				}
			}
		}
		if err := fetchJSON(t, j.api+"/api/v1/rules", &answer); err != nil {
			return err
		}
		for _, g := range answer.Data.Groups {
			for _, r := range g.Rules {
				if r.Name == alert {
					evaluations[r.LastEvaluation] = true
				}
			}
		}
		if n := len(evaluations) - 1; n < 3 {
			return fmt.Errorf("%d times", n)
		}
		return nil
	})
}

// await waits until the alert is in that state.
func (j judge) await(t *testing.T, alert, want string) {
	t.Helper()
	eventually(t, fmt.Sprintf("%s is %q by %s", alert, want, j.name), func() error {
		got, err := j.standing(t, alert)
		if err == nil && got.State != want {
			err = fmt.Errorf("it is %q", got.State)
		}
		return err
	})
}

// sample is a value and its time, in seconds.
type sample struct{ time, value float64 }

// record is the samples of a range selector's first series, which must have some.
func (j judge) record(t *testing.T, selector string) ([]sample, error) {
	var answer struct {
		Data struct {
			Result []struct{ Values [][2]any }
		}
	}
	if err := fetchJSON(t, j.api+"/api/v1/query?query="+url.QueryEscape(selector), &answer); err != nil {
		return nil, err
	}
	if len(answer.Data.Result) == 0 || len(answer.Data.Result[0].Values) == 0 {
		return nil, fmt.Errorf("%s has no samples by %s", selector, j.name)
	}
	var all []sample
	for _, v := range answer.Data.Result[0].Values {
		at, _ := v[0].(float64)
		text, _ := v[1].(string)
		value, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, err
		}
		all = append(all, sample{at, value})
	}
	return all, nil
}

// waited tells whether the alert was pending before it fired, as recorded by the judge.
func (j judge) waited(t *testing.T, alert string) error {
	_, err := j.record(t, fmt.Sprintf(`ALERTS{alertname=%q, alertstate="pending"}[1h]`, alert))
	return err
}

// prometheus starts a real one that scrapes the service and loads the same file.
func prometheus(t *testing.T, s *service, rules string) judge {
	t.Helper()
	path := tooltest.Find(t, "prometheus")
	dir := t.TempDir()
	config := fmt.Sprintf(`
global: {scrape_interval: 5s, evaluation_interval: 1s}
rule_files: [%q]
scrape_configs:
  - job_name: tidemark
    static_configs: [{targets: [%q]}]
`, rules, s.address)
	file := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	_, address := proctest.Tool(t, path, "--config.file="+file, "--storage.tsdb.path="+filepath.Join(dir, "data"))
	return judge{"Prometheus", "http://" + address}
}

// alertmanager starts a real one that tells nobody, and returns its URL.
func alertmanager(t *testing.T) string {
	t.Helper()
	path := tooltest.Installed(t, "prometheus-alertmanager", "alertmanager")
	dir := t.TempDir()
	file := filepath.Join(dir, "alertmanager.yml")
	if err := os.WriteFile(file, []byte("route: {receiver: nobody}\nreceivers: [{name: nobody}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, address := proctest.Tool(t, path, "--config.file="+file, "--storage.path="+filepath.Join(dir, "data"), "--cluster.listen-address=")
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
