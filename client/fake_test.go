package client

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// fake is a service for faults that a real one does not have at hand, without a network, so that
// tests may own time. Each request takes the next of the answers; behind the last, all is accepted.
type fake struct {
	mu       sync.Mutex
	answers  []func(events []map[string]any) (int, http.Header, string)
	requests []*http.Request
	batches  [][]map[string]any
	at       []time.Time
	accepted map[string]int // by event id
	hold     chan struct{}  // requests wait until it is closed
	held     int            // requests that have come to wait for it
}

func (f *fake) RoundTrip(r *http.Request) (*http.Response, error) {
	var body io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(body)
		if err != nil {
			return nil, err
		}
		body = z
	}
	text, err := io.ReadAll(body)
	if err != nil {
		return nil, err
	}
	var events []map[string]any
	if err := json.Unmarshal(text, &events); err != nil {
		return nil, fmt.Errorf("a body that is no list: %w: %s", err, text)
	}
	f.mu.Lock()
	hold := f.hold
	if hold != nil {
		f.held++
	}
	f.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	n := len(f.requests)
	f.requests, f.batches, f.at = append(f.requests, r), append(f.batches, events), append(f.at, time.Now())
	answer := allAccepted
	if n < len(f.answers) && f.answers[n] != nil {
		answer = f.answers[n]
	}
	status, header, out := answer(events)
	if header == nil {
		header = http.Header{"Content-Type": {"application/json"}}
	}
	f.note(status, events, out)
	return &http.Response{StatusCode: status, Status: fmt.Sprint(status, " ", http.StatusText(status)), Header: header,
		Body: io.NopCloser(strings.NewReader(out)), Request: r}, nil
}

func (f *fake) note(status int, events []map[string]any, out string) {
	var a struct{ Results []struct{ Status string } }
	if status != http.StatusOK || json.Unmarshal([]byte(out), &a) != nil || len(a.Results) != len(events) {
		return
	}
	if f.accepted == nil {
		f.accepted = map[string]int{}
	}
	for i, e := range events {
		if a.Results[i].Status == "accepted" {
			f.accepted[e["event_id"].(string)]++
		}
	}
}

func allAccepted(events []map[string]any) (int, http.Header, string) {
	return results(events, func(map[string]any) string { return "accepted" })
}

func results(events []map[string]any, status func(map[string]any) string) (int, http.Header, string) {
	var all []map[string]any
	for i, e := range events {
		r := map[string]any{"index": i, "event_id": e["event_id"], "status": status(e), "error": nil}
		if r["status"] == "rejected" {
			r["error"] = "/tags must be shorter"
		}
		all = append(all, r)
	}
	text, _ := json.Marshal(map[string]any{"success": true, "results": all})
	return http.StatusOK, nil, string(text)
}

// refusal answers with a problem.
func refusal(status int, header http.Header, errs ...string) func([]map[string]any) (int, http.Header, string) {
	return func([]map[string]any) (int, http.Header, string) {
		h := header.Clone()
		if h == nil {
			h = http.Header{}
		}
		h.Set("Content-Type", "application/problem+json")
		var list []map[string]string
		for _, at := range errs {
			list = append(list, map[string]string{"location": at, "message": "is wrong"})
		}
		text, _ := json.Marshal(map[string]any{"status": status, "detail": "no", "errors": list})
		return status, h, string(text)
	}
}

func (f *fake) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.requests)
}

// holds tells whether a request waits, or has.
func (f *fake) holds() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.held > 0
}

func (f *fake) stored() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.accepted)
}

// new makes a client of the fake, which the test closes or loses.
func (f *fake) client(t testing.TB, change func(*Config)) *Client {
	t.Helper()
	cfg := Config{URL: "http://tidemark.invalid", HTTPClient: &http.Client{Transport: f}, Logger: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(&cfg)
	}
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = c.Close(ctx)
		balanced(t, c)
	})
	return c
}

// balanced checks the promise about the sum.
func balanced(t testing.TB, c *Client) Stats {
	t.Helper()
	s := c.Stats()
	if s.Tracked+s.Recovered != s.Sent+s.Sampled+s.Refused+s.Dropped.Total()+s.Pending {
		t.Errorf("the sum does not hold: %+v", s)
	}
	return s
}

func closeNow(t testing.TB, c *Client) Stats {
	t.Helper()
	if err := c.Close(t.Context()); err != nil {
		t.Errorf("closing: %v", err)
	}
	return balanced(t, c)
}

func encoded(t testing.TB, write func(*encoder)) []byte {
	t.Helper()
	e := new(encoder)
	e.collect(nil, "", nil)
	e.begin(time.Unix(1767225600, 0))
	write(e)
	if e.err != nil {
		t.Fatal(e.err)
	}
	return bytes.Clone(append(e.buf, '}'))
}
