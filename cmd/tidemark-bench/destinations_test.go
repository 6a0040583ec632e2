//go:build linux

package main

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestEachTargetOfDestinationsIsMissedAlone(t *testing.T) {
	for missed, change := range map[string]func(*delivering){
		"":                   func(*delivering) {},
		"delivery to a":      func(d *delivering) { d.One.PerSecond-- },
		"stored beside five": func(d *delivering) { d.Beside[0].StoredPerSecond -= 10 },
	} {
		d := &delivering{One: moved{Events: 1, PerSecond: 50_000},
			Without: []throughput{{StoredPerSecond: 900}, {StoredPerSecond: 1100}}, Beside: []throughput{{StoredPerSecond: 800}, {StoredPerSecond: 900}}}
		change(d)
		wantMissed(t, d.judge(), missed)
	}
	if all := new(delivering).judge(); len(all) > 0 {
		t.Errorf("verdicts without measurements: %v", all)
	}
	var text bytes.Buffer
	(&report{Destinations: []*delivering{{Database: duckDB, One: moved{PerSecond: 51_000}, CaughtUp: []catchingUp{{Events: 7, Took: 2 * time.Second}}}}}).printDestinations(&text)
	if !strings.Contains(text.String(), "51000 events/s") || !strings.Contains(text.String(), "the 7 left, none missing\t2.0 s") {
		t.Errorf("it does not tell: %s", text.String())
	}
}

// What comes before the receiver is open waits, and then counts.
func TestReceiverHoldsUntilItIsOpen(t *testing.T) {
	r := newReceiver()
	arrived := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		close(arrived)
		r.ServeHTTP(w, q)
	}))
	defer s.Close()
	answered := make(chan error, 1)
	go func() {
		body := strings.NewReader(`[{"specversion":"1.0","id":"a"},{"specversion":"1.0","id":"b"}]`)
		a, err := s.Client().Post(s.URL+"/d0", "application/json", body)
		if err == nil {
			err = a.Body.Close()
		}
		answered <- err
	}()
	<-arrived
	if n := r.events.Load(); n != 0 {
		t.Errorf("%d events before it was open", n)
	}
	r.open()
	if err := <-answered; err != nil {
		t.Fatal(err)
	}
	if n := r.events.Load(); n != 2 {
		t.Errorf("%d events, want 2", n)
	}
	// What comes again is no other event, and each destination has its own.
	r.note("d1", []byte(`[{"specversion":"1.0","id":"a","data":{"event_id":"a"}}]`))
	r.note("d1", []byte(`[{"specversion":"1.0","id":"a","data":{"event_id":"a"}}]`))
	if all, d0, d1 := r.count("d1"), r.distinct("d0"), r.distinct("d1"); all != 2 || d0 != 2 || d1 != 1 {
		t.Errorf("%d events came, which are %d, and %d elsewhere", all, d1, d0)
	}
	if r.forget(); r.count("d1") != 0 {
		t.Error("it does not forget")
	}
	// Who gives up is not counted.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	shut := newReceiver()
	q := httptest.NewRequestWithContext(ctx, http.MethodPost, "/", strings.NewReader(`"specversion"`))
	shut.ServeHTTP(httptest.NewRecorder(), q)
	if n := shut.events.Load(); n != 0 {
		t.Errorf("%d events of who gave up", n)
	}
}
