package app

import (
	"testing"
	"time"
)

func TestDurationsWithDays(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"90d": 90 * 24 * time.Hour, "1d12h": 36 * time.Hour, "0d": 0, "30s": 30 * time.Second, "-1h": -time.Hour,
	} {
		if got, err := parseDuration(text); err != nil || got != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "d", "-1d", "1.5d", "1dd", "70000d", "1d1", "1w"} {
		if got, err := parseDuration(text); err == nil {
			t.Errorf("%q became %v", text, got)
		}
	}
}
