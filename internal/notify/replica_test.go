package notify

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tidemark-obs/tidemark/internal/pgtest"
	"github.com/tidemark-obs/tidemark/internal/store"
)

const (
	replicaEnv      = "TIDEMARK_TEST_REPLICA" // name, database and receiver, in three lines
	replicaInterval = 9 * time.Second         // long enough for a busy machine not to lose the office by itself
)

// replica is a process of its own: a manager that is told on its standard input what its evaluator
// finds, and says on its output what it has taken in and whether it speaks.
func replica() error {
	lines := strings.Split(os.Getenv(replicaEnv), "\n")
	ctx := context.Background()
	db, err := store.Open(ctx, store.Config{URL: lines[1], Now: time.Now})
	if err != nil {
		return err
	}
	if _, err := db.Migrate(ctx, false); err != nil {
		return err
	}
	m, err := New(Options{
		Config: Config{GroupBy: []string{"..."}, GroupWait: 2 * time.Second, GroupInterval: time.Second, RepeatInterval: time.Hour, SendResolved: true,
			Receivers: []Receiver{{Name: "ops", Type: Webhook, URL: Secret(lines[2]), AllowPrivateAddresses: true}}},
		Store: db, Office: db, Replica: lines[0], Interval: replicaInterval,
		Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)), Registry: prometheus.NewRegistry(), Now: time.Now,
	})
	if err != nil {
		return err
	}
	m.Start()
	defer db.Close()
	return errors.Join(obey(ctx, m), m.Stop(ctx))
}

// obey does what the input says until it says quit or ends.
func obey(ctx context.Context, m *Manager) error {
	input := make(chan string)
	go func() {
		defer close(input)
		for in := bufio.NewScanner(os.Stdin); in.Scan(); {
			input <- in.Text()
		}
	}()
	firing := map[string]time.Time{}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	speaks := false
	for n := 0; ; n++ {
		select {
		case line, ok := <-input:
			verb, name, _ := strings.Cut(line, " ")
			switch {
			case !ok || verb == "quit":
				fmt.Println("took", line)
				return nil
			case verb == "fire":
				firing[name] = time.Now()
				m.Notify(ctx, "x", ruleAlert(name, firing[name], time.Time{}))
			case verb == "resolve":
				m.Notify(ctx, "x", ruleAlert(name, firing[name], time.Now()))
				delete(firing, name)
			}
			fmt.Println("took", line)
		case <-tick.C:
			if now := m.State().Notifies; now != speaks {
				speaks = now
				fmt.Println("speaks", speaks)
			}
			for name, since := range maps.All(firing) {
				if n%10 == 0 {
					m.Notify(ctx, "x", ruleAlert(name, since, time.Time{}))
				}
			}
		}
	}
}

// process is a replica as its parent sees it.
type process struct {
	t      *testing.T
	name   string
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	mu     sync.Mutex
	said   []string
	ended  chan struct{}
	speaks bool
}

func startReplica(t *testing.T, name, db, receiver string) *process {
	t.Helper()
	p := &process{t: t, name: name, cmd: exec.Command(os.Args[0]), ended: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), replicaEnv+"="+name+"\n"+db+"\n"+receiver)
	stdin, err := p.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.stdin = stdin
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	p.cmd.Stderr = &log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		for in := bufio.NewScanner(out); in.Scan(); {
			p.mu.Lock()
			p.said = append(p.said, in.Text())
			if yes, ok := strings.CutPrefix(in.Text(), "speaks "); ok {
				p.speaks = yes == "true"
			}
			p.mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.ended
		_ = p.cmd.Wait() // it was killed, here or before
		if t.Failed() {
			t.Logf("%s:\n%s", name, log.String())
		}
	})
	return p
}

func (p *process) tell(line string) {
	p.t.Helper()
	if _, err := io.WriteString(p.stdin, line+"\n"); err != nil {
		p.t.Fatal(err)
	}
}

func (p *process) do(line string) {
	p.t.Helper()
	p.tell(line)
	waitFor(p.t, p.name+" to take "+line, func() bool { return p.has("took " + line) })
}

func (p *process) has(line string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.said {
		if s == line {
			return true
		}
	}
	return false
}

func (p *process) speaking() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.speaks
}

func (p *process) signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

func waitFor(t *testing.T, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(90 * time.Second); !is(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatal("waited in vain for ", what)
		}
	}
}

// mailbox counts what a webhook gets, by alert and status.
type mailbox struct {
	*httptest.Server
	mu    sync.Mutex
	count map[string]int
}

func newMailbox(t *testing.T) *mailbox {
	b := &mailbox{count: map[string]int{}}
	b.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var m webhookBody
		if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
			t.Error(err)
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, a := range m.Alerts {
			b.count[a.Labels["alertname"]+" "+a.Status]++
		}
	}))
	t.Cleanup(b.Close)
	return b
}

func (b *mailbox) got(what string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.count[what]
}

// stage is where replicas play: one PostgreSQL and one receiver.
type stage struct {
	*testing.T
	url string
	db  *store.Store
	box *mailbox
}

// told waits until something was told and logged: what dies in between tells twice.
func (s *stage) told(what string) {
	s.Helper()
	waitFor(s.T, what+" to be told", func() bool { return s.box.got(what) > 0 })
	name, status, _ := strings.Cut(what, " ")
	waitFor(s.T, what+" to be logged", func() bool {
		found, err := s.db.LoadAlerting(s.Context())
		if err != nil {
			s.Fatal(err)
		}
		return slices.ContainsFunc(found.Told, func(x store.Told) bool {
			return strings.Contains(x.GroupKey, `"`+name+`"`) && (len(x.Firing) > 0) == (status == "firing")
		})
	})
}

func (s *stage) start(name string) *process {
	s.Helper()
	return startReplica(s.T, name, s.url, s.box.URL)
}

// TestReplicas lets processes on one PostgreSQL be killed and frozen. Each thing is told once.
func TestReplicas(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: takes half a minute")
	}
	s := &stage{T: t, url: pgtest.URL(t), box: newMailbox(t)}
	db, err := store.Open(t.Context(), store.Config{URL: s.url, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	s.db = db

	b := s.killTheFirst()
	c := s.freeze(b)

	// An alert is over when nobody sees it any more.
	c.do("resolve Two")
	c.do("fire Five")
	s.told("Five firing")
	if n := s.box.got("Two resolved"); n != 0 {
		t.Error("told as resolved while b sees it")
	}
	b.do("resolve Two")
	s.told("Two resolved")

	// An orderly stop hands over at once.
	c.do("quit")
	waitFor(t, "b to speak again", b.speaking)
	b.do("fire Six")
	s.told("Six firing")
	b.do("quit")
	<-b.ended
	<-c.ended
	s.box.mu.Lock()
	defer s.box.mu.Unlock()
	for what, n := range s.box.count {
		if n != 1 {
			t.Errorf("%s told %d times", what, n)
		}
	}
}

// killTheFirst kills the replica that speaks and returns its successor.
func (s *stage) killTheFirst() (b *process) {
	a := s.start("a")
	waitFor(s.T, "a to speak", a.speaking)
	b = s.start("b")
	a.do("fire One")
	b.do("fire One")
	s.told("One firing")

	// What only the silent replica sees is told as well.
	b.do("fire OnlyB")
	s.told("OnlyB firing")
	if b.speaking() {
		s.Fatal("two speak")
	}

	a.signal(syscall.SIGKILL)
	killed := time.Now()
	waitFor(s.T, "b to speak", b.speaking)
	s.Logf("b speaks %v after a was killed, with an interval of %v", time.Since(killed), replicaInterval)
	b.do("fire Two")
	s.told("Two firing")
	return b
}

// freeze freezes the replica that speaks just before it tells something, lets it wake up after its
// successor has told the same, and returns the successor.
func (s *stage) freeze(b *process) (c *process) {
	c = s.start("c")
	for _, name := range []string{"One", "Two", "Three"} {
		c.do("fire " + name)
	}
	b.do("fire Three") // it has two seconds until it tells
	b.signal(syscall.SIGSTOP)
	waitFor(s.T, "c to speak", c.speaking)
	s.told("Three firing")
	b.signal(syscall.SIGCONT)
	waitFor(s.T, "b to find out", func() bool { return !b.speaking() })
	b.do("fire Four")
	c.do("fire Four")
	s.told("Four firing")
	return c
}
