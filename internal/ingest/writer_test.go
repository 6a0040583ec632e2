package ingest

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// TestAnOutageIsToldOnceAMinute fails every five seconds for two minutes and a half.
func TestAnOutageIsToldOnceAMinute(t *testing.T) {
	var log bytes.Buffer
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	w := newWriter(Config{Logger: slog.New(slog.NewTextHandler(&log, nil)), Now: func() time.Time { return now }})
	for range 30 {
		w.fail(errAway)
		now = now.Add(5 * time.Second)
	}
	if n := strings.Count(log.String(), "events wait"); n != 3 {
		t.Errorf("told %d times, want 3:\n%s", n, &log)
	}
	w.recovered()
	w.recovered()
	if n := strings.Count(log.String(), "events are stored again"); n != 1 {
		t.Errorf("the end was told %d times:\n%s", n, &log)
	}
	w.fail(errAway)
	if n := strings.Count(log.String(), "events wait"); n != 4 {
		t.Errorf("the next outage is not told at once:\n%s", &log)
	}
}
