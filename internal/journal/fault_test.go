package journal_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/journal"
	"github.com/tidemark-obs/tidemark/internal/journal/journaltest"
)

// client appends named events and keeps, outside of the journal, which it was told are safe.
type client struct {
	mu      sync.Mutex
	acked   map[string]uint64 // name → position
	refused int
	next    int
}

func newClient() *client { return &client{acked: make(map[string]uint64)} }

// append appends one new event, padded to a size that stays, and notes the answer.
func (c *client) append(ctx context.Context, j *journal.Journal, size int) error {
	c.mu.Lock()
	name := fmt.Sprintf("e%d", c.next)
	c.next++
	c.mu.Unlock()
	e := journal.Entry{Lines: fmt.Appendf(nil, "%s %s\n", name, journaltest.Noise(size))}
	e.Counts.Received[event.Analytics], e.Counts.Accepted = 1, 1
	seq, err := j.Append(ctx, e)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.refused++
		return err
	}
	c.acked[name] = seq
	return nil
}

// since is what was acknowledged so far and not before a position.
func (c *client) since(first uint64) *client {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := newClient()
	for name, seq := range c.acked {
		if seq >= first {
			s.acked[name] = seq
		}
	}
	return s
}

func (c *client) count() (acked, refused int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.acked), c.refused
}

// load appends from several goroutines until stopped; what is refused is not tried again.
func (c *client) load(j *journal.Journal, producers, size int) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	for range producers {
		work.Go(func() {
			for ctx.Err() == nil {
				if err := c.append(context.Background(), j, size); err != nil {
					wait, done := context.WithTimeout(ctx, 5*time.Millisecond)
					<-wait.Done()
					done()
				}
			}
		})
	}
	return func() { cancel(); work.Wait() }
}

// verify reads the whole journal: every event that was acknowledged is there once, and the
// totals have no gap.
func (c *client) verify(t *testing.T, j *journal.Journal) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	st := j.State()
	r, err := j.Read(ctx, max(st.FirstSeq, 1)-1, false)
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	defer r.Close()
	audit := journaltest.Audit{From: st.FirstSeq}
	seen := make(map[string]int)
	for seq := max(st.FirstSeq, 1); seq <= st.LastSeq; seq++ {
		m, err := r.Next(ctx)
		if err != nil {
			t.Fatalf("next at %d: %v", seq, err)
		}
		audit.Add(t, m)
		for line := range bytes.Lines(m.Lines) {
			name, _, _ := bytes.Cut(line, []byte{' '})
			seen[string(name)]++
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	lost, twice := 0, 0
	for name := range c.acked {
		if seen[name] == 0 {
			lost++
		}
	}
	for _, n := range seen {
		if n > 1 {
			twice++
		}
	}
	t.Logf("acknowledged %d, refused %d, lost %d, twice %d; refused and stored all the same %d; writers %d",
		len(c.acked), c.refused, lost, twice, len(seen)-len(c.acked)+lost, len(audit.Totals))
	if lost > 0 || twice > 0 {
		t.Fatal("the journal broke its promise")
	}
}

// TestPowerCut copies the directory while events are appended and opens the copy, as after a
// power cut: all that was acknowledged before the copy began must be in it.
func TestPowerCut(t *testing.T) {
	dir := t.TempDir()
	j := openJournal(t, func(c *journal.Config) { c.Dir = dir })
	c := newClient()
	for round := range 4 {
		goal := 2000 * (round + 1)
		stop := c.load(j, 16, 2000)
		journaltest.Eventually(t, "events are appended", func() bool { n, _ := c.count(); return n > goal })
		before := c.since(j.State().FirstSeq)
		after := t.TempDir()
		if err := os.CopyFS(filepath.Join(after, "j"), os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		stop()
		before.verify(t, openJournal(t, func(c *journal.Config) { c.Dir = filepath.Join(after, "j") }))
		if err := j.Purge(t.Context(), j.LastAppended()-100); err != nil {
			t.Fatal(err)
		}
	}
}

// smallDisk mounts a file system of its own, with a ballast that can be taken away.
func smallDisk(t *testing.T, size, ballast int) (dir string, free func()) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("SKIPPED: mounting a small file system needs root")
	}
	mnt := t.TempDir()
	if err := syscall.Mount("tmpfs", mnt, "tmpfs", 0, fmt.Sprintf("size=%d", size)); err != nil {
		t.Skipf("SKIPPED: cannot mount a small file system: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(mnt, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	heavy := filepath.Join(mnt, "ballast")
	if err := os.WriteFile(heavy, make([]byte, ballast), 0o600); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(mnt, "journal"), func() {
		if err := os.Remove(heavy); err != nil {
			t.Error(err)
		}
	}
}

// TestDiskFull lets JetStream run into a full disk and frees it again, some times: where in a
// message the disk ends is left to chance.
func TestDiskFull(t *testing.T) {
	rounds := 4
	if testing.Short() {
		rounds = 1
	}
	for round := range rounds {
		t.Run(fmt.Sprint(round), diskFull)
	}
}

func diskFull(t *testing.T) {
	dir, free := smallDisk(t, 24<<20, 8<<20)
	j := openJournal(t, func(c *journal.Config) { c.Dir, c.MinFree, c.AppendTimeout = dir, -1, 10*time.Second })
	c := newClient()
	r, err := j.Read(t.Context(), 0, true)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	stop := c.load(j, 8, 10_000)
	defer stop()
	journaltest.Eventually(t, "every producer is refused", func() bool { _, n := c.count(); return n >= 8 })
	// It tries again now and then, and perhaps an append just then.
	journaltest.Eventually(t, "the journal refuses without trying", func() bool {
		start := time.Now()
		err := c.append(t.Context(), j, 10_000)
		return errs.Is(err, errs.Unavailable) && errs.Is(j.State().Err, errs.Unavailable) && time.Since(start) < 5*time.Second
	})
	acked, _ := c.count()
	free()
	journaltest.Eventually(t, "the journal takes events again", func() bool { n, _ := c.count(); return n > acked+100 })
	stop()
	c.verify(t, j)
	for range j.LastAppended() {
		if _, err := r.Next(t.Context()); err != nil {
			t.Fatalf("the reader from before: %v", err)
		}
	}
}

// TestDiskReserve stops before the disk is full, and goes on by itself.
func TestDiskReserve(t *testing.T) {
	dir, free := smallDisk(t, 24<<20, 8<<20)
	j := openJournal(t, func(c *journal.Config) { c.Dir, c.MinFree = dir, 4<<20 })
	c := newClient()
	var err error
	for err == nil {
		err = c.append(t.Context(), j, 100_000)
	}
	if !errs.Is(err, errs.Overloaded) || !errs.Is(j.State().Err, errs.Overloaded) {
		t.Fatalf("below the reserve the answer is %v, the state %v", err, j.State().Err)
	}
	free()
	journaltest.Eventually(t, "the journal takes events again", func() bool { return c.append(t.Context(), j, 100) == nil })
	c.verify(t, j)
}

// TestPurgingOnAFullDisk: JetStream, purging on a disk that is full, would wait for itself for ever. It is
// asked again when there is room.
func TestPurgingOnAFullDisk(t *testing.T) {
	dir, free := smallDisk(t, 24<<20, 1)
	j := openJournal(t, func(c *journal.Config) { c.Dir, c.MinFree = dir, 1 })
	c := newClient()
	for range 1000 { // the marks of so many that are purged take more than a page
		if err := c.append(t.Context(), j, 10); err != nil {
			t.Fatal(err)
		}
	}
	fill(t, filepath.Join(filepath.Dir(dir), "ballast"))
	stored := j.LastAppended()
	if err := j.Settle(t.Context(), stored, stored-100); !errs.Is(err, errs.Unavailable) {
		t.Errorf("purging on a full disk: %v", err)
	}
	free()
	journaltest.Eventually(t, "stored events are purged", func() bool { return j.Settle(t.Context(), stored, stored-100) == nil })
	journaltest.Eventually(t, "the journal takes events again", func() bool { return c.append(t.Context(), j, 10) == nil })
	first := j.State().FirstSeq
	if first != stored-99 {
		t.Errorf("the journal begins at %d of %d", first, stored)
	}
	c.since(first).verify(t, j)
}

// fill makes a file take all the room that its disk has.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for chunk := 1 << 20; chunk > 0; {
		if _, err := f.Write(make([]byte, chunk)); errors.Is(err, syscall.ENOSPC) {
			chunk /= 2
		} else if err != nil {
			t.Fatal(err)
		}
	}
}
