package app

import (
	"net/url"
	"strings"
	"testing"
	"time"
)

// TestTheTwelveEndpointsAreTimed asks each of them once and looks for its percentiles, in the answers
// and in the metrics.
func TestTheTwelveEndpointsAreTimed(t *testing.T) {
	a := start(t, testConfig(t.TempDir()), Options{})
	const base = "/api/analytics"
	operations := []struct{ operation, path, body string }{
		{"DELETE " + base + "/performance/clear", "", ""}, // first: it forgets what came before
		{"POST " + base + "/track", "", `{"event": "signup"}`},
		{"POST " + base + "/batch-track", "", `[{"event": "signup"}]`},
		{"POST " + base + "/flush", "", ""},
		{"GET " + base + "/stats", "", ""},
		{"GET " + base + "/performance", "", ""},
		{"GET " + base + "/performance/operation/{operation_name}", base + "/performance/operation/" + url.PathEscape("GET "+base+"/stats"), ""},
		{"GET " + base + "/health", "", ""},
		{"POST " + base + "/config", "", `{"debug_mode": false}`},
		{"GET " + base + "/events/recent", "", ""},
		{"POST " + base + "/user/page-view", "", `{"path": "/pricing"}`},
		{"POST " + base + "/user/interaction", "", `{"interaction_type": "click", "element": "buy"}`},
	}
	for _, o := range operations {
		method, path, _ := strings.Cut(o.operation, " ")
		if o.path != "" {
			path = o.path
		}
		if status, answer := call(t, a, method, path, o.body); status != 200 {
			t.Errorf("%s: %d %v", o.operation, status, answer)
		}
	}
	_, answer := call(t, a, "GET", base+"/performance", "")
	all, _ := answer["operation_stats"].(map[string]any)
	text := scrapeText(t, a)
	for _, o := range operations {
		stats, _ := all[o.operation].(map[string]any)
		for _, key := range []string{"count", "avg_ms", "min_ms", "max_ms", "p50_ms", "p90_ms", "p95_ms", "p99_ms"} {
			if v, _ := stats[key].(float64); v <= 0 {
				t.Errorf("%s: %s is %v", o.operation, key, stats[key])
			}
		}
		if !strings.Contains(text, `tidemark_operation_duration_seconds_count{operation="`+o.operation+`"} `) {
			t.Errorf("no metric of %s", o.operation)
		}
	}
}

// TestTheSlowThresholdAppliesAtOnce changes it while requests come.
func TestTheSlowThresholdAppliesAtOnce(t *testing.T) {
	log := new(logBuffer)
	a := start(t, testConfig(t.TempDir()), Options{Log: log})
	slow := func() int {
		n := 0
		for line := range strings.Lines(log.String()) {
			if strings.Contains(line, "slow request") && strings.Contains(line, "GET /api/analytics/events/recent") {
				n++
			}
		}
		return n
	}
	set := func(threshold string) {
		t.Helper()
		if status, answer := call(t, a, "POST", "/api/analytics/config", `{"thresholds": {"slow_request_ms": `+threshold+`}}`); status != 200 {
			t.Fatalf("config: %d %v", status, answer)
		}
	}
	ask := func() { call(t, a, "GET", "/api/analytics/events/recent", "") }
	set("3600000")
	ask()
	set("0.001")
	ask()
	tick := time.NewTicker(5 * time.Millisecond) // the line is written after the answer
	defer tick.Stop()
	for deadline := time.Now().Add(2 * time.Minute); slow() == 0 && time.Now().Before(deadline); {
		<-tick.C
	}
	set("3600000")
	ask()
	if n := slow(); n != 1 {
		t.Errorf("%d lines of slow requests, want 1:\n%s", n, log)
	}
}

// TestHealthAndMetricsSayTheSame compares the two views of one reading of the machine.
func TestHealthAndMetricsSayTheSame(t *testing.T) {
	a, _ := measured(t)
	for range 5 { // the next reading may come in between
		_, answer := call(t, a, "GET", "/api/analytics/health", "")
		health, _ := answer["system_health"].(map[string]any)
		seen, _ := health["metrics"].(map[string]any)
		ratio := find(gather(t, a), "system_memory_utilization_ratio").GetMetric()[0].GetGauge().GetValue()
		disk := find(gather(t, a), "system_filesystem_utilization_ratio").GetMetric()[0].GetGauge().GetValue()
		if near(seen["memory_percent"], ratio) && near(seen["disk_usage_percent"], disk) {
			return
		}
		t.Logf("health says %v, the metrics %v and %v", seen, ratio, disk)
	}
	t.Error("health and metrics never agreed")
}

func near(percent any, ratio float64) bool {
	p, ok := percent.(float64)
	return ok && p > ratio*100-0.001 && p < ratio*100+0.001
}
