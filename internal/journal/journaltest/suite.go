package journaltest

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/journal"
)

// Opener opens the journal on one storage, again and again, each time with the given changes to
// its configuration. What it opens need not be closed by the suite.
type Opener func(t *testing.T, change ...func(*journal.Config)) *journal.Journal

// Run runs the suite on a storage with so many replicas. Each call of open returns an Opener of an
// empty one.
func Run(t *testing.T, replicas int, open func(t *testing.T) Opener) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, Opener)
	}{
		{"reads in order what was appended", inOrder},
		{"groups what arrives together", groups},
		{"reads while others append", readWhileAppending},
		{"resumes after a restart", resumes},
		{"reads headers alone", headersAlone},
		{"takes counts without events", countsAlone},
		{"Next waits until its context ends", nextWaits},
		{"compresses what gets smaller", compresses},
		{"readers of compressed messages do not disturb each other", readersApart},
		{"a purge keeps the newest message", purgeKeepsNewest},
		{"a gap is an error", gaps(replicas)},
		{"a full journal refuses, and takes again after a purge", full},
		{"a journal with events that wait too long refuses", tooOld},
		{"an entry over the limit is too large", tooLarge},
		{"an ended request is not written", endedRequest},
		{"a closed journal refuses", closed},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t)) })
	}
}

// NewConfig is the configuration that tests start from. An append may take long: servers that share
// a busy machine elect a leader of a stream anew, after 4 to 9 s, when they did not agree at once.
func NewConfig(t testing.TB) journal.Config {
	return journal.Config{
		MaxBytes: 256 << 20, AppendTimeout: 30 * time.Second,
		Logger: slog.New(slog.NewTextHandler(testWriter{t}, &slog.HandlerOptions{Level: slog.LevelWarn})),
		Now:    time.Now,
	}
}

// testWriter shows what is logged with the test that it belongs to.
type testWriter struct{ t testing.TB }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Log(string(bytes.TrimSpace(p)))
	return len(p), nil
}

// within bounds one test.
func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// entry is an entry of n accepted events, each one line that bears the name.
func entry(name string, n int) journal.Entry {
	var e journal.Entry
	for i := range n {
		e.Lines = fmt.Appendf(e.Lines, "%s/%d\n", name, i)
	}
	e.Counts.Received[event.Analytics] = uint64(n)
	e.Counts.Accepted = uint64(n)
	return e
}

func mustAppend(t *testing.T, j *journal.Journal, e journal.Entry) uint64 {
	t.Helper()
	seq, err := j.Append(within(t), e)
	if err != nil {
		t.Fatalf("append: %v", err)
	}
	return seq
}

func mustRead(t *testing.T, j *journal.Journal, after uint64, headersOnly bool) *journal.Reader {
	t.Helper()
	r, err := j.Read(within(t), after, headersOnly)
	if err != nil {
		t.Fatalf("read after %d: %v", after, err)
	}
	return r
}

// mustNext reads the next message and checks that it follows on the last one.
func mustNext(t *testing.T, r *journal.Reader, after uint64) journal.Message {
	t.Helper()
	m, err := r.Next(within(t))
	if err != nil {
		t.Fatalf("next after %d: %v", after, err)
	}
	if m.Seq != after+1 {
		t.Fatalf("message %d follows on %d", m.Seq, after)
	}
	return m
}

func mustClose(t *testing.T, j *journal.Journal) {
	t.Helper()
	if err := j.Close(within(t)); err != nil {
		t.Fatalf("close: %v", err)
	}
}

func mustPurge(t *testing.T, j *journal.Journal, upTo uint64) {
	t.Helper()
	if err := j.Purge(within(t), upTo); err != nil {
		t.Fatalf("purge up to %d: %v", upTo, err)
	}
}

func wantKind(t *testing.T, err error, kind errs.Kind) {
	t.Helper()
	if !errs.Is(err, kind) {
		t.Fatalf("got error %v, want one of kind %d", err, kind)
	}
	var e *errs.Error
	if (kind == errs.Overloaded || kind == errs.Unavailable) && errors.As(err, &e) && e.RetryAfter < 0 {
		t.Fatalf("error %v asks to retry in the past", err)
	}
}

// Noise is a text of n letters and digits that compression does not make shorter.
func Noise(n int) []byte {
	raw := make([]byte, n*3/4+3)
	rand.Read(raw)
	return base64.RawURLEncoding.AppendEncode(nil, raw)[:n]
}

// Audit follows the totals of the writers over the messages of a journal.
type Audit struct {
	From   uint64 // position of the first message; before it a writer may have written others
	Totals map[string]uint64
	Counts event.Counts
	Lines  int
}

// Add checks that nothing is missing between m and the messages before it.
func (a *Audit) Add(t testing.TB, m journal.Message) {
	t.Helper()
	if a.Totals == nil {
		a.Totals = make(map[string]uint64)
	}
	before, known := a.Totals[m.Writer]
	if !known && a.From > 1 {
		before = m.Total - m.Counts.Accepted
	}
	if want := before + m.Counts.Accepted; m.Total != want {
		t.Fatalf("message %d of %s: total %d, want %d", m.Seq, m.Writer, m.Total, want)
	}
	a.Totals[m.Writer] = m.Total
	a.Counts.Add(&m.Counts)
	a.Lines += bytes.Count(m.Lines, []byte{'\n'})
}
