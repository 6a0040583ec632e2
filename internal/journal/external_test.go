package journal_test

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/journal"
	"github.com/tidemark-obs/tidemark/internal/journal/journaltest"
)

// proxy stands between the journal and a server, and can keep the server's answers to itself.
type proxy struct {
	listener net.Listener
	target   string
	mute     atomic.Bool

	mu    sync.Mutex
	conns []net.Conn
	work  sync.WaitGroup
}

func newProxy(t *testing.T, url string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: l, target: strings.TrimPrefix(url, "nats://")}
	p.work.Go(p.accept)
	t.Cleanup(func() {
		_ = l.Close() // ends accept
		p.cut()
		p.work.Wait()
	})
	return p
}

func (p *proxy) url() string { return "nats://" + p.listener.Addr().String() }

func (p *proxy) accept() {
	for {
		in, err := p.listener.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", p.target)
		if err != nil {
			_ = in.Close() // the journal tries again
			continue
		}
		p.mu.Lock()
		p.conns = append(p.conns, in, out)
		p.mu.Unlock()
		p.work.Go(func() { p.copy(out, in, nil) })
		p.work.Go(func() { p.copy(in, out, &p.mute) })
	}
}

func (p *proxy) copy(to, from net.Conn, mute *atomic.Bool) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if mute == nil || !mute.Load() {
			if _, werr := to.Write(buf[:n]); werr != nil {
				err = werr
			}
		}
		if err != nil {
			_ = from.Close() // one end is gone: so is the other
			_ = to.Close()
			return
		}
	}
}

// cut ends all connections.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		_ = c.Close() // it may be closed already
	}
	p.conns = nil
}

// TestLostAnswer: the message is stored, its answer is lost, the connection breaks. Sending it
// again must not store it again.
func TestLostAnswer(t *testing.T) {
	nodes := journaltest.StartCluster(t, 1)
	p := newProxy(t, nodes.Address(0))
	j := openJournal(t, func(c *journal.Config) { c.URL, c.AppendTimeout = p.url(), 15*time.Second }) // a fourth of it an attempt
	c := newClient()
	for range 3 {
		if err := c.append(t.Context(), j, 10); err != nil {
			t.Fatal(err)
		}
		p.mute.Store(true)
		seq := j.LastAppended()
		answer := make(chan error, 1)
		go func() { answer <- c.append(t.Context(), j, 10) }()
		journaltest.Eventually(t, "the server stores it", func() bool { return lastSeq(nodes) == seq+1 })
		p.cut()
		p.mute.Store(false)
		if err := <-answer; err != nil {
			t.Fatalf("after the connection broke: %v", err)
		}
	}
	if got := lastSeq(nodes); got != 6 {
		t.Fatalf("6 entries are %d messages", got)
	}
	c.verify(t, j)
}

func lastSeq(nodes *journaltest.Cluster) (seq uint64) {
	_ = nodes.Manage(func(ctx context.Context, js jetstream.JetStream) error { // asked again if it fails
		s, err := js.Stream(ctx, "TIDEMARK")
		if err == nil {
			seq = s.CachedInfo().State.LastSeq
		}
		return err
	})
	return seq
}

// TestUnknownOutcome: no answer comes in time. The entry is refused, though it is stored; the
// totals of the writers say so, and the journal goes on when it hears again.
func TestUnknownOutcome(t *testing.T) {
	nodes := journaltest.StartCluster(t, 1)
	p := newProxy(t, nodes.Address(0))
	j := openJournal(t, func(c *journal.Config) { c.URL, c.AppendTimeout, c.Writer = p.url(), 10*time.Second, "w" })
	c := newClient()
	if err := c.append(t.Context(), j, 10); err != nil {
		t.Fatal(err)
	}
	p.mute.Store(true)
	start := time.Now()
	err := c.append(t.Context(), j, 10)
	if took := time.Since(start); !errs.Is(err, errs.Unavailable) || took > time.Minute {
		t.Fatalf("without an answer: %v after %v", err, took)
	}
	journaltest.Eventually(t, "the journal says why it refuses", func() bool { return errs.Is(j.State().Err, errs.Unavailable) })
	p.mute.Store(false)
	p.cut()
	journaltest.Eventually(t, "the journal takes events again", func() bool { return c.append(t.Context(), j, 10) == nil })
	c.verify(t, j)
	r, err := j.Read(t.Context(), 0, true)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for seq, want := range []string{`^w$`, `^w$`, `^w\.\d{6}$`} { // doubted once, or again where the journal took long to hear
		m, err := r.Next(t.Context())
		if err != nil || !regexp.MustCompile(want).MatchString(m.Writer) {
			t.Fatalf("message %d is of writer %q: %v", seq+1, m.Writer, err)
		}
	}
}

// TestUnsafeStream: a stream that would lose events is not used, and the error names why.
func TestUnsafeStream(t *testing.T) {
	nodes := journaltest.StartCluster(t, 1)
	for _, test := range []struct {
		name  string
		spoil func(*jetstream.StreamConfig)
		says  string
	}{
		{"discards old", func(c *jetstream.StreamConfig) { c.Discard = jetstream.DiscardOld }, "discard"},
		{"in memory", func(c *jetstream.StreamConfig) { c.Storage = jetstream.MemoryStorage }, "storage"},
		{"expires", func(c *jetstream.StreamConfig) { c.MaxAge = time.Hour }, "age"},
		{"work queue", func(c *jetstream.StreamConfig) { c.Retention = jetstream.WorkQueuePolicy }, "retention"},
		{"one per subject", func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject = 1 }, "per subject"},
		{"other subjects", func(c *jetstream.StreamConfig) { c.Subjects = []string{"tidemark.>"} }, "subjects"},
		{"forgets ids", func(c *jetstream.StreamConfig) { c.Duplicates = time.Second }, "duplicate"},
		{"never purged", func(c *jetstream.StreamConfig) { c.DenyPurge = true }, "purging"},
		{"async", func(c *jetstream.StreamConfig) { c.PersistMode = jetstream.AsyncPersistMode }, "persist"},
	} {
		t.Run(test.name, func(t *testing.T) {
			want := jetstream.StreamConfig{
				Name: "TIDEMARK", Subjects: []string{"tidemark.journal"}, Discard: jetstream.DiscardNew,
				Storage: jetstream.FileStorage, MaxBytes: 64 << 20, Duplicates: time.Minute,
			}
			test.spoil(&want)
			err := nodes.Manage(func(ctx context.Context, js jetstream.JetStream) error {
				_, err := js.CreateStream(ctx, want)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			defer nodes.Drop("TIDEMARK")
			cfg := journaltest.NewConfig(t)
			cfg.URL = nodes.URL()
			_, err = journal.Open(t.Context(), cfg)
			if !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), test.says) {
				t.Fatalf("got %v", err)
			}
		})
	}
}

// TestForeignStream: a stream that an operator made well is used as it is, and keeps its id.
func TestForeignStream(t *testing.T) {
	nodes := journaltest.StartCluster(t, 1)
	err := nodes.Manage(func(ctx context.Context, js jetstream.JetStream) error {
		_, err := js.CreateStream(ctx, jetstream.StreamConfig{
			Name: "TIDEMARK", Subjects: []string{"tidemark.journal"}, Discard: jetstream.DiscardNew, MaxBytes: 2 << 20,
		})
		if err == nil {
			_, err = js.Publish(ctx, "tidemark.journal", []byte("not ours"))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	where := func(c *journal.Config) { c.URL = nodes.URL() }
	j := openJournal(t, where)
	if st := j.State(); st.MaxBytes != 2<<20 || st.StreamID == "" || st.LastSeq != 1 {
		t.Fatalf("state is %+v", st)
	}
	if again := openJournal(t, where).State().StreamID; again != j.State().StreamID {
		t.Fatalf("the same stream has ids %s and %s", j.State().StreamID, again)
	}
	r, err := j.Read(t.Context(), 0, false)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if m, err := r.Next(t.Context()); err != nil || m.Lines != nil || m.Counts.Accepted != 0 {
		t.Fatalf("a message of somebody else's is %+v, %v", m, err)
	}
}

// TestOpensLater: a server that cannot make the stream just now is asked again.
func TestOpensLater(t *testing.T) {
	nodes := journaltest.StartCluster(t, 1)
	restore := nodes.Spoil(0)
	j := openJournal(t, func(c *journal.Config) {
		c.URL, c.AppendTimeout = nodes.URL(), 30*time.Second
		c.Logger = slog.New(slog.NewTextHandler(told(func(line string) {
			if strings.Contains(line, "just now") {
				restore()
			}
		}), nil))
	})
	if seq, err := j.Append(t.Context(), journal.Entry{}); err != nil || seq != 1 {
		t.Fatalf("the first message got position %d: %v", seq, err)
	}
}

// told is given every line that is logged.
type told func(line string)

func (f told) Write(p []byte) (int, error) {
	f(string(p))
	return len(p), nil
}

// TestStreamMadeAnew: positions of a stream that is gone mean nothing in the next one.
func TestStreamMadeAnew(t *testing.T) {
	nodes := journaltest.StartCluster(t, 1)
	where := func(c *journal.Config) { c.URL = nodes.URL() }
	j := openJournal(t, where)
	hasty := openJournal(t, where, func(c *journal.Config) { c.AppendTimeout = 5 * time.Second })
	c := newClient()
	for range 5 {
		if err := c.append(t.Context(), j, 10); err != nil {
			t.Fatal(err)
		}
	}
	r, err := j.Read(t.Context(), 0, true)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	nodes.Drop("TIDEMARK")
	other := openJournal(t, where) // makes it anew
	if other.State().StreamID == j.State().StreamID {
		t.Fatal("the new stream has the old id")
	}
	if _, err := r.Next(t.Context()); !errs.Is(err, errs.Conflict) {
		t.Fatalf("the old reader gets %v", err)
	}
	journaltest.Eventually(t, "a journal of the old one refuses", func() bool { return errs.Is(hasty.State().Err, errs.Unavailable) })
	if err := c.append(t.Context(), other, 10); err != nil {
		t.Fatal(err)
	}
}

// TestTwoWriters: two processes write to one stream; each one's totals have no gap.
func TestTwoWriters(t *testing.T) {
	nodes := journaltest.StartCluster(t, 1)
	where := func(c *journal.Config) { c.URL = nodes.URL() }
	a, b := openJournal(t, where), openJournal(t, where)
	c := newClient()
	stopA, stopB := c.load(a, 4, 100), c.load(b, 4, 100)
	journaltest.Eventually(t, "both append", func() bool { return a.LastAppended() > 50 && b.LastAppended() > 50 })
	stopA()
	stopB()
	last := max(a.LastAppended(), b.LastAppended())
	journaltest.Eventually(t, "each sees the other's messages", func() bool { return a.State().LastSeq == last && b.State().LastSeq == last })
	c.verify(t, a)
	c.verify(t, b)
}

// TestCredentials: what a URL holds beyond the host is told to nobody.
func TestCredentials(t *testing.T) {
	var log bytes.Buffer
	cfg := journaltest.NewConfig(t)
	cfg.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	cfg.AppendTimeout = 500 * time.Millisecond
	for _, url := range []string{
		"nats://user:s3cret@127.0.0.1:1", "nats://s3cret@127.0.0.1:1", "nats://u:s3cret@127.0.0.1:1,nats://u:s3cret@127.0.0.1:2",
		"nats://user:s3cret@[::1", "http://user:s3cret@127.0.0.1", "user:s3cret@127.0.0.1",
	} {
		cfg.URL = url
		_, err := journal.Open(t.Context(), cfg)
		if err == nil {
			t.Fatalf("%s was opened", url)
		}
		if strings.Contains(err.Error(), "s3cret") || strings.Contains(log.String(), "s3cret") {
			t.Fatalf("%v\n%s", err, log.String())
		}
	}
}
