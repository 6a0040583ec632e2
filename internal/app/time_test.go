package app

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/pgtest"
)

// scraped is the value of a series at /metrics.
func scraped(t *testing.T, a *App, series string) string {
	t.Helper()
	res, err := http.Get("http://" + a.Addr().String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, series+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// TestStrangeTimes sends events of five days ago and of tomorrow, and one of a clock that is a
// little ahead, with and without refusing.
func TestStrangeTimes(t *testing.T) {
	for _, database := range databases() {
		for _, policy := range []string{clamp, refuse} {
			t.Run(database+", "+policy, func(t *testing.T) {
				cfg := testConfig(t.TempDir())
				cfg.Limits.Future = policy
				if database == "postgres" {
					cfg.Database.URL = pgtest.URL(t)
				}
				a := start(t, cfg, Options{})
				now := time.Now().UTC().Truncate(time.Second)
				late, little, tomorrow := now.Add(-5*24*time.Hour), now.Add(time.Minute), now.Add(24*time.Hour)
				status := map[string]int{}
				for id, at := range map[string]time.Time{"late": late, "little": little, "tomorrow": tomorrow} {
					status[id], _ = call(t, a, "POST", "/api/analytics/track", fmt.Sprintf(`{"event": "e", "event_id": %q, "timestamp": %q}`, id, at.Format(time.RFC3339)))
				}
				call(t, a, "POST", "/api/analytics/flush", "")
				for id, want := range map[string]time.Time{"late": late, "little": little} {
					_, e := call(t, a, "GET", "/api/analytics/events/"+id, "")
					if got, err := time.Parse(time.RFC3339, fmt.Sprint(e["timestamp"])); err != nil || !got.Equal(want) || status[id] != 200 {
						t.Errorf("%s: %d, stored at %v, want %v", id, status[id], e["timestamp"], want)
					}
				}
				_, day := call(t, a, "GET", "/api/analytics/events/stats?start_date="+late.Format(time.RFC3339)+"&end_date="+late.Add(time.Second).Format(time.RFC3339), "")
				if day["total_events"] != 1.0 {
					t.Errorf("five days ago: %v", day)
				}
				clamped, rejected := scraped(t, a, "tidemark_events_clamped_total"), scraped(t, a, `tidemark_events_rejected_total{reason="future"}`)
				_, receipt := call(t, a, "GET", "/api/analytics/receipts/tomorrow", "")
				if policy == refuse {
					if status["tomorrow"] != 422 || clamped != "0" || rejected != "1" || receipt["status"] != "rejected" || receipt["reason"] != "future" {
						t.Errorf("tomorrow: %d, %s clamped, %s rejected, receipt %v", status["tomorrow"], clamped, rejected, receipt)
					}
					return
				}
				_, e := call(t, a, "GET", "/api/analytics/events/tomorrow", "")
				got, err := time.Parse(time.RFC3339, fmt.Sprint(e["timestamp"]))
				if err != nil || status["tomorrow"] != 200 || got.Before(now) || got.After(time.Now()) || clamped != "1" || rejected != "0" {
					t.Errorf("tomorrow: %d, stored at %v, %s clamped, %s rejected", status["tomorrow"], e["timestamp"], clamped, rejected)
				}
			})
		}
	}
}
