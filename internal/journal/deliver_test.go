package journal

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
)

func openEmbedded(t *testing.T, change ...func(*Config)) *Journal {
	t.Helper()
	cfg := Config{Dir: t.TempDir(), Logger: slog.New(slog.DiscardHandler), Now: time.Now, MaxBytes: 64 << 20}
	for _, f := range change {
		f(&cfg)
	}
	j, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := j.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return j
}

// TestDoubtIsSettled: after a failure with unknown outcome the message is looked for, and
// written only if it is not there.
func TestDoubtIsSettled(t *testing.T) {
	for _, test := range []struct {
		name   string
		stored bool
	}{{"it was stored", true}, {"it was not stored", false}} {
		t.Run(test.name, func(t *testing.T) {
			j := openEmbedded(t)
			if _, err := j.Append(t.Context(), Entry{Lines: []byte("first\n")}); err != nil {
				t.Fatal(err)
			}
			d, err := j.writer.draft(&event.Counts{Accepted: 1}, body{data: []byte("second\n")})
			if err != nil {
				t.Fatal(err)
			}
			l, err := j.current()
			if err != nil {
				t.Fatal(err)
			}
			if test.stored {
				if _, err := j.attempt(t.Context(), l, d); err != nil {
					t.Fatal(err)
				}
			}
			d.doubtful = true
			j.fail(l, errors.New("the disk hiccups"))
			if err := j.State().Err; !errs.Is(err, errs.Unavailable) {
				t.Fatalf("a broken journal says %v", err)
			}
			seq, err := j.deliver(t.Context(), d)
			if err != nil || seq != 2 {
				t.Fatalf("got position %d: %v", seq, err)
			}
			if st := j.State(); st.Err != nil {
				t.Fatalf("after it is mended: %+v", st)
			}
			if err := j.Purge(t.Context(), 0); err != nil { // asks the stream
				t.Fatal(err)
			}
			if st := j.State(); st.LastSeq != 2 {
				t.Fatalf("the stream ends at %d", st.LastSeq)
			}
		})
	}
}

// TestLateWriteIsRefused: a message drafted for one place in the stream is not stored at another.
func TestLateWriteIsRefused(t *testing.T) {
	j := openEmbedded(t)
	l, err := j.current()
	if err != nil {
		t.Fatal(err)
	}
	late, err := j.writer.draft(&event.Counts{}, body{data: []byte("late\n")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := j.Append(t.Context(), Entry{Lines: []byte("first\n")}); err != nil {
		t.Fatal(err)
	}
	if seq, err := l.publish(t.Context(), late.msg, 0); err == nil {
		t.Fatalf("it was stored at %d", seq)
	}
}

func TestWriterTotals(t *testing.T) {
	w := newWriter("w")
	step := func(accepted uint64) *draft {
		d, err := w.draft(&event.Counts{Accepted: accepted}, body{})
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	ids := make(map[string]bool)
	check := func(d *draft, writer string, total uint64) {
		t.Helper()
		if got := d.msg.Header.Get(headerWriter); got != writer || d.total != total {
			t.Fatalf("got %s %d, want %s %d", got, d.total, writer, total)
		}
		if ids[d.id] {
			t.Fatalf("id %s is used twice", d.id)
		}
		ids[d.id] = true
	}
	d := step(3)
	check(d, "w", 3)
	w.wrote(d)
	check(step(4), "w", 7) // refused: not counted
	d = step(2)
	check(d, "w", 5)
	w.doubt()
	d = step(1)
	check(d, "w.000001", 1)
	w.wrote(d)
	check(step(1), "w.000001", 2)
}

func TestGathererIsBounded(t *testing.T) {
	q := newGatherer(100, 50*time.Millisecond)
	big := &Entry{Lines: make([]byte, 80)}
	first, err := q.join(t.Context(), big)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := q.join(t.Context(), big); !errs.Is(err, errs.Overloaded) {
		t.Fatalf("with nobody taking groups: %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := q.join(ended, big); !errs.Is(err, errs.Unavailable) || !errors.Is(err, context.Canceled) {
		t.Fatalf("of an ended request: %v", err)
	}
	small, err := q.join(t.Context(), &Entry{Lines: make([]byte, 20)})
	if err != nil || small != first {
		t.Fatalf("what fits is in another group: %v", err)
	}
	if g := q.take(); g != first || g.entries != 2 || len(g.lines) != 100 {
		t.Fatalf("took %+v", g)
	}
	over, err := q.join(t.Context(), &Entry{Lines: make([]byte, 300)}) // alone it is no matter of grouping
	if err != nil || over == first {
		t.Fatalf("a lone large entry: %v", err)
	}
	q.close()
	if g := q.take(); g != over {
		t.Fatal("what was gathered before closing is gone")
	}
	if q.take() != nil {
		t.Fatal("a closed gatherer gives more")
	}
	if _, err := q.join(t.Context(), big); !errs.Is(err, errs.Unavailable) {
		t.Fatalf("closed: %v", err)
	}
	first.finish(1, nil)
	over.finish(2, nil)
}

// TestMissingMessages: a disk that comes back without what was acknowledged is not trusted.
func TestMissingMessages(t *testing.T) {
	for _, test := range []struct {
		name string
		lose func(*testing.T, []string)
	}{
		{"all are gone", func(t *testing.T, blocks []string) { cut(t, blocks...) }},
		{"the last are gone", func(t *testing.T, blocks []string) { cut(t, blocks[len(blocks)-1]) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			log := make(lines, 1000)
			j := openEmbedded(t, func(c *Config) {
				c.AppendTimeout, c.Logger = time.Minute, slog.New(slog.NewTextHandler(log, nil))
			})
			blocks := fillBlocks(t, j)
			l, err := j.current()
			if err != nil {
				t.Fatal(err)
			}
			test.lose(t, blocks)
			j.fail(l, errors.New("the disk hiccups"))
			for text := ""; !strings.Contains(text, "still cannot write") || !strings.Contains(text, "missing"); {
				select {
				case text = <-log:
				case <-time.After(2 * time.Minute):
					t.Fatal("the log does not say that messages are missing")
				}
			}
			if _, err := j.Append(t.Context(), Entry{Lines: []byte("more\n")}); !errs.Is(err, errs.Unavailable) {
				t.Fatalf("the answer is %v", err)
			}
		})
	}
}

// fillBlocks appends 20 messages, which take several block files, and names those in order.
func fillBlocks(t *testing.T, j *Journal) []string {
	t.Helper()
	for range 20 {
		if _, err := j.Append(t.Context(), Entry{Lines: noise(1 << 20)}); err != nil {
			t.Fatal(err)
		}
	}
	blocks, err := filepath.Glob(filepath.Join(j.cfg.Dir, "jetstream", "*", "streams", "*", "msgs", "*.blk"))
	if err != nil || len(blocks) < 3 || len(blocks) > 9 {
		t.Fatalf("block files are %v: %v", blocks, err)
	}
	slices.Sort(blocks)
	return blocks
}

// noise is n bytes that compression does not make fewer.
func noise(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

// TestDamagedBlock: messages that the disk has lost are not passed over in silence.
func TestDamagedBlock(t *testing.T) {
	for which := range 2 { // the first and one in the midst
		dir := t.TempDir()
		j := openEmbedded(t, func(c *Config) { c.Dir = dir })
		blocks := fillBlocks(t, j)
		if err := j.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		cut(t, blocks[which])
		j = openEmbedded(t, func(c *Config) { c.Dir = dir })
		r, err := j.Read(t.Context(), 0, false)
		for seq := uint64(1); err == nil; seq++ {
			var m Message
			if m, err = r.Next(t.Context()); err == nil && m.Seq != seq {
				t.Fatalf("message %d comes where %d is due", m.Seq, seq)
			}
			if seq == 20 {
				t.Fatal("all 20 messages are there")
			}
		}
		if !errs.Is(err, errs.Conflict) {
			t.Fatalf("with block file %d cut: %v", which+1, err)
		}
		if r != nil {
			r.Close()
		}
	}
}

func cut(t *testing.T, blocks ...string) {
	t.Helper()
	for _, b := range blocks {
		if err := os.Truncate(b, 0); err != nil {
			t.Fatal(err)
		}
	}
}

// lines gives what is logged to a test.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	select {
	case l <- string(p):
	default: // the test has seen enough
	}
	return len(p), nil
}
