package client

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

func spooled(dir string) func(*Config) { return func(c *Config) { c.SpoolDir = dir } }

// abandon ends a client as far as a process that dies would: files stay as they are.
func abandon(t *testing.T, c *Client) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = c.Close(ctx)
}

func TestASpoolIsSentByTheNextClient(t *testing.T) {
	dir := t.TempDir()
	down := &fake{hold: make(chan struct{})}
	c := down.client(t, spooled(dir))
	for i := range 250 {
		c.Track(t.Context(), "e", nil, EventID(fmt.Sprint(i)))
	}
	abandon(t, c)
	if s := balanced(t, c); s.Pending != 250 || s.Dropped.Total() != 0 {
		t.Errorf("%+v", s)
	}
	up := &fake{}
	c = up.client(t, spooled(dir))
	if s := c.Stats(); s.Recovered != 250 {
		t.Errorf("%+v", s)
	}
	c.Track(t.Context(), "e", nil, EventID("250"))
	if s := closeNow(t, c); s.Sent != 251 {
		t.Errorf("%+v", s)
	}
	for i := range 251 {
		if n := up.accepted[fmt.Sprint(i)]; n != 1 {
			t.Errorf("event %d was sent %d times", i, n)
		}
	}
	c = up.client(t, spooled(dir))
	if s := closeNow(t, c); s.Recovered != 0 || s.Corrupt != 0 {
		t.Errorf("the third: %+v", s)
	}
}

// TestWhatWasSentIsNotSentAgain ends clients in the middle of their spool, again and again.
func TestWhatWasSentIsNotSentAgain(t *testing.T) {
	dir := t.TempDir()
	f := &fake{}
	const n = 1000
	c := (&fake{hold: make(chan struct{})}).client(t, spooled(dir))
	for i := range n {
		c.Track(t.Context(), "e", nil, EventID(fmt.Sprint(i)))
	}
	abandon(t, c)
	for range 4 {
		half := &fake{}
		half.answers = append(half.answers, nil, nil, refusal(503, http.Header{"Retry-After": {"3600"}}))
		c := half.client(t, spooled(dir))
		await(t, func() bool { return half.count() == 3 })
		abandon(t, c)
		f.merge(half)
	}
	c = f.client(t, spooled(dir))
	closeNow(t, c)
	for i := range n {
		if f.accepted[fmt.Sprint(i)] != 1 {
			t.Fatalf("event %d was sent %d times", i, f.accepted[fmt.Sprint(i)])
		}
	}
}

func (f *fake) merge(o *fake) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if f.accepted == nil {
		f.accepted = map[string]int{}
	}
	for id, n := range o.accepted {
		f.accepted[id] += n
	}
}

// await polls until a condition holds.
func await(t *testing.T, holds func() bool) {
	t.Helper()
	deadline := time.NewTimer(2 * time.Minute)
	defer deadline.Stop()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatal("it does not come about")
		}
	}
}

func TestTwoClientsDoNotShareASpool(t *testing.T) {
	dir := t.TempDir()
	f := &fake{}
	f.client(t, spooled(dir))
	if c, err := New(Config{URL: "http://tidemark.invalid", SpoolDir: dir}); err == nil {
		abandon(t, c)
		t.Error("the second one starts")
	}
}

// TestASpoiltSpool spoils what a process has left, and expects everything that is whole.
func TestASpoiltSpool(t *testing.T) {
	const n = 20
	for name, c := range map[string]struct {
		spoil   func(text []byte) []byte
		sent    int
		corrupt uint64
	}{
		"half a line at the end": {func(b []byte) []byte { return b[:len(b)-5] }, n - 1, 0},
		"a flipped bit": {func(b []byte) []byte {
			b[bytes.IndexByte(b, '\n')+40] ^= 1
			return b
		}, n - 1, 1},
		"a line of zeros":  {func(b []byte) []byte { return append(append(make([]byte, 300), '\n'), b...) }, n, 1},
		"zeros at the end": {func(b []byte) []byte { return append(b, make([]byte, 4096)...) }, n, 0},
		"nothing left":     {func([]byte) []byte { return nil }, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			c0 := (&fake{hold: make(chan struct{})}).client(t, spooled(dir))
			for range n {
				c0.Track(t.Context(), "e", map[string]any{"a": "b"})
			}
			abandon(t, c0)
			files, err := filepath.Glob(filepath.Join(dir, "*.seg"))
			if err != nil || len(files) != 1 {
				t.Fatal(files, err)
			}
			text, err := os.ReadFile(files[0])
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(files[0], c.spoil(text), 0o600); err != nil {
				t.Fatal(err)
			}
			f := &fake{}
			cl := f.client(t, spooled(dir))
			s := closeNow(t, cl)
			if int(s.Sent) != c.sent || s.Recovered != s.Sent || s.Corrupt != c.corrupt || f.stored() != c.sent {
				t.Errorf("%+v", s)
			}
		})
	}
}

// TestASpoolThatIsSpoiltInUse changes a file behind the client's back.
func TestASpoolThatIsSpoiltInUse(t *testing.T) {
	dir := t.TempDir()
	f := &fake{}
	c := f.client(t, spooled(dir))
	for range 50 {
		c.Track(t.Context(), "e", nil)
	}
	files, _ := filepath.Glob(filepath.Join(dir, "*.seg"))
	file, err := os.OpenFile(files[0], os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteAt([]byte("XXXX"), 30); err != nil {
		t.Fatal(err)
	}
	_ = file.Close()
	if s := closeNow(t, c); s.Sent != 49 || s.Dropped.IO != 1 {
		t.Errorf("%+v", s)
	}
}

// TestASpoolThatCannotBeWritten takes the file away from under the client: that event is lost and
// counted, and what follows goes to another file.
func TestASpoolThatCannotBeWritten(t *testing.T) {
	dir := t.TempDir()
	c := (&fake{hold: make(chan struct{})}).client(t, spooled(dir))
	c.Track(t.Context(), "e", nil, EventID("before"))
	s := c.queue.(*spool)
	c.mu.Lock()
	_ = s.active.Close()
	c.mu.Unlock()
	c.Track(t.Context(), "e", nil, EventID("lost"))
	c.Track(t.Context(), "e", nil, EventID("after"))
	if s := balanced(t, c); s.Dropped.IO != 1 || s.Pending != 2 {
		t.Errorf("%+v", s)
	}
	abandon(t, c)
	f := &fake{}
	next := f.client(t, spooled(dir))
	if s := closeNow(t, next); s.Recovered != 2 || f.accepted["before"] != 1 || f.accepted["after"] != 1 {
		t.Errorf("%+v, %v", s, f.accepted)
	}
}

func TestASpoolIsBounded(t *testing.T) {
	for name, policy := range map[string]Policy{"newest": DropNewest, "oldest": DropOldest} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			f := &fake{hold: make(chan struct{})}
			c := f.client(t, func(c *Config) { c.SpoolDir, c.SpoolBytes, c.WhenFull = dir, 1<<20, policy })
			const n = 20000
			for i := range n {
				c.Track(t.Context(), "e", nil, EventID(fmt.Sprint(i)))
			}
			s := balanced(t, c)
			if s.Dropped.Full == 0 || s.Pending == 0 {
				t.Errorf("%+v", s)
			}
			if size := dirSize(t, dir); size > 1<<20+4096 {
				t.Errorf("%d bytes on disk", size)
			}
			close(f.hold)
			s = closeNow(t, c)
			if s.Sent+s.Dropped.Full != n || int(s.Sent) != f.stored() {
				t.Errorf("%+v, stored %d", s, f.stored())
			}
			if kept := f.accepted[fmt.Sprint(n-1)] == 1; kept != (policy == DropOldest) {
				t.Errorf("the newest was kept: %v", kept)
			}
			if size := dirSize(t, dir); size > 128<<10 {
				t.Errorf("%d bytes stay on disk", size)
			}
		})
	}
}

func dirSize(t *testing.T, dir string) (size int64) {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if info, err := f.Info(); err == nil {
			size += info.Size()
		}
	}
	return size
}

// TestLargeEventsFromASpool sends one event at a time, which is more than a request is meant to have.
func TestLargeEventsFromASpool(t *testing.T) {
	f := &fake{}
	c := f.client(t, func(c *Config) { c.SpoolDir, c.FlushBytes = t.TempDir(), 1 })
	for range 5 {
		c.Track(t.Context(), "e", map[string]any{"v": string(bytes.Repeat([]byte("x"), 20000))})
	}
	if s := closeNow(t, c); s.Sent != 5 || s.Dropped.Total() > 0 {
		t.Errorf("%+v", s)
	}
}

func TestMarks(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "cursor"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if m := readMark(f); m != (mark{}) {
		t.Error(m)
	}
	for _, want := range []mark{{1, 2}, {1 << 60, 1 << 40}, {}} {
		writeMark(f, want)
		if m := readMark(f); m != want {
			t.Errorf("%v became %v", want, m)
		}
	}
	writeMark(f, mark{5, 5})
	if _, err := f.WriteAt([]byte{'9'}, 3); err != nil {
		t.Fatal(err)
	}
	if m := readMark(f); m != (mark{}) {
		t.Errorf("spoilt, it is %v", m)
	}
}

// FuzzLines reads anything as a segment: events come back whole or not at all.
func FuzzLines(f *testing.F) {
	f.Add([]byte(`{"a":1}`), []byte("junk"), 3)
	f.Add([]byte(``), []byte("\n\n"), 0)
	f.Fuzz(func(t *testing.T, event, junk []byte, at int) {
		if bytes.IndexByte(event, '\n') >= 0 || len(event) == 0 {
			return
		}
		text := slices.Concat(junk, []byte("\n"), appendLine(nil, event), junk)
		found := false
		lines(text, func(s span, end int, good bool) bool {
			found = found || good && bytes.Equal(text[s.from:s.to], event)
			return true
		})
		if !found {
			t.Errorf("%q is not found in %q", event, text)
		}
	})
}
