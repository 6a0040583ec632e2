package embedded_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"testing"
	"time"

	"go.opentelemetry.io/otel"

	"github.com/tidemark-obs/tidemark/client"
	"github.com/tidemark-obs/tidemark/embedded"
)

// await polls until a condition holds.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.NewTimer(2 * time.Minute)
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("not in time: %s", what)
		}
	}
}

// TestAlertsFireInsideAHost has a rule about events that a client in the host tracks.
func TestAlertsFireInsideAHost(t *testing.T) {
	dir := t.TempDir()
	rules, file := filepath.Join(dir, "own.rules.yaml"), filepath.Join(dir, "tidemark.yaml")
	for path, text := range map[string]string{
		rules: "groups:\n- name: own\n  rules:\n  - alert: Stored\n    expr: tidemark_events_stored_total{instance=\"shop-1\"} >= 2\n",
		file:  fmt.Sprintf("alerts:\n  rules: [%q]\n  scrape_interval: 1s\n  evaluation_interval: 1s\n", rules),
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := start(t, embedded.Config{ConfigFile: file, DataDir: filepath.Join(dir, "data"), Trusted: true, Instance: "shop-1"})
	firing := func() bool {
		_, answer := request(t, s.Handler(), "GET", "/api/v1/alerts", "", "")
		all, _ := answer["data"].(map[string]any)["alerts"].([]any)
		return slices.ContainsFunc(all, func(a any) bool { return a.(map[string]any)["state"] == "firing" })
	}
	c, err := client.New(client.Config{URL: "http://tidemark", HTTPClient: &http.Client{Transport: s.Transport()}, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	c.Track(t.Context(), "one", nil)
	c.Track(t.Context(), "two", nil)
	if err := c.Close(t.Context()); err != nil || c.Stats().Sent != 2 {
		t.Fatalf("%v, %+v", err, c.Stats())
	}
	await(t, "the alert fires", firing)
}

// TestNothingOfTheHostIsTouched compares what a process has once, and outlives the context of the start.
func TestNothingOfTheHostIsTouched(t *testing.T) {
	type global struct{ meters, tracers, propagator, logger, memory any }
	read := func() global {
		return global{otel.GetMeterProvider(), otel.GetTracerProvider(), otel.GetTextMapPropagator(), slog.Default(), debug.SetMemoryLimit(-1)}
	}
	before := read()
	dir := t.TempDir()
	for life := range 2 {
		ctx, cancel := context.WithCancel(t.Context())
		s, err := embedded.Start(ctx, embedded.Config{DataDir: dir, Trusted: true, Logger: quiet})
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		if after := read(); after != before {
			t.Errorf("%v became %v", before, after)
		}
		status, _ := request(t, s.Handler(), "POST", "/api/analytics/track", "", `{"event": "signup"}`)
		if err := s.Stop(t.Context()); err != nil || status != 200 {
			t.Errorf("life %d: an event is answered with %d, the end with %v", life, status, err)
		}
		if err := s.Stop(t.Context()); err != nil {
			t.Errorf("stopped again: %v", err)
		}
		if _, err := (&http.Client{Transport: s.Transport()}).Get("http://tidemark/-/healthy"); err == nil {
			t.Error("a stopped service answers")
		}
		if status, _ := request(t, s.Handler(), "POST", "/api/analytics/track", "", `{"event": "late"}`); status != 503 {
			t.Errorf("after the end an event is answered with %d", status)
		}
	}
}
