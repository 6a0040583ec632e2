package journal

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tidemark-obs/tidemark/internal/errs"
)

func TestAlarmsSoundOncePerCrossing(t *testing.T) {
	var log bytes.Buffer
	s := newStatus(Config{Logger: slog.New(slog.NewTextHandler(&log, nil)), Now: time.Now, MaxAge: time.Hour})
	s.now.MaxBytes = 1000
	for _, step := range []struct {
		bytes int64
		says  string // in percent; empty = nothing new
	}{
		{600, ""}, {700, "70"}, {800, ""}, {950, "90"}, {960, ""}, {800, ""}, {910, "90"}, {100, ""}, {990, "90"}, {0, ""}, {750, "70"},
	} {
		log.Reset()
		s.now.Bytes = step.bytes
		s.sound()
		said := ""
		if _, after, ok := strings.Cut(log.String(), "percent="); ok {
			said, _, _ = strings.Cut(after, " ")
		}
		if said != step.says {
			t.Fatalf("at %d: says %q, want %q", step.bytes, said, step.says)
		}
	}
}

func TestConfig(t *testing.T) {
	ok := Config{Dir: "x", Logger: slog.New(slog.DiscardHandler), Now: time.Now}
	got, err := ok.complete()
	if err != nil {
		t.Fatal(err)
	}
	if got.MaxBytes != DefaultMaxBytes || got.MaxAge != DefaultMaxAge || got.MinFree != DefaultMinFree ||
		got.AppendTimeout != DefaultAppendTimeout || got.Writer == "" || got.ObserveFsync == nil {
		t.Fatalf("defaults are %+v", got)
	}
	if again, err := ok.complete(); err != nil || again.Writer == got.Writer {
		t.Fatalf("two processes have the same id: %v", err)
	}
	for name, spoil := range map[string]func(*Config){
		"no logger":         func(c *Config) { c.Logger = nil },
		"no clock":          func(c *Config) { c.Now = nil },
		"nowhere":           func(c *Config) { c.Dir = "" },
		"too small":         func(c *Config) { c.MaxBytes = 1000 },
		"negative bound":    func(c *Config) { c.MaxBytes = -1 },
		"negative age":      func(c *Config) { c.MaxAge = -1 },
		"negative timeout":  func(c *Config) { c.AppendTimeout = -1 },
		"too many replicas": func(c *Config) { c.Replicas = 6 },
		"endless append":    func(c *Config) { c.URL, c.AppendTimeout = "nats://127.0.0.1:1", time.Hour },
	} {
		c := ok
		spoil(&c)
		if j, err := Open(t.Context(), c); err == nil {
			_ = j.Close(context.Background()) // the test has failed anyway
			t.Errorf("%s: it opens", name)
		}
	}
}

func TestRefusal(t *testing.T) {
	api := func(code jetstream.ErrorCode, text string) error {
		return &jetstream.APIError{ErrorCode: code, Description: text}
	}
	for _, test := range []struct {
		err  error
		kind errs.Kind // Internal = the outcome is open
	}{
		{nats.ErrMaxPayload, errs.TooLarge},
		{api(codeTooLarge, ""), errs.TooLarge},
		{api(codeStoreRefused, "maximum bytes exceeded"), errs.Overloaded},
		{api(codeStorageLimit, ""), errs.Overloaded},
		{api(codeStoreRefused, "store is closed"), errs.Internal},
		{api(10071, "wrong last sequence"), errs.Internal},
		{nats.ErrNoResponders, errs.Internal},
		{context.DeadlineExceeded, errs.Internal},
		{errors.New("anything"), errs.Internal},
	} {
		got := refusal(test.err)
		if open := test.kind == errs.Internal; open != (got == nil) || (!open && !errs.Is(got, test.kind)) {
			t.Errorf("%v: refused with %v", test.err, got)
		}
	}
}

// TestBoundChanges: the bound of an existing journal follows the configuration, and nothing is
// lost when it shrinks below what is there.
func TestBoundChanges(t *testing.T) {
	dir := t.TempDir()
	at := func(maxBytes int64) *Journal {
		return openEmbedded(t, func(c *Config) { c.Dir, c.MaxBytes = dir, maxBytes })
	}
	j := at(16 << 20)
	for range 40 {
		if _, err := j.Append(t.Context(), Entry{Lines: noise(100 << 10)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	j = at(2 << 20)
	st := j.State()
	if !errs.Is(st.Err, errs.Overloaded) || st.MaxBytes != 2<<20 || st.FirstSeq != 1 || st.LastSeq != 40 {
		t.Fatalf("with a smaller bound: %+v", st)
	}
	if err := j.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if st := at(32 << 20).State(); st.Err != nil || st.MaxBytes != 32<<20 || st.FirstSeq != 1 {
		t.Fatalf("with a larger bound: %+v", st)
	}
}

// TestJudge: that the server did not find itself ready in a millisecond says nothing of the stream.
func TestJudge(t *testing.T) {
	unready := &server.HealthStatus{StatusCode: 500, Error: "failed to be ready for connections after 1ms"}
	broken := &server.HealthStatus{StatusCode: 503, Error: "write error"}
	well := &server.HealthStatus{StatusCode: 200}
	for name, test := range map[string]struct {
		says []*server.HealthStatus // the last one for ever
		err  string
	}{
		"well":                   {[]*server.HealthStatus{well}, ""},
		"well after a while":     {[]*server.HealthStatus{unready, unready, well}, ""},
		"broken":                 {[]*server.HealthStatus{broken}, "write error"},
		"broken after a while":   {[]*server.HealthStatus{unready, broken}, "write error"},
		"never ready":            {[]*server.HealthStatus{unready}, "ready"},
		"says nothing of itself": {[]*server.HealthStatus{nil}, ""},
	} {
		asked := 0
		err := judge(func() *server.HealthStatus {
			asked++
			return test.says[min(asked, len(test.says))-1]
		})
		if (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
			t.Errorf("%s: %v, want %q", name, err, test.err)
		}
	}
}

// TestUnreadyServer: what judge takes for not ready is what the server means by it.
func TestUnreadyServer(t *testing.T) {
	srv, err := server.NewServer(&server.Options{DontListen: true, NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	health := srv.Healthz(nil) // it has not been started
	if health.StatusCode != http.StatusInternalServerError || !strings.Contains(health.Error, "ready") {
		t.Fatalf("a server that has not been started says %+v", health)
	}
}

// answers is a stream whose answers the test gives.
type answers struct {
	jetstream.Stream
	questions chan chan *jetstream.StreamInfo
}

func (a answers) Info(context.Context, ...jetstream.StreamInfoOpt) (*jetstream.StreamInfo, error) {
	answer := make(chan *jetstream.StreamInfo)
	a.questions <- answer
	return <-answer, nil
}

// TestLateAnswers: an answer that was on its way for long does not undo what is known since.
func TestLateAnswers(t *testing.T) {
	s := newStatus(Config{MaxBytes: 1 << 20, MaxAge: time.Hour, Logger: slog.New(slog.DiscardHandler), Now: time.Now})
	stream := answers{questions: make(chan chan *jetstream.StreamInfo)}
	l := newLink(nil, nil, stream)
	ended := make(chan error)
	ask := func() chan *jetstream.StreamInfo {
		go func() { ended <- s.refresh(t.Context(), l) }()
		return <-stream.questions
	}
	hear := func(answer chan *jetstream.StreamInfo, first, last, bytes uint64) {
		t.Helper()
		info := &jetstream.StreamInfo{State: jetstream.StreamState{FirstSeq: first, LastSeq: last, Bytes: bytes, FirstTime: time.Now()}}
		if first > 0 {
			info.State.Msgs = last - first + 1
		}
		info.Config.Metadata = map[string]string{metaStreamID: "id"}
		answer <- info
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	}
	want := func(first, last uint64, bytes int64) {
		t.Helper()
		if st := s.state(); st.FirstSeq != first || st.LastSeq != last || st.Bytes != bytes {
			t.Fatalf("state is %+v, want %d to %d with %d bytes", st, first, last, bytes)
		}
	}
	s.now.StreamID = "id"

	// Written while the answer that the stream is empty was on its way.
	answer := ask()
	s.wrote(Message{Seq: 1}, 100)
	hear(answer, 0, 0, 0)
	want(1, 1, 100)
	s.wrote(Message{Seq: 2}, 100)
	want(1, 2, 200)

	// The answer knows the first two of four.
	answer = ask()
	s.wrote(Message{Seq: 3}, 100)
	s.wrote(Message{Seq: 4}, 100)
	hear(answer, 1, 2, 190)
	want(1, 4, 390)

	// Asked before a purge, answered after the one who purged had an answer.
	before := ask()
	s.settledUpTo(3, 3)
	hear(ask(), 4, 4, 95)
	want(4, 4, 95)
	hear(before, 1, 4, 380)
	want(4, 4, 95)
}
