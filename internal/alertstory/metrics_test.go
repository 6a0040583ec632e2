//go:build linux

package alertstory

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
)

// sales counts purchases by plan. Nobody is told of anything.
const sales = `
alerts: {enabled: false}
statistics:
  dimensions: [{property: plan, known: [pro]}]
  metrics: [{event: purchase, labels: [plan]}]
`

// TestMetricsOfEventsOverKills kills the program with SIGKILL while events come in, some twice: no
// counter is ever lower than before, and in the end each is what is stored.
func TestMetricsOfEventsOverKills(t *testing.T) {
	story(t)
	s := serve(t, sales)
	lowest := map[string]float64{}
	look := func() error {
		now, err := purchases(t, s)
		if err != nil {
			return err
		}
		for plan, was := range lowest {
			if now[plan] < was {
				t.Fatalf("the counter of plan %q fell from %v to %v", plan, was, now[plan])
			}
		}
		lowest = now
		return nil
	}
	sent := 0
	for life := range 4 {
		eventually(t, "the totals are known", look)
		var stop atomic.Bool
		done := make(chan int)
		go func() { // until the program is killed
			n := sent
			for ; !stop.Load(); n++ {
				if _, err := call(t, "POST", s.url("/api/analytics/batch-track"), twenty(life, n)); err != nil {
					break
				}
			}
			done <- n
		}()
		began := lowest["pro"]
		for range 20 {
			if err := look(); err != nil {
				t.Fatal(err)
			}
		}
		eventually(t, "some of this life's events are counted", func() error {
			if err := look(); err != nil || lowest["pro"] > began {
				return err
			}
			return fmt.Errorf("still %v", began)
		})
		s.Kill()
		stop.Store(true)
		sent = <-done
		s.start(t)
	}
	eventually(t, "all events are stored", func() error { _, err := call(t, "POST", s.url("/api/analytics/flush"), ""); return err })
	eventually(t, "the totals are known", look)
	if stored := storedPurchases(t, s); fmt.Sprint(stored) != fmt.Sprint(lowest) || stored["pro"] == 0 {
		t.Errorf("counted %v, stored %v", lowest, stored)
	}
}

// storedPurchases are the stored events by plan.
func storedPurchases(t *testing.T, s *service) map[string]float64 {
	t.Helper()
	var answer struct {
		Rows []struct {
			Value  string
			Metric float64
		}
	}
	if err := fetchJSON(t, s.url("/api/analytics/events/breakdown?by=properties.plan"), &answer); err != nil {
		t.Fatal(err)
	}
	stored := map[string]float64{}
	for _, r := range answer.Rows {
		stored[r.Value] = r.Metric
	}
	return stored
}

// twenty are purchases, every second one with an id that came before.
func twenty(life, n int) string {
	var list []map[string]any
	for i := range 20 {
		id := n*20 + i
		if i%2 == 1 {
			id = (id * 7) % (n*20 + 20)
		}
		list = append(list, map[string]any{"event": "purchase", "event_id": strconv.Itoa(id),
			"properties": map[string]any{"plan": []string{"pro", "free", "team " + strconv.Itoa(life)}[id%3]}})
	}
	b, _ := json.Marshal(list)
	return string(b)
}

// purchases are the counters by plan; an error when there are none.
func purchases(t *testing.T, s *service) (map[string]float64, error) {
	page, err := fetch(t, s.url("/metrics"))
	if err != nil {
		return nil, err
	}
	counts := map[string]float64{}
	for line := range bytes.Lines(page) {
		rest, ok := strings.CutPrefix(string(line), `tidemark_event_purchase_total{plan="`)
		if !ok {
			continue
		}
		plan, value, _ := strings.Cut(rest, `"} `)
		if counts[plan], err = strconv.ParseFloat(strings.TrimSpace(value), 64); err != nil {
			return nil, err
		}
	}
	if len(counts) == 0 {
		return nil, fmt.Errorf("no totals")
	}
	return counts, nil
}
