//go:build linux

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
)

// sent is an event as a server would read it.
type sent struct {
	Event, EventID, UserID, SessionID string
	Timestamp                         time.Time
	Properties                        struct {
		Amount float64
		TookMS int `json:"took_ms"`
	}
}

func (s *sent) UnmarshalJSON(b []byte) error {
	var e struct {
		Event      string    `json:"event"`
		EventID    string    `json:"event_id"`
		UserID     string    `json:"user_id"`
		SessionID  string    `json:"session_id"`
		Timestamp  time.Time `json:"timestamp"`
		Properties any       `json:"properties"`
	}
	e.Properties = &s.Properties
	if err := json.Unmarshal(b, &e); err != nil {
		return err
	}
	s.Event, s.EventID, s.UserID, s.SessionID, s.Timestamp = e.Event, e.EventID, e.UserID, e.SessionID, e.Timestamp
	return nil
}

// read parses a request as a server would.
func read(t *testing.T, r *request) []sent {
	t.Helper()
	h, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(r.text)))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(h.Body)
	if err != nil {
		t.Fatal(err)
	}
	var events []sent
	if len(r.slots) == 1 {
		events = make([]sent, 1)
		err = json.Unmarshal(body, &events[0])
	} else {
		err = json.Unmarshal(body, &events)
	}
	if err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	if len(events) != len(r.slots) {
		t.Fatalf("%d events, want %d", len(events), len(r.slots))
	}
	return events
}

func TestRenewedRequestsHaveNewEventsOfJitteredClients(t *testing.T) {
	now := time.Date(2026, 3, 1, 23, 59, 59, 987e6, time.UTC)
	c := newCrowd(func() time.Time { return now })
	ids, users, sessions, names := map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]bool{}
	earliest, latest := now, now.Add(-time.Hour)
	for _, batch := range []int{1, 100} {
		r := c.newRequest("127.0.0.1:1", "/x", batch)
		length := len(r.text)
		for range 2000 / batch {
			c.renew(r)
			if len(r.text) != length {
				t.Fatal("a renewed request has another length")
			}
			for _, e := range read(t, r) {
				id, err := uuid.Parse(e.EventID)
				if err != nil || id.Version() != 7 || id.Variant() != uuid.RFC4122 {
					t.Fatalf("%q is no UUIDv7: %v", e.EventID, err)
				}
				if seconds, _ := id.Time().UnixTime(); seconds != e.Timestamp.Unix() {
					t.Fatalf("the id's time is %d, the event's %v", seconds, e.Timestamp)
				}
				if ids[e.EventID] {
					t.Fatalf("%s came twice", e.EventID)
				}
				ids[e.EventID], users[e.UserID], sessions[e.SessionID], names[e.Event] = true, true, true, true
				if e.Timestamp.Before(earliest) {
					earliest = e.Timestamp
				}
				if e.Timestamp.After(latest) {
					latest = e.Timestamp
				}
				if a := e.Properties.Amount; a < 100 || a >= 1000 || e.Properties.TookMS < 1000 {
					t.Fatalf("properties out of range: %+v", e.Properties)
				}
			}
		}
	}
	if latest.After(now) || now.Sub(latest) > time.Second || now.Sub(earliest) < jitter*9/10 || now.Sub(earliest) > jitter {
		t.Errorf("times from %v to %v, want nearly %v of jitter before %v", earliest, latest, jitter, now)
	}
	if len(users) < 300 || len(users) > 3000 || len(sessions) < len(users) || len(names) < 10 {
		t.Errorf("%d users, %d sessions, %d names in 4000 events", len(users), len(sessions), len(names))
	}
}

func TestEventsAreAsLongAsTheDesignMeasured(t *testing.T) {
	c := newCrowd(time.Now)
	total := 0
	for range 1000 {
		text, _ := c.event(nil)
		total += len(text)
	}
	if mean := total / 1000; mean < 320 || mean > 380 {
		t.Errorf("an event has %d bytes, want about 350", mean)
	}
}

func TestZipf(t *testing.T) {
	const n, draws = 1000, 100_000
	counts := make([]int, n)
	for i := range draws {
		counts[zipf((float64(i)+0.5)/draws, n)]++
	}
	// ln(2)/ln(n): the first rank has the numbers from 1 to 2 of a density that falls with one over x.
	if share := float64(counts[1]) / draws; share < 0.09 || share > 0.11 {
		t.Errorf("the most frequent has a share of %.3f, want about 0.1", share)
	}
	if counts[2] >= counts[1] || counts[500] >= counts[50] {
		t.Errorf("frequencies do not fall with rank: %d %d %d %d", counts[1], counts[2], counts[50], counts[500])
	}
}

func BenchmarkRenew(b *testing.B) {
	c := newCrowd(time.Now)
	r := c.newRequest("127.0.0.1:1", "/x", 100)
	b.ReportAllocs()
	for b.Loop() {
		c.renew(r)
	}
}
