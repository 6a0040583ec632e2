package app

import (
	"fmt"
	"net/url"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/tooltest"
)

const salesRules = `groups:
  - name: sales
    rules:
      - {record: "plan:purchases:increase", expr: 'sum by (plan) (increase(tidemark_event_purchase_total[1m]))'}
      - {alert: ProSellsWell, expr: 'tidemark_event_purchase_total{plan="pro"} > 2', labels: {severity: info}}
      - {alert: FreeSells, expr: 'tidemark_event_purchase_total{plan="free"} > 0', labels: {severity: info}}
`

// selling counts purchases by plan, in a service that watches them.
func selling(t *testing.T) Config {
	t.Helper()
	cfg, _ := watched(t, salesRules)
	cfg.Statistics = Statistics{
		Dimensions: []Dimension{{Property: "plan", Known: []string{"free", "pro"}}},
		Numbers:    []Number{{Property: "amount"}},
		Metrics: []Metric{
			{Event: "purchase", Labels: []string{"plan"}},
			{Event: "purchase", Histogram: "amount", Unit: "euros", Buckets: []float64{10, 100}, Labels: []string{"plan"}},
		},
	}
	return cfg
}

func sell(t *testing.T, a *App, plan string, from, n int) {
	t.Helper()
	for i := range n {
		status, answer := call(t, a, "POST", "/api/analytics/events/",
			fmt.Sprintf(`{"event_id":"%s%d","event_name":"purchase","properties":{"plan":"%s","amount":%d.5}}`, plan, from+i, plan, from+i))
		if status != 201 && status != 200 { // 200: it was there
			t.Fatalf("%d %v", status, answer)
		}
	}
}

// TestStoredEventsAreMetrics goes from the configuration to an alert, and over a restart.
func TestStoredEventsAreMetrics(t *testing.T) {
	cfg := selling(t)
	a := start(t, cfg, Options{})
	// Known series are there before their first event, so that increase sees it.
	await(t, a, url.QueryEscape(`tidemark_event_purchase_total{plan="pro"}==0`))
	sell(t, a, "pro", 0, 3)
	sell(t, a, "pro", 0, 2) // again
	if got := await(t, a, url.QueryEscape(`ALERTS{alertname="ProSellsWell",alertstate="firing"}`)); !strings.Contains(got, `"plan":"pro"`) {
		t.Errorf("the alert is %s", got)
	}
	await(t, a, url.QueryEscape(`plan:purchases:increase{plan="pro"}>0`))

	want := []string{
		`tidemark_event_purchase_total{plan="free"} 0`,
		`tidemark_event_purchase_total{plan="pro"} 3`,
		`tidemark_event_purchase_amount_euros_bucket{plan="pro",le="10"} 3`,
		`tidemark_event_purchase_amount_euros_sum{plan="pro"} 4.5`,
		`tidemark_event_purchase_amount_euros_count{plan="free"} 0`,
	}
	check := func(a *App) {
		t.Helper()
		text := scrapeText(t, a)
		for _, line := range want {
			if !strings.Contains(text, "\n"+line+"\n") {
				t.Errorf("no line %s among\n%s", line, strings.Join(regexp.MustCompile(`(?m)^tidemark_event_.*$`).FindAllString(text, -1), "\n"))
			}
		}
	}
	check(a)
	stop(t, a)
	a = start(t, cfg, Options{})
	for deadline := time.Now().Add(2 * time.Minute); !strings.Contains(scrapeText(t, a), "tidemark_event_") && time.Now().Before(deadline); {
	}
	check(a)
	promtool := exec.CommandContext(t.Context(), tooltest.Find(t, "promtool"), "check", "metrics")
	promtool.Stdin = strings.NewReader(scrapeText(t, a))
	if out, err := promtool.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
	if _, answer := call(t, a, "GET", "/api/v1/query?query="+url.QueryEscape(`ALERTS{alertname="FreeSells"}`), ""); strings.Contains(fmt.Sprint(answer), "FreeSells") {
		t.Errorf("an alert about nothing: %v", answer)
	}
}

// TestDeclaredNamesClashWithNoOthers has every metric of the service be refused as a name.
func TestDeclaredNamesClashWithNoOthers(t *testing.T) {
	_, all := measured(t)
	for _, f := range all {
		s := Statistics{Metrics: []Metric{{Event: "x", Name: strings.TrimSuffix(f.GetName(), "_total") + "_total"}}}
		if _, err := s.declared(); err == nil {
			t.Errorf("%s may be declared", f.GetName())
		}
	}
}
