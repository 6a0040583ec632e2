package journal

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/event"
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
	for consumer.left == 0 { // the time may be up before it has asked
		short, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		if _, err := r.Next(short); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("got %v", err)
		}
		cancel()
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

// TestHeadersAreRemembered: who follows the end by headers reads what everybody reads, without asking
// JetStream for what this process wrote lately; what it wrote and does not know of, or wrote long ago, comes
// from there.
func TestHeadersAreRemembered(t *testing.T) {
	j := openEmbedded(t)
	write := func(n int) {
		t.Helper()
		for range n {
			if _, err := j.Append(t.Context(), Entry{Lines: []byte("a\n"), Counts: event.Counts{Accepted: 3, SampledOut: 1}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	headers, err := j.Read(t.Context(), 0, true)
	if err != nil {
		t.Fatal(err)
	}
	defer headers.Close()
	whole, err := j.Read(t.Context(), 0, false)
	if err != nil {
		t.Fatal(err)
	}
	defer whole.Close()
	same := func(n int) {
		t.Helper()
		for range n {
			got, err := headers.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			want, err := whole.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if early := want.Time.Sub(got.Time); early < 0 || early > time.Minute {
				t.Fatalf("message %d is from %v, and %v by headers", want.Seq, want.Time, got.Time)
			}
			want.Time, want.Lines, want.encoding = got.Time, nil, got.encoding
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("by headers %+v, want %+v", got, want)
			}
		}
	}
	write(3)
	same(3)
	if headers.sub != nil {
		t.Error("JetStream was asked for what is remembered")
	}

	// It waits for what is not written yet, as for all else.
	came := make(chan error, 1)
	go func() {
		m, err := headers.Next(t.Context())
		if err == nil && m.Seq != 4 {
			err = fmt.Errorf("message %d came", m.Seq)
		}
		came <- err
	}()
	write(1)
	if err := <-came; err != nil {
		t.Fatal(err)
	}
	if _, err := whole.Next(t.Context()); err != nil {
		t.Fatal(err)
	}

	// One is stored of which this process never learned that.
	lost, err := j.writer.draft(&event.Counts{Accepted: 5}, body{data: []byte("b\n")})
	if err != nil {
		t.Fatal(err)
	}
	l, err := j.current()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := j.attempt(t.Context(), l, lost); err != nil {
		t.Fatal(err)
	}
	j.writer.doubt()
	j.fail(l, errors.New("no answer came"))
	if _, err := j.awaitLink(t.Context()); err != nil {
		t.Fatal(err)
	}
	write(2)
	same(3)

	// More than are remembered.
	write(recentMessages + 10)
	same(recentMessages + 10)
	if headers.sub != nil {
		t.Error("the reader did not return to what is remembered")
	}
	short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := headers.Next(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("at the end: %v", err)
	}
}
