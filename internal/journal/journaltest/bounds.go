package journaltest

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/journal"
)

func purgeKeepsNewest(t *testing.T, open Opener) {
	j := open(t)
	for i := range 10 {
		mustAppend(t, j, entry(fmt.Sprint(i), 1))
	}
	mustPurge(t, j, 4)
	if st := j.State(); st.FirstSeq != 5 || st.LastSeq != 10 || st.Oldest.IsZero() {
		t.Fatalf("after purging up to 4: %+v", st)
	}
	for _, upTo := range []uint64{10, 10, 99} {
		mustPurge(t, j, upTo)
		if st := j.State(); st.FirstSeq != 10 || st.LastSeq != 10 || !st.Oldest.IsZero() {
			t.Fatalf("after purging up to %d: %+v", upTo, st)
		}
	}
	mustClose(t, j)
	j = open(t)
	if st := j.State(); st.FirstSeq != 10 || st.LastSeq != 10 || !st.Oldest.IsZero() {
		t.Fatalf("after a restart: %+v", st)
	}
	r := mustRead(t, j, 10, false)
	defer r.Close()
	if seq := mustAppend(t, j, entry("next", 1)); seq != 11 {
		t.Fatalf("the next entry got position %d", seq)
	}
	mustNext(t, r, 10)
	mustPurge(t, j, 10)
	if st := j.State(); st.FirstSeq != 11 || st.Oldest.IsZero() {
		t.Fatalf("with one message that waits: %+v", st)
	}
}

// bulky is an entry of a given size, also when it is compressed.
func bulky(size int) journal.Entry {
	e := journal.Entry{Lines: append(Noise(size-1), '\n')}
	e.Counts.Received[event.Analytics], e.Counts.Accepted = 1, 1
	return e
}

func full(t *testing.T, open Opener) {
	const limit = 1 << 20
	j := open(t, func(c *journal.Config) { c.MaxBytes = limit })
	acked, err := uint64(0), error(nil)
	for err == nil && acked < 200 {
		if _, err = j.Append(within(t), bulky(32<<10)); err == nil {
			acked++
		}
	}
	wantKind(t, err, errs.Overloaded)
	if acked < 16 {
		t.Fatalf("full after %d entries of 32 KiB", acked)
	}
	st := j.State()
	wantKind(t, st.Err, errs.Overloaded)
	if st.Bytes > limit || st.MaxBytes != limit || st.LastSeq != acked {
		t.Fatalf("%d were acknowledged, state is %+v", acked, st)
	}
	r := mustRead(t, j, 0, false)
	defer r.Close()
	var a Audit
	for seq := range acked {
		a.Add(t, mustNext(t, r, seq))
	}
	mustPurge(t, j, acked/2)
	if st := j.State(); st.Err != nil {
		t.Fatalf("after a purge: %+v", st)
	}
	if seq := mustAppend(t, j, bulky(32<<10)); seq != acked+1 {
		t.Fatalf("the entry after the purge got position %d", seq)
	}
	a.Add(t, mustNext(t, r, acked))
	if len(a.Totals) != 1 || a.Counts.Accepted != acked+1 {
		t.Fatalf("%d writers, counts %+v", len(a.Totals), a.Counts)
	}
}

func tooOld(t *testing.T, open Opener) {
	var ahead atomic.Int64 // of the journal's clock, in nanoseconds
	clock := func(c *journal.Config) {
		c.MaxAge = time.Hour
		c.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	}
	j := open(t, clock)
	mustAppend(t, j, entry("a", 1))
	mustAppend(t, j, entry("b", 1))
	mustPurge(t, j, 1)
	ahead.Store(int64(2 * time.Hour))
	_, err := j.Append(within(t), entry("c", 1))
	wantKind(t, err, errs.Overloaded)
	wantKind(t, j.State().Err, errs.Overloaded)

	mustPurge(t, j, 2) // the newest stays, but nobody waits for it
	mustAppend(t, j, entry("c", 1))
	mustPurge(t, j, 3)
	mustClose(t, j)
	ahead.Store(int64(24 * time.Hour))
	j = open(t, clock)
	mustAppend(t, j, entry("d", 1))
}

func tooLarge(t *testing.T, open Opener) {
	j := open(t, func(c *journal.Config) { c.MaxBytes = 4 << 20 })
	_, err := j.Append(within(t), bulky(1<<20))
	wantKind(t, err, errs.TooLarge)
	if seq := mustAppend(t, j, bulky(900<<10)); seq != 1 {
		t.Fatalf("an entry of 900 KiB got position %d", seq)
	}
	r := mustRead(t, j, 0, false)
	defer r.Close()
	if m := mustNext(t, r, 0); len(m.Lines) != 900<<10 {
		t.Fatalf("it came back with %d bytes", len(m.Lines))
	}
}

func endedRequest(t *testing.T, open Opener) {
	j := open(t)
	ended, cancel := context.WithCancel(within(t))
	cancel()
	_, err := j.Append(ended, entry("a", 1))
	wantKind(t, err, errs.Unavailable)
	if seq := mustAppend(t, j, entry("b", 1)); seq != 1 {
		t.Fatalf("the entry before it was written: got position %d", seq)
	}
}

func closed(t *testing.T, open Opener) {
	j := open(t)
	mustAppend(t, j, entry("a", 1))
	r := mustRead(t, j, 0, false)
	mustNext(t, r, 0)
	waiting := make(chan error, 1)
	go func() {
		_, err := r.Next(within(t))
		waiting <- err
	}()
	mustClose(t, j)
	wantKind(t, <-waiting, errs.Unavailable)
	r.Close()
	mustClose(t, j)
	_, err := j.Append(within(t), entry("b", 1))
	wantKind(t, err, errs.Unavailable)
	_, err = j.Read(within(t), 0, false)
	wantKind(t, err, errs.Unavailable)
	wantKind(t, j.Purge(within(t), 1), errs.Unavailable)
}
