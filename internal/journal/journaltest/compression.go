package journaltest

import (
	"bytes"
	"fmt"
	"sync"
	"testing"

	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/journal"
)

// alike is an entry of n events that differ by little.
func alike(name string, n int) journal.Entry {
	var e journal.Entry
	for i := range n {
		e.Lines = fmt.Appendf(e.Lines, `{"event_id":"%s-%d","event_name":"page_view","properties":{"path":"/item/%d","plan":"pro"}}`+"\n", name, i, i*i)
	}
	e.Counts.Received[event.Analytics], e.Counts.Accepted = uint64(n), uint64(n)
	return e
}

func compresses(t *testing.T, open Opener) {
	j := open(t)
	noisy := bulky(100 << 10)
	sent := []journal.Entry{entry("small", 1), alike("first", 1000), noisy, alike("second", 10), entry("last", 2), alike("third", 8_000)}
	size := func() int {
		mustPurge(t, j, 0) // asks the stream
		return int(j.State().Bytes)
	}
	var counted, real int
	for i, e := range sent {
		before := size()
		mustAppend(t, j, e)
		counted += int(j.State().Bytes) - before
		grown := size() - before
		real += grown
		if alike := len(e.Lines) > 10<<10 && i != 2; alike && grown > len(e.Lines)/2 {
			t.Errorf("%d bytes of events that are alike take %d", len(e.Lines), grown)
		} else if !alike && grown < min(len(e.Lines), 512) {
			t.Errorf("%d bytes take only %d", len(e.Lines), grown)
		}
	}
	if counted < real*9/10 || counted > real*11/10 {
		t.Errorf("the journal counts %d bytes, the stream has %d", counted, real)
	}
	mustClose(t, j)
	j = open(t)
	r := mustRead(t, j, 0, false)
	defer r.Close()
	heads := mustRead(t, j, 0, true)
	defer heads.Close()
	var a Audit
	for i, e := range sent {
		m := mustNext(t, r, uint64(i))
		if !bytes.Equal(m.Lines, e.Lines) || m.Counts != e.Counts {
			t.Fatalf("message %d came back as %d bytes, was %d", m.Seq, len(m.Lines), len(e.Lines))
		}
		a.Add(t, m)
		if h := mustNext(t, heads, uint64(i)); h.Lines != nil || h.Counts != e.Counts || h.Total != m.Total {
			t.Fatalf("its headers say %+v", h)
		}
	}
}

func readersApart(t *testing.T, open Opener) {
	j := open(t)
	const messages = 60
	var sent [messages][]byte
	for i := range sent {
		e := alike(fmt.Sprint("m", i), 10+i*37%900)
		sent[i] = e.Lines
	}
	var read sync.WaitGroup
	for range 5 {
		r := mustRead(t, j, 0, false)
		read.Go(func() {
			defer r.Close()
			for i, want := range sent {
				m, err := r.Next(within(t))
				if err != nil || !bytes.Equal(m.Lines, want) {
					t.Errorf("message %d is not what was sent: %v", i+1, err)
					return
				}
			}
		})
	}
	for i := range sent {
		mustAppend(t, j, journal.Entry{Lines: sent[i]})
	}
	read.Wait()
}
