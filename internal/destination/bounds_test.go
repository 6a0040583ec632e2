package destination

import (
	"bytes"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
)

// A limited destination gets its events at its rate, once it has had as many as fit a batch.
func TestTheRateIsKept(t *testing.T) {
	const each, rate, batches = 50, 100, 9
	synctest.Test(t, func(t *testing.T) {
		c := Config{Settings: Settings{RatePerSecond: rate, Batch: Batch{Events: each}}}
		r := &runner{limiter: c.limiter()}
		began := time.Now()
		for range batches {
			if err := r.await(t.Context(), each); err != nil {
				t.Fatal(err)
			}
		}
		if took, want := time.Since(began), time.Second*(batches-1)*each/rate; took.Round(time.Millisecond) != want {
			t.Errorf("%d events took %v, want %v", batches*each, took, want)
		}
	})
	w, r := newWorld(t, 0), newReceiver(t)
	const most, perSecond = 20, 500
	s := hook("a", r)
	s.RatePerSecond, s.Batch = perSecond, Batch{Events: most, LingerMS: 5}
	var began time.Time
	var came atomic.Int64
	r.failing(func(_ http.ResponseWriter, _ *http.Request, _ int, body []byte) bool {
		n, took := came.Add(int64(bytes.Count(body, []byte(`"specversion"`)))), time.Since(began)
		if bound := most + perSecond*took.Seconds(); float64(n) > bound {
			t.Errorf("%d events came within %v, at most %v may", n, took, bound)
		}
		return false
	})
	began = time.Now()
	w.put(s, Secrets{Secret: signingSecret})
	w.send(200)
	r.await(200)
}

// No request has more events or bytes than it may, but for the event that reaches the bound.
func TestBatchesKeepTheirBounds(t *testing.T) {
	w := newWorld(t, 0)
	one := eventOf(0)
	for name, want := range map[string]struct {
		batch Batch
		most  int64
	}{
		"events": {Batch{Events: 7, LingerMS: 5}, 7},
		"bytes":  {Batch{Bytes: 4 * weight(&one), LingerMS: 5}, 5},
	} {
		r := newReceiver(t)
		var most atomic.Int64
		r.failing(func(_ http.ResponseWriter, _ *http.Request, _ int, body []byte) bool {
			n := int64(bytes.Count(body, []byte(`"specversion"`)))
			for was := most.Load(); n > was && !most.CompareAndSwap(was, n); was = most.Load() {
			}
			return false
		})
		s := hook(name, r)
		s.Batch = want.batch
		w.put(s, Secrets{Secret: signingSecret})
		from := len(r.got())
		w.send(100)
		until(t, "all events", func() bool { return len(r.got()) == from+100 })
		if n := most.Load(); n > want.most || n < 2 {
			t.Errorf("bounded by %s, a request had %d events, want at most %d", name, n, want.most)
		}
	}
}

// Two properties can change names, and what is dropped or hashed is so under its old one.
func TestRenaming(t *testing.T) {
	e := eventOf(1)
	e.Properties = event.Object(`{"a":1,"b":{"c":2,"d":3},"secret":"x"}`)
	tr := newTransform(&Transform{
		Rename: map[string]string{"properties.a": "z", "properties.z": "a", "properties.b.c": "d", "properties.b.d": "c", "properties.secret": "known", "properties.none": "n"},
		Hash:   []string{"properties.secret"},
	}, "key")
	got := string(tr.apply(e).Properties)
	if want := `{"b":{"c":3,"d":2},"known":"` + tr.mask("x") + `","z":1}`; got != want {
		t.Errorf("it went out as %s, want %s", got, want)
	}
}

// What the documentation of the API says of lengths holds.
func TestLengthsAreBounded(t *testing.T) {
	w := newWorld(t, 0)
	long := strings.Repeat("x", 5000)
	for place, q := range map[string]*Request{
		"/url":              {Settings: Settings{Kind: Webhook, URL: "https://example.com/" + long}},
		"/subject":          {Settings: Settings{Kind: NATS, URL: "nats://example.com", Subject: long}},
		"/topic":            {Settings: Settings{Kind: Kafka, URL: "example.com:9092", Topic: long}},
		"/sasl":             {Settings: Settings{Kind: Kafka, URL: "example.com:9092", Topic: "t", SASL: "oauth"}, Secrets: Secrets{Username: "u"}},
		"/secrets/username": {Settings: Settings{Kind: Kafka, URL: "example.com:9092", Topic: "t"}, Secrets: Secrets{Password: "p"}},
		"/secrets/token":    {Settings: Settings{Kind: Webhook, URL: "https://example.com/"}, Secrets: Secrets{Token: long}},
		"/secrets/secret":   {Settings: Settings{Kind: Webhook, URL: "https://example.com/"}, Secrets: Secrets{Secret: long}},
		"/secrets/hash_key": {Settings: Settings{Kind: Webhook, URL: "https://example.com/"}, Secrets: Secrets{HashKey: long}},
	} {
		q.Name = "x"
		_, _, err := w.manager.Put(t.Context(), q)
		var e *errs.Error
		if !errors.As(err, &e) || e.Kind != errs.Invalid || len(e.Fields) != 1 || e.Fields[0].Location != place {
			t.Errorf("%s: %+v", place, err)
		}
	}
}
