package app

import (
	"bufio"
	"flag"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
)

var update = flag.Bool("update", false, "write the golden files")

// everythingOn is a configuration under which every metric there is appears. Whoever adds a metric
// that some setting brings about sets it here.
func everythingOn(t *testing.T) Config {
	t.Helper()
	c := testConfig(t.TempDir())
	c.Notifications.Receivers = []Receiver{{Name: "pager", Type: "webhook", URL: "https://pager.invalid/"}}
	return c
}

// measured is a service that has been used, and what it exports then.
func measured(t *testing.T) (*App, []*dto.MetricFamily) {
	t.Helper()
	a := start(t, everythingOn(t), Options{})
	call(t, a, "POST", "/api/analytics/track", `{"event": "signup"}`)
	call(t, a, "POST", "/api/analytics/flush", "")
	call(t, a, "POST", "/api/analytics/destinations", `{"name": "crm", "kind": "webhook", "url": "https://crm.invalid/"}`)
	call(t, a, "GET", "/nowhere", "")
	call(t, a, "POST", "/api/analytics/config", `{"enabled": false}`)
	call(t, a, "POST", "/api/analytics/track", `{"event": "refused"}`) // a failed request
	call(t, a, "POST", "/api/analytics/config", `{"enabled": true}`)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(2 * time.Minute); ; {
		all := gather(t, a)
		missing := slices.IndexFunc(late, func(name string) bool { return find(all, name) == nil })
		if missing < 0 {
			return a, all
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is not measured", late[missing])
		}
		<-tick.C
	}
}

// late are the last metrics to come: after the second reading of the CPU, with the rules, and with
// the destination.
var late = []string{"system_cpu_utilization_ratio", "prometheus_rule_evaluations_total", "tidemark_destination_lag_events"}

func gather(t *testing.T, a *App) []*dto.MetricFamily {
	t.Helper()
	all, err := a.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func find(all []*dto.MetricFamily, name string) *dto.MetricFamily {
	for _, f := range all {
		if f.GetName() == name {
			return f
		}
	}
	return nil
}

// value of the one series of a gauge or counter that has the label; 0 when there is none.
func value(t *testing.T, a *App, name, label string) float64 {
	t.Helper()
	for _, m := range find(gather(t, a), name).GetMetric() {
		for _, l := range m.GetLabel() {
			if l.GetName()+"="+l.GetValue() == label {
				return m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
	}
	return 0
}

// TestMetricsFollowTheConventions is what promtool check metrics checks.
func TestMetricsFollowTheConventions(t *testing.T) {
	a, all := measured(t)
	// Of the text: what was gathered shares its labels with scrapes that are under way, and the
	// linter compares all that is in them.
	problems, err := promlint.New(strings.NewReader(scrapeText(t, a))).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	for _, f := range all {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if strings.HasPrefix(l.GetName(), "otel_") {
					t.Errorf("%s has the label %s", f.GetName(), l.GetName())
				}
			}
		}
	}
}

func TestAChangedThresholdIsInTheNextScrape(t *testing.T) {
	a := start(t, testConfig(t.TempDir()), Options{})
	for name, want := range map[string]float64{
		"slow_request_ms": 2, "high_memory_percent": 0.85, "high_cpu_percent": 0.9, "high_disk_percent": 0.9,
	} {
		if got := value(t, a, "tidemark_threshold", "name="+name); got != want {
			t.Errorf("%s is %v", name, got)
		}
	}
	if status, answer := call(t, a, "POST", "/api/analytics/config", `{"thresholds": {"slow_request_ms": 250, "high_cpu_percent": 12.5}}`); status != 200 {
		t.Fatalf("config: %d %v", status, answer)
	}
	body := scrapeText(t, a)
	for _, line := range []string{
		`tidemark_threshold{name="slow_request_ms"} 0.25`,
		`tidemark_threshold{name="high_cpu_percent"} 0.125`,
		`tidemark_threshold{name="high_disk_percent"} 0.9`,
	} {
		if !strings.Contains(body, line+"\n") {
			t.Errorf("the scrape has no %s", line)
		}
	}
}

func scrapeText(t *testing.T, a *App) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+a.Addr().String()+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var b strings.Builder
	if _, err := bufio.NewReader(res.Body).WriteTo(&b); err != nil || res.StatusCode != 200 {
		t.Fatalf("scrape: %d, %v", res.StatusCode, err)
	}
	return b.String()
}

// TestABrokenReloadIsExported follows tidemark_config_last_reload_successful.
func TestABrokenReloadIsExported(t *testing.T) {
	cfg := testConfig(t.TempDir())
	next := cfg
	a := start(t, cfg, Options{Config: func() (Config, error) { return next, next.Check() }})
	is := func(want string) {
		t.Helper()
		if !strings.Contains(scrapeText(t, a), "tidemark_config_last_reload_successful "+want+"\n") {
			t.Errorf("the last reload is not %s", want)
		}
	}
	is("1")
	next.Limits.Tags = 0
	if a.Reload(t.Context()) == nil {
		t.Fatal("a broken configuration was taken")
	}
	is("0")
	next = cfg
	if err := a.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	is("1")
}

// TestRoutesReachTheMetrics asks the real service and looks for the routes as documented.
func TestRoutesReachTheMetrics(t *testing.T) {
	a := start(t, testConfig(t.TempDir()), Options{})
	call(t, a, "GET", "/api/analytics/events/some-id", "")
	call(t, a, "GET", "/api/analytics/performance/operation/GET%20x", "")
	call(t, a, "GET", "/nowhere", "")
	body := scrapeText(t, a)
	for _, line := range []string{
		`http_server_request_duration_seconds_count{http_request_method="GET",http_response_status_code="404",http_route="/api/analytics/events/{event_id}"} 1`,
		`http_server_request_duration_seconds_count{http_request_method="GET",http_response_status_code="404",http_route="/api/analytics/performance/operation/{operation_name}"} 1`,
		`http_server_request_duration_seconds_count{http_request_method="GET",http_response_status_code="404"} 1`,
		`http_server_request_duration_seconds_count{error_type="503",http_request_method="POST",http_response_status_code="503",http_route="/api/analytics/track"} 0`,
		`tidemark_operation_duration_seconds_count{operation="GET /api/analytics/events/{event_id}"} 1`,
		`tidemark_operation_duration_seconds_count{operation="GET unmatched"} 1`,
	} {
		if !strings.Contains(body, line+"\n") {
			t.Errorf("the scrape has no %s", line)
		}
	}
}
