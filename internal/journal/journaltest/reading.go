package journaltest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/journal"
)

func inOrder(t *testing.T, open Opener) {
	j := open(t)
	start := time.Now().Add(-time.Second)
	const n = 200
	for i := range n {
		if seq := mustAppend(t, j, entry(fmt.Sprint(i), 2)); seq != uint64(i+1) {
			t.Fatalf("entry %d got position %d", i, seq)
		}
	}
	if got := j.LastAppended(); got != n {
		t.Fatalf("last appended is %d", got)
	}
	if st := j.State(); st.LastSeq != n || st.FirstSeq != 1 || st.Err != nil || st.Bytes == 0 {
		t.Fatalf("state is %+v", st)
	}
	r := mustRead(t, j, 0, false)
	defer r.Close()
	var a Audit
	for i := range n {
		m := mustNext(t, r, uint64(i))
		if want := entry(fmt.Sprint(i), 2); !bytes.Equal(m.Lines, want.Lines) || m.Counts != want.Counts {
			t.Fatalf("message %d is %q %+v", m.Seq, m.Lines, m.Counts)
		}
		if m.Time.Before(start) || m.Time.After(time.Now().Add(time.Second)) {
			t.Fatalf("message %d has time %v", m.Seq, m.Time)
		}
		a.Add(t, m)
	}
	if len(a.Totals) != 1 {
		t.Fatalf("one process wrote as %d", len(a.Totals))
	}
}

// produce appends entries from many goroutines and returns the position of each by its name.
func produce(t *testing.T, j *journal.Journal, producers, each, events int) map[string]uint64 {
	t.Helper()
	ctx := within(t)
	acked := make(map[string]uint64)
	var mu sync.Mutex
	var work sync.WaitGroup
	for p := range producers {
		work.Go(func() {
			for i := range each {
				name := fmt.Sprintf("p%d-%d", p, i)
				seq, err := j.Append(ctx, entry(name, events))
				if err != nil {
					t.Errorf("append: %v", err)
					return
				}
				mu.Lock()
				acked[name] = seq
				mu.Unlock()
			}
		})
	}
	work.Wait()
	return acked
}

// collect reads until it has seen every name, and checks that each stands once, whole, and in
// the message whose position was acknowledged.
func collect(t *testing.T, r *journal.Reader, acked map[string]uint64, events int) *Audit {
	t.Helper()
	var a Audit
	left := len(acked) * events
	next := make(map[string]int)
	for seq := uint64(0); left > 0; seq++ {
		m := mustNext(t, r, seq)
		a.Add(t, m)
		for line := range bytes.Lines(m.Lines) {
			name, i, _ := bytes.Cut(bytes.TrimSuffix(line, []byte{'\n'}), []byte{'/'})
			key := string(name)
			if string(i) != fmt.Sprint(next[key]) {
				t.Fatalf("message %d: %s comes where part %d is due", m.Seq, line, next[key])
			}
			if acked[key] != m.Seq {
				t.Fatalf("%s is in message %d, acknowledged was %d", key, m.Seq, acked[key])
			}
			next[key]++
			left--
		}
	}
	if a.Counts.Accepted != uint64(len(acked)*events) || a.Counts.ReceivedTotal() != a.Counts.Accepted {
		t.Fatalf("counts are %+v", a.Counts)
	}
	return &a
}

func groups(t *testing.T, open Opener) {
	j := open(t)
	const producers, each, events = 32, 50, 3
	acked := produce(t, j, producers, each, events)
	if len(acked) != producers*each {
		t.Fatalf("%d of %d acknowledged", len(acked), producers*each)
	}
	r := mustRead(t, j, 0, false)
	defer r.Close()
	collect(t, r, acked, events)
	if last := j.LastAppended(); last >= producers*each/2 {
		t.Fatalf("%d entries took %d messages", producers*each, last)
	}
}

func readWhileAppending(t *testing.T, open Opener) {
	j := open(t)
	const producers, each = 16, 100
	r := mustRead(t, j, 0, false)
	defer r.Close()
	var read sync.WaitGroup
	seen := 0
	read.Go(func() {
		ctx := within(t)
		var a Audit
		for seq := uint64(1); seen < producers*each; seq++ {
			m, err := r.Next(ctx)
			if err != nil || m.Seq != seq {
				t.Errorf("message %d where %d is due: %v", m.Seq, seq, err)
				return
			}
			a.Add(t, m)
			seen = a.Lines
			if seq%10 == 0 {
				if err := j.Purge(ctx, seq); err != nil {
					t.Errorf("purge: %v", err)
				}
			}
		}
	})
	produce(t, j, producers, each, 1)
	read.Wait()
	if seen != producers*each {
		t.Fatalf("%d of %d read", seen, producers*each)
	}
}

func resumes(t *testing.T, open Opener) {
	j := open(t, func(c *journal.Config) { c.Writer = "first" })
	id := j.State().StreamID
	if id == "" {
		t.Fatal("the stream has no id")
	}
	var a Audit
	for i := range 20 {
		mustAppend(t, j, entry(fmt.Sprint(i), 1))
	}
	r := mustRead(t, j, 0, false)
	for i := range 10 {
		a.Add(t, mustNext(t, r, uint64(i)))
	}
	r.Close()
	mustClose(t, j)

	j = open(t, func(c *journal.Config) { c.Writer = "second" })
	if st := j.State(); st.StreamID != id || st.FirstSeq != 1 || st.LastSeq != 20 || j.LastAppended() != 0 {
		t.Fatalf("after the restart of %s: %+v", id, st)
	}
	r = mustRead(t, j, 10, false)
	defer r.Close()
	for i := 10; i < 20; i++ {
		m := mustNext(t, r, uint64(i))
		if want := entry(fmt.Sprint(i), 1); !bytes.Equal(m.Lines, want.Lines) {
			t.Fatalf("message %d is %q", m.Seq, m.Lines)
		}
		a.Add(t, m)
	}
	if seq := mustAppend(t, j, entry("20", 1)); seq != 21 {
		t.Fatalf("the first entry after the restart got position %d", seq)
	}
	a.Add(t, mustNext(t, r, 20))
	if a.Totals["first"] != 20 || a.Totals["second"] != 1 {
		t.Fatalf("totals are %v", a.Totals)
	}
}

func headersAlone(t *testing.T, open Opener) {
	j := open(t)
	for i := range 5 {
		mustAppend(t, j, entry(fmt.Sprint(i), i+1))
	}
	r := mustRead(t, j, 0, true)
	defer r.Close()
	var a Audit
	for i := range 5 {
		m := mustNext(t, r, uint64(i))
		if m.Lines != nil || m.Counts.Accepted != uint64(i+1) {
			t.Fatalf("message %d has lines %q and counts %+v", m.Seq, m.Lines, m.Counts)
		}
		a.Add(t, m)
	}
}

func countsAlone(t *testing.T, open Opener) {
	j := open(t)
	var c event.Counts
	c.Received[event.Analytics], c.Rejected[event.ReasonInvalid], c.SampledOut = 7, 4, 3
	mustAppend(t, j, journal.Entry{Counts: c})
	mustAppend(t, j, entry("a", 1))
	r := mustRead(t, j, 0, false)
	defer r.Close()
	m := mustNext(t, r, 0)
	if m.Counts != c || len(m.Lines) != 0 || m.Total != 0 {
		t.Fatalf("message is %+v", m)
	}
	if m = mustNext(t, r, 1); m.Total != 1 {
		t.Fatalf("total is %d", m.Total)
	}
}

func nextWaits(t *testing.T, open Opener) {
	j := open(t)
	r := mustRead(t, j, 0, false)
	defer r.Close()
	ctx, cancel := context.WithTimeout(within(t), 50*time.Millisecond)
	defer cancel()
	if _, err := r.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v", err)
	}
	got := make(chan error, 1)
	go func() {
		_, err := r.Next(within(t))
		got <- err
	}()
	mustAppend(t, j, entry("a", 1))
	if err := <-got; err != nil {
		t.Fatalf("next after a wait: %v", err)
	}
}

func gaps(replicas int) func(*testing.T, Opener) {
	return func(t *testing.T, open Opener) { gap(t, open, replicas) }
}

func gap(t *testing.T, open Opener, replicas int) {
	j := open(t)
	late := mustRead(t, j, 0, false)
	defer late.Close()
	for i := range 10 {
		mustAppend(t, j, entry(fmt.Sprint(i), 1))
	}
	mustPurge(t, j, 5)
	read, err := readUpTo(t, late, 10)
	if read > 0 && replicas == 1 { // another replica may still have what the leader has purged
		t.Fatalf("%d messages are read, of which five are purged", read)
	}
	if read < 10 {
		wantKind(t, err, errs.Conflict)
		_, err = late.Next(within(t))
		wantKind(t, err, errs.Conflict)
	}

	mustClose(t, j)
	j = open(t, func(c *journal.Config) { c.AppendTimeout = 5 * time.Second }) // to wait so long for the end
	_, err = j.Read(within(t), 4, false)
	wantKind(t, err, errs.Conflict)
	_, err = j.Read(within(t), 11, false)
	wantKind(t, err, errs.Conflict)
	for _, after := range []uint64{5, 10} {
		mustRead(t, j, after, false).Close()
	}
}

// readUpTo reads from the beginning up to a position and passes over nothing.
func readUpTo(t *testing.T, r *journal.Reader, last uint64) (read uint64, err error) {
	t.Helper()
	for ; read < last; read++ {
		m, err := r.Next(within(t))
		if err != nil {
			return read, err
		}
		if m.Seq != read+1 {
			t.Fatalf("message %d follows on %d", m.Seq, read)
		}
	}
	return read, nil
}
