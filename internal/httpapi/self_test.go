package httpapi

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/ingest"
)

func TestOwnRequestsBecomeEvents(t *testing.T) {
	w := newWorld(t, func(d *Deps) { d.SelfRates = func() SelfRates { return SelfRates{Reads: 1, Writes: 1, Errors: 1} } })
	w.get(t, "/api/analytics/stats", "User-Agent", "probe/1").want(200)
	w.get(t, "/api/analytics/events/a-secret-id").want(404)
	w.post(t, "/api/analytics/config", `{}`).want(200)
	w.storeErr = errs.New(errs.Unavailable, "away")
	w.get(t, "/api/analytics/events", "User-Agent", strings.Repeat("é", 2000)).want(503)
	for _, path := range eventDoors { // never recorded, whatever they answer
		w.post(t, path, `{}`)
	}
	w.get(t, "/nowhere").want(404)
	must(t, w.api.Close(t.Context()))

	if len(w.selfs) != 4 {
		t.Fatalf("%d events: %+v", len(w.selfs), w.selfs)
	}
	for i, want := range []struct {
		name     string
		kind     event.Type
		severity event.Severity
	}{
		{"GET /api/analytics/stats", event.APIRequest, event.Low},
		{"GET /api/analytics/events/{event_id}", event.APIRequest, event.Low},
		{"POST /api/analytics/config", event.APIRequest, event.Low},
		{"GET /api/analytics/events", event.APIError, event.High},
	} {
		e := w.selfs[i]
		if e.Name != want.name || e.Type != want.kind || e.Severity != want.severity || e.Source != "tidemark" || e.SampleRate != 1 {
			t.Errorf("event %d is %+v", i, e)
		}
		if strings.Contains(string(e.Properties), "secret") {
			t.Errorf("properties %s", e.Properties)
		}
		if problems, _ := e.Validate(event.DefaultLimits(), time.Now()); len(problems) > 0 {
			t.Errorf("event %d breaks rules: %v", i, problems)
		}
	}
	if w.selfs[0].UserAgent != "probe/1" {
		t.Errorf("user agent %q", w.selfs[0].UserAgent)
	}
}

func TestOwnRequestsAreSampled(t *testing.T) {
	rates := SelfRates{}
	w := newWorld(t, func(d *Deps) { d.SelfRates = func() SelfRates { return rates } })
	w.get(t, "/api/analytics/stats").want(200)
	rates = SelfRates{Reads: 0.5}
	for range 400 {
		w.get(t, "/api/analytics/stats").want(200)
	}
	must(t, w.api.Close(t.Context()))
	if n := len(w.selfs) + int(w.api.RecordingsDropped()); n < 120 || n > 280 {
		t.Errorf("%d of 400 recorded at one half", n)
	}
	for _, e := range w.selfs {
		if e.SampleRate != 0.5 {
			t.Errorf("sample_rate %v", e.SampleRate)
		}
	}
}

// TestRecorderDropsWhatItCannotHold holds the intake while requests come.
func TestRecorderDropsWhatItCannotHold(t *testing.T) {
	held := heldIntake{memory: newMemory(), gate: make(chan struct{}), entered: make(chan struct{}, 1)}
	w := newWorld(t, func(d *Deps) {
		d.Intake = held
		d.SelfRates = func() SelfRates { return SelfRates{Reads: 1} }
	})
	w.get(t, "/-/healthy").want(200)
	<-held.entered
	rw := &response{route: &route{method: "GET", path: "/x"}, status: 200, start: time.Now()}
	r := newRequest(t)
	for range selfQueue + 10 {
		w.api.self.offer(rw, r, time.Millisecond)
	}
	if n := w.api.RecordingsDropped(); n != 10 {
		t.Errorf("%d dropped", n)
	}
	close(held.gate)
	must(t, w.api.Close(t.Context()))
	if n := len(held.selfs); n != selfQueue+1 {
		t.Errorf("%d recorded", n)
	}
}

// TestCloseDoesNotWaitForever closes while the intake hangs.
func TestCloseDoesNotWaitForever(t *testing.T) {
	held := heldIntake{memory: newMemory(), gate: make(chan struct{}), entered: make(chan struct{}, 1)}
	w := &world{memory: held.memory}
	w.deps, w.settings, w.access = newDeps(t, w.memory, &safeBuffer{})
	w.deps.Intake = held
	w.deps.SelfRates = func() SelfRates { return SelfRates{Reads: 1} }
	api, err := New(w.deps)
	must(t, err)
	api.self.offer(&response{route: &route{method: "GET", path: "/x"}, status: 200}, newRequest(t), time.Second)
	<-held.entered
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := api.Close(ctx); err == nil {
		t.Error("closed without handing in what waits")
	}
}

// heldIntake takes nothing in until its gate opens.
type heldIntake struct {
	*memory
	gate, entered chan struct{}
}

func (h heldIntake) Submit(ctx context.Context, p event.Protocol, items []ingest.Item) (uint64, error) {
	select {
	case h.entered <- struct{}{}:
	default:
	}
	select {
	case <-h.gate:
		return h.memory.Submit(ctx, p, items)
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}
