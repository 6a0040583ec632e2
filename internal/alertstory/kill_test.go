//go:build linux

package alertstory

import (
	"fmt"
	"testing"
)

// TestKilledWhilePendingAndFiring kills the program with SIGKILL while one alert fires and another
// waits: the waiting one keeps the time it has waited, nobody is told twice of the firing one, and
// both are resolved.
func TestKilledWhilePendingAndFiring(t *testing.T) {
	story(t)
	const fires, waits = "TidemarkHighMemory", "TidemarkHighDisk"
	hook, manager := newHook(t), alertmanager(t)
	s := serve(t, fmt.Sprintf(hasty, impatient(t, waits, "30s"), manager, hook.url))
	j := judge{"the service", s.url("")}

	configure(t, s, "high_memory_percent", "0.01")
	eventually(t, "the webhook is told of "+fires, func() error { return told(hook, "firing", fires) })
	configure(t, s, "high_disk_percent", "0.001")
	inBook(t, s, fires)
	eventually(t, waits+" has waited for some seconds, by the record", func() error {
		record, err := j.record(t, fmt.Sprintf(`ALERTS_FOR_STATE{alertname=%q}[1h]`, waits))
		if err != nil {
			return err
		}
		if last := record[len(record)-1]; last.time-last.value < longEnough {
			return fmt.Errorf("it waits since %v at %v", last.value, last.time)
		}
		return nil
	})
	s.Kill()
	s.start(t)
	j.await(t, waits, "firing")
	if err := kept(t, j, waits); err != nil {
		t.Error(err)
	}
	eventually(t, "the webhook is told of "+waits, func() error { return told(hook, "firing", waits) })

	inBook(t, s, waits)
	s.Kill()
	s.start(t)
	j.await(t, fires, "firing")
	j.await(t, waits, "firing")
	configure(t, s, "high_memory_percent", "100")
	configure(t, s, "high_disk_percent", "100")
	for _, alert := range []string{fires, waits} {
		eventually(t, "the webhook is told that "+alert+" is over", func() error { return told(hook, "resolved", alert) })
		for _, status := range []string{"firing", "resolved"} {
			if n := hook.told(status, alert); n != 1 {
				t.Errorf("the webhook was told %d times of %s %s; it heard %s", n, status, alert, hook.heard())
			}
		}
		eventually(t, "Alertmanager holds "+alert+" no longer", func() error {
			if ok, err := held(t, manager, alert); err != nil || ok {
				return fmt.Errorf("held: %v, %w", ok, err)
			}
			return nil
		})
	}
}

// longEnough is how many seconds the waiting alert has waited at least before the crash.
const longEnough = 5

// kept tells whether the alert kept the time it had waited, by the record of the moment at which
// it began. As in Prometheus that moment moves by the outage, in which nobody looked, and by no
// more; a new beginning would be later by what was waited before. Moments are kept in seconds.
func kept(t *testing.T, j judge, alert string) error {
	record, err := j.record(t, fmt.Sprintf(`ALERTS_FOR_STATE{alertname=%q}[1h]`, alert))
	if err != nil {
		return err
	}
	first, last := record[0], record[len(record)-1]
	var down, up float64 // the last time with the first beginning, the first time with the last
	for _, at := range record {
		if at.value == first.value {
			down = at.time
		}
		if at.value == last.value && up == 0 {
			up = at.time
		}
	}
	if waited := down - first.value; waited < longEnough {
		return fmt.Errorf("%s had waited %v s when the program was killed", alert, waited)
	}
	if moved, outage := last.value-first.value, up-down; moved > outage+1 {
		return fmt.Errorf("the beginning of %s moved by %v s in an outage of %v s", alert, moved, outage)
	}
	return nil
}

// inBook waits until the service has written down that it told the webhook. Between the telling
// and the writing a crash must repeat rather than forget.
func inBook(t *testing.T, s *service, alert string) {
	t.Helper()
	eventually(t, "what was told of "+alert+" is written down", func() error {
		var answer struct {
			History []struct{ AlertName, Receiver, Detail string }
		}
		if err := fetchJSON(t, s.url("/api/analytics/alerts?event=notified&alertname="+alert), &answer); err != nil {
			return err
		}
		for _, h := range answer.History {
			if h.AlertName == alert && h.Receiver == "hook" {
				return nil
			}
		}
		return fmt.Errorf("not yet: %+v", answer.History)
	})
}
