//go:build linux

package faults

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/proctest"
)

// hook is a webhook that notes what it is told, by alert and status, and under which ids.
type hook struct {
	*httptest.Server
	mu   sync.Mutex
	told map[string]map[string]int // "A firing" → id → how often
}

func newHook(t *testing.T) *hook {
	p := &hook{told: map[string]map[string]int{}}
	p.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var m struct {
			Alerts []struct {
				Status string
				Labels map[string]string
			}
		}
		if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
			t.Error(err)
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, a := range m.Alerts {
			what := a.Labels["alertname"] + " " + a.Status
			if p.told[what] == nil {
				p.told[what] = map[string]int{}
			}
			p.told[what][r.Header.Get("Webhook-Id")]++
		}
	}))
	t.Cleanup(p.Close)
	return p
}

// await waits until the pager has been told something.
func (p *hook) await(t *testing.T, what string) {
	t.Helper()
	proctest.Eventually(t, 3*time.Minute, what, func() error {
		p.mu.Lock()
		defer p.mu.Unlock()
		if len(p.told[what]) == 0 {
			return fmt.Errorf("told %v", p.told)
		}
		return nil
	})
}

// watched is a service with rules that fire whatever is measured.
type watched struct {
	*service
	*hook
	rules map[string]string // expressions by alert
	file  string
}

// newWatched makes one whose alerts last for four times the resend delay where they are not heard of:
// a start may take long.
func newWatched(t *testing.T, url string) *watched {
	w := &watched{hook: newHook(t), rules: map[string]string{}, file: filepath.Join(t.TempDir(), "test.rules.yaml")}
	w.service = newService(t, url, configured(fmt.Sprintf(`
alerts: {rules: ["%s"], evaluation_interval: 1s, scrape_interval: 1s, resend_delay: 5s, for_grace_period: 1s}
notifications:
  group_by: ["..."]
  group_wait: 1s
  group_interval: 1s
  receivers: [{name: pager, type: webhook, url: "%s", allow_private_addresses: true}]
`, w.file, w.hook.URL)))
	return w
}

func (w *watched) write(t *testing.T) {
	t.Helper()
	var b strings.Builder
	b.WriteString("groups:\n- name: test\n  rules:\n")
	for name, expr := range w.rules {
		fmt.Fprintf(&b, "  - {alert: %s, expr: '%s'}\n", name, expr)
	}
	if err := os.WriteFile(w.file, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (w *watched) reload(t *testing.T) {
	t.Helper()
	if status, body, err := w.do(http.MethodPost, "/-/reload", ""); err != nil || status != http.StatusOK {
		t.Fatalf("reload: %d %s %v", status, body, err)
	}
}

// logged waits until the service has written down that it told the pager of an alert.
func (w *watched) logged(t *testing.T, name string) {
	t.Helper()
	proctest.Eventually(t, 3*time.Minute, name+" logged", func() error {
		var answer struct{ History []struct{ Event string } }
		if err := w.ask("/api/analytics/alerts?event=notified&alertname="+name, &answer); err != nil {
			return err
		}
		if len(answer.History) == 0 {
			return fmt.Errorf("%s was told and is not in the history", name)
		}
		return nil
	})
}

const (
	always = "vector(1)"
	silent = "vector(0) > 0"
)

// TestAlertsOverKills kills the process while alerts fire, right after they were told, and while
// they are being told. Each beginning and each end is told once; what a kill between telling and
// logging makes come twice bears the same id.
func TestAlertsOverKills(t *testing.T) {
	story(t)
	onEach(t, func(t *testing.T, url string) {
		w := newWatched(t, url)
		w.rules["Lasting"], w.rules["Vanishing"] = always, always
		w.write(t)
		w.start()
		w.await(t, "Lasting firing")
		w.await(t, "Vanishing firing")
		for i := range pick(2, 10) {
			name := fmt.Sprintf("After%d", i)
			w.rules[name] = always
			w.Kill()
			w.write(t)
			w.start()
			w.await(t, name+" firing")
			w.logged(t, name)
		}
		for i := range pick(3, 30) {
			name := fmt.Sprintf("During%d", i)
			w.rules[name] = always
			w.write(t)
			w.reload(t)
			lapse(time.Duration(500+rand.IntN(3000)) * time.Millisecond)
			w.Kill()
			w.start()
			w.await(t, name+" firing")
			w.logged(t, name)
		}

		w.rules["Lasting"] = silent
		w.write(t)
		w.reload(t)
		w.await(t, "Lasting resolved")
		w.Kill()
		delete(w.rules, "Vanishing") // ends while nobody is there to see it
		w.rules["Last"] = always
		w.write(t)
		w.start()
		w.await(t, "Vanishing resolved")
		w.await(t, "Last firing")
		if code := w.Stop(2 * time.Minute); code != 0 {
			t.Errorf("exit code %d", code)
		}

		w.hook.mu.Lock()
		defer w.hook.mu.Unlock()
		for what, ids := range w.told {
			twice := 0
			for _, n := range ids {
				twice = max(twice, n)
			}
			if strings.HasPrefix(what, "During") || strings.HasPrefix(what, "Lasting") || what == "Vanishing firing" {
				twice = min(twice, 1) // a kill may have come before the log
			}
			if len(ids) != 1 || twice != 1 {
				t.Errorf("%s: told %v", what, ids)
			}
		}
	})
}
