package journal

import (
	"context"
	"errors"
	"testing"
	"time"
)

// TestIdleReader: waiting in vain does not cost a reader its consumer, and heartbeats that lie
// unread are no messages.
func TestIdleReader(t *testing.T) {
	j := openEmbedded(t)
	r, err := j.Read(t.Context(), 0, false)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	consumer := r.sub
	short, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := r.Next(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v", err)
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for n, end := 0, time.Now().Add(2*time.Minute); n == 0; <-tick.C {
		if n, _, err = consumer.sub.Pending(); err != nil || time.Now().After(end) {
			t.Fatalf("no heartbeat comes: %v", err)
		}
	}
	if _, err := j.Append(t.Context(), Entry{Lines: []byte("a\n")}); err != nil {
		t.Fatal(err)
	}
	if m, err := r.Next(t.Context()); err != nil || m.Seq != 1 {
		t.Fatalf("got %+v %v", m, err)
	}
	if r.sub != consumer {
		t.Fatal("the consumer was given up")
	}
}

// TestReaderHoldsLittle: what a reader asks for at a time is bounded in bytes, and a message that
// is larger comes all the same.
func TestReaderHoldsLittle(t *testing.T) {
	const size, messages, atOnce = 200 << 10, 40, fetchBytes / (200 << 10)
	j := openEmbedded(t)
	for i := range messages {
		n := size
		if i%15 == 14 {
			n = 3 * fetchBytes
		}
		if _, err := j.Append(t.Context(), Entry{Lines: noise(n)}); err != nil {
			t.Fatal(err)
		}
	}
	r, err := j.Read(t.Context(), 0, false)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for i := range messages {
		m, err := r.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if left := r.sub.left; len(m.Lines) > fetchBytes && left > 0 || len(m.Lines) == size && left < fetchMessages-atOnce {
			t.Fatalf("message %d, of %d bytes, came with others, %d of which may still come", i+1, len(m.Lines), left)
		}
	}
}
