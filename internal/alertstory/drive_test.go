//go:build linux

package alertstory

import (
	"context"
	"fmt"
	"strings"
	"testing"
)

// The service's own configuration: everything at a pace that a test can wait for, but for scrapes,
// whose interval is also their limit: a busy machine must not make one fail. The thresholds are
// out of reach until the story moves them.
const hasty = `
tracking: {thresholds: {slow_request_ms: 100000, high_memory_percent: 100, high_cpu_percent: 100, high_disk_percent: 100}}
alerts:
  rules: [%q]
  evaluation_interval: 1s
  scrape_interval: 5s
  for_grace_period: 1s
notifications:
  group_wait: 1s
  group_interval: 1s
  receivers:
    - {name: alertmanager, type: alertmanager, url: %q}
    - {name: hook, type: webhook, url: %q, allow_private_addresses: true}
`

// TestEachThresholdFromOverToOver drives each measurement over what is configured and back: the
// alert is pending, fires, reaches a real Alertmanager and a webhook once, is over and says so.
// A real Prometheus with the same file comes to the same verdict each time.
func TestEachThresholdFromOverToOver(t *testing.T) {
	story(t)
	file, manager, hook := impatient(t, "", ""), alertmanager(t), newHook(t)
	s := serve(t, fmt.Sprintf(hasty, file, manager, hook.url))
	judges := []judge{{"the service", s.url("")}, prometheus(t, s, file)}
	stop := traffic(t, s)
	defer stop()

	for _, c := range []struct{ alert, threshold, below, above string }{
		// Any machine that runs this uses more than these.
		{"TidemarkHighCPU", "high_cpu_percent", "0.01", "100"},
		{"TidemarkHighMemory", "high_memory_percent", "0.01", "100"},
		{"TidemarkHighDisk", "high_disk_percent", "0.001", "100"},
		{"TidemarkSlowRequests", "slow_request_ms", "0.001", "100000"},
	} {
		for _, j := range judges {
			j.begun(t, c.alert)
			j.await(t, c.alert, "")
		}
		configure(t, s, c.threshold, c.below)
		for _, j := range judges {
			j.await(t, c.alert, "firing")
			if err := j.waited(t, c.alert); err != nil {
				t.Error(err)
			}
		}
		eventually(t, "Alertmanager holds "+c.alert, func() error {
			if ok, err := held(t, manager, c.alert); err != nil || !ok {
				return fmt.Errorf("held: %v, %w", ok, err)
			}
			return nil
		})
		eventually(t, "the webhook is told of "+c.alert, func() error { return told(hook, "firing", c.alert) })

		configure(t, s, c.threshold, c.above)
		for _, j := range judges {
			j.await(t, c.alert, "")
		}
		eventually(t, "Alertmanager holds "+c.alert+" no longer", func() error {
			if ok, err := held(t, manager, c.alert); err != nil || ok {
				return fmt.Errorf("held: %v, %w", ok, err)
			}
			return nil
		})
		eventually(t, "the webhook is told that "+c.alert+" is over", func() error { return told(hook, "resolved", c.alert) })
	}
	for _, alert := range []string{"TidemarkHighCPU", "TidemarkHighMemory", "TidemarkHighDisk"} { // one series each
		for _, status := range []string{"firing", "resolved"} {
			if n := hook.told(status, alert); n != 1 {
				t.Errorf("the webhook was told %d times of %s %s; it heard %s", n, status, alert, hook.heard())
			}
		}
	}
}

// told wants the hook to have been told.
func told(h *hook, status, alert string) error {
	if n := h.told(status, alert); n == 0 {
		return fmt.Errorf("not yet; it heard %s", h.heard())
	}
	return nil
}

// configure moves one threshold, as an operator would.
func configure(t *testing.T, s *service, threshold, to string) {
	t.Helper()
	body := fmt.Sprintf(`{"thresholds": {%q: %s}}`, threshold, to)
	if _, err := call(t, "POST", s.url("/api/analytics/config"), body); err != nil {
		t.Fatal(err)
	}
}

// traffic sends events until it is stopped, so that there are requests to time.
func traffic(t *testing.T, s *service) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			if _, err := call(t, "POST", s.url("/api/analytics/track"), `{"event": "driven"}`); err != nil && !strings.Contains(err.Error(), "context canceled") {
				t.Errorf("an event was not taken: %v", err)
				return
			}
		}
	}()
	return func() { cancel(); <-done }
}
