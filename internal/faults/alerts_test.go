//go:build linux

package faults

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/proctest"
)

// alertRules look at a setting that the test changes and that survives a kill.
const alertRules = `
groups:
  - name: story
    rules:
      - {alert: Fires, expr: 'tidemark_threshold{name="slow_request_ms"} > 5', for: 3s}
      - {alert: Waits, expr: 'tidemark_threshold{name="slow_request_ms"} > 5', for: 1h}
`

const alertConfig = `
alerts:
  rules: [%q]
  evaluation_interval: 1s
  scrape_interval: 1s
  for_grace_period: 1s
  resend_delay: 5s # four times as long an alert lasts that is not heard of: a start may take long
notifications:
  group_wait: 1s
  group_interval: 1s
  receivers:
    - {name: pager, type: webhook, url: %q, allow_private_addresses: true}
`

// pager notes under which ids a webhook is told something, by status. What a kill between the telling
// and the log has come again bears the id that it had.
type pager struct {
	mu   sync.Mutex
	told map[string]map[string]bool
}

func newPager(t *testing.T) (p *pager, url string) {
	t.Helper()
	p = &pager{told: map[string]map[string]bool{"firing": {}, "resolved": {}}}
	web := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var message struct{ Status string }
		if err := json.NewDecoder(r.Body).Decode(&message); err != nil {
			t.Error(err)
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		p.told[message.Status][r.Header.Get("Webhook-Id")] = true
	}))
	t.Cleanup(web.Close)
	return p, web.URL
}

// counts are how often it was told that something fires, and that it is over.
func (p *pager) counts() (firing, over int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.told["firing"]), len(p.told["resolved"])
}

func (p *pager) await(t *testing.T, firing, over int) {
	t.Helper()
	proctest.Eventually(t, 3*time.Minute, fmt.Sprintf("told %d times of an alert, %d times of its end", firing, over), func() error {
		if f, o := p.counts(); f < firing || o < over {
			return fmt.Errorf("%d and %d", f, o)
		}
		return nil
	})
}

// alerts are the active ones: state and since when, by name.
func (s *service) alerts() (map[string]activeAlert, error) {
	var answer struct {
		Data struct{ Alerts []activeAlert }
	}
	err := s.ask("/api/v1/alerts", &answer)
	out := make(map[string]activeAlert)
	for _, a := range answer.Data.Alerts {
		out[a.Labels["alertname"]] = a
	}
	return out, err
}

type activeAlert struct {
	Labels   map[string]string
	State    string
	ActiveAt time.Time
}

func (s *service) slowAfter(ms int) {
	s.t.Helper()
	status, body, err := s.do(http.MethodPost, "/api/analytics/config", fmt.Sprintf(`{"thresholds": {"slow_request_ms": %d}}`, ms))
	if err != nil || status != http.StatusOK {
		s.t.Fatalf("changing the threshold: %d %s %v", status, body, err)
	}
}

// TestAlertsSurviveKill kills the service while one alert is pending and another fires, and just
// when both are over. Neither loses the time it has been active; the receiver is told once that
// the one fires and once that it is over.
func TestAlertsSurviveKill(t *testing.T) {
	story(t)
	p, hook := newPager(t)
	rules := filepath.Join(t.TempDir(), "story.rules.yaml")
	if err := os.WriteFile(rules, []byte(alertRules), 0o600); err != nil {
		t.Fatal(err)
	}
	s := newService(t, "", sameAddress(), configured(fmt.Sprintf(alertConfig, rules, hook)))
	s.start()
	for round := range pick(2, 10) {
		s.slowAfter(10_000)
		p.await(t, round+1, round)
		before, err := s.alerts()
		if err != nil {
			t.Fatal(err)
		}
		s.awaitPending(5)
		for range 2 {
			s.Kill()
			s.start()
			s.awaitAlerts(before)
		}
		s.slowAfter(2000)
		if round%2 == 0 {
			s.Kill() // before or after it was seen
			s.start()
		}
		p.await(t, round+1, round+1)
	}
	lapse(21 * time.Second) // longer than an alert lasts that is not heard of, for what would be told twice
	if firing, over := p.counts(); firing != over || firing != pick(2, 10) {
		t.Errorf("the receiver was told %d times of an alert, %d times of its end", firing, over)
	}
}

// beginning is, at one evaluation, since when an alert is active; both in seconds.
type beginning struct{ at, since float64 }

// beginnings are those of the pending alert, as they were recorded.
func (s *service) beginnings() ([]beginning, error) {
	var answer struct {
		Data struct {
			Result []struct{ Values [][2]any }
		}
	}
	if err := s.ask("/api/v1/query?query="+url.QueryEscape(`ALERTS_FOR_STATE{alertname="Waits"}[1h]`), &answer); err != nil {
		return nil, err
	}
	var all []beginning
	for _, series := range answer.Data.Result {
		for _, v := range series.Values {
			at, _ := v[0].(float64)
			text, _ := v[1].(string)
			since, err := strconv.ParseFloat(text, 64)
			if err != nil {
				return nil, err
			}
			all = append(all, beginning{at, since})
		}
	}
	if len(all) == 0 {
		return nil, errors.New("nothing is recorded")
	}
	return all, nil
}

// awaitPending waits until the pending alert has been so for some seconds, by the record: so that
// the time from before a kill is told from the time since.
func (s *service) awaitPending(seconds float64) {
	s.t.Helper()
	proctest.Eventually(s.t, 3*time.Minute, "pending for a while", func() error {
		all, err := s.beginnings()
		if err != nil {
			return err
		}
		if last := all[len(all)-1]; last.at-last.since < seconds {
			return fmt.Errorf("%+v", last)
		}
		return nil
	})
}

// kept wants the beginning of the pending alert, which was then at first, to have moved by no more
// than the outages, in which nobody looked.
func (s *service) kept(then time.Time) error {
	all, err := s.beginnings()
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(b beginning) bool { return b.since < float64(then.Unix()-1) }) // of the round before
	for i := 1; i < len(all); i++ {
		if moved, gap := all[i].since-all[i-1].since, all[i].at-all[i-1].at; moved > gap+1 {
			return fmt.Errorf("the beginning moved by %v s within %v s", moved, gap)
		}
	}
	return nil
}

// awaitAlerts waits until the alerts are what they were before a kill: the firing one fires since
// the same time, the pending one has kept the time it was pending.
func (s *service) awaitAlerts(before map[string]activeAlert) {
	s.t.Helper()
	proctest.Eventually(s.t, 3*time.Minute, "the alerts of before", func() error {
		now, err := s.alerts()
		if err != nil {
			return err
		}
		fires, waits := now["Fires"], now["Waits"]
		if off := fires.ActiveAt.Sub(before["Fires"].ActiveAt).Abs(); fires.State != "firing" || off > 2*time.Second {
			return fmt.Errorf("fires: %v, was %v", fires, before["Fires"])
		}
		if waits.State != "pending" {
			return fmt.Errorf("waits: %v, was %v", waits, before["Waits"])
		}
		return s.kept(before["Waits"].ActiveAt)
	})
}

// TestMetricStoreDiskFull fills the disk of the metric store alone: events are taken in as if
// nothing were, the failures are counted, and rules are evaluated again when there is room.
func TestMetricStoreDiskFull(t *testing.T) {
	story(t)
	needRoot(t)
	data := filepath.Join(t.TempDir(), "data")
	d := tmpfs(t, filepath.Join(data, "metrics"), "16m")
	s := newService(t, "", dataDir(data), sameAddress(), configured("alerts: {evaluation_interval: 1s, scrape_interval: 1s}\n"))
	fresh := func() error {
		var answer struct {
			Data struct{ Result []json.RawMessage }
		}
		err := s.ask("/api/v1/query?query=time()-timestamp(up)%3C3", &answer)
		if err == nil && len(answer.Data.Result) == 0 {
			err = errors.New("no sample of the last seconds")
		}
		return err
	}
	s.start()
	b := newBook()
	l := startLoad(t, b, steady, s)
	for range pick(2, 5) {
		proctest.Eventually(t, 3*time.Minute, "samples are stored", fresh)
		d.fill()
		proctest.Eventually(t, 3*time.Minute, "failures are counted", func() error {
			if metric(t, s, "tidemark_metric_store_commit_failures_total") == 0 {
				return errors.New("none")
			}
			return nil
		})
		b.awaitYes(t, 5000)
		s.awaitReady(3 * time.Minute)
		s.Kill() // it starts on the full disk as well
		s.start()
		b.awaitYes(t, 2000)
		d.free()
	}
	proctest.Eventually(t, 3*time.Minute, "samples are stored again", fresh)
	l.stop()
	if !strings.Contains(s.Said(), `"level":"ERROR"`) {
		t.Error("the log does not tell")
	}
	verify(t, b, nil, s)
}
