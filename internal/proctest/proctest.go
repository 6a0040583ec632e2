package proctest

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Program is a program over its lives: each Start begins one, after the one before has ended.
type Program struct {
	t    testing.TB
	path string
	env  []string
	log  string // file of what it says, in all its lives

	cmd   *exec.Cmd
	gone  chan struct{} // closed when it has ended; its exit is in cmd.ProcessState
	began int64         // where this life begins in the log
}

// New makes a program; nothing runs yet. env comes on top of the test's own environment, of which
// OTEL_ and TIDEMARK_ variables are left out.
func New(t testing.TB, path string, env ...string) *Program {
	t.Helper()
	own := slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "OTEL_") || strings.HasPrefix(v, "TIDEMARK_")
	})
	p := &Program{t: t, path: path, env: append(own, env...), log: filepath.Join(t.TempDir(), "log")}
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			said := p.Said()
			t.Logf("the end of what %s said:\n%s", filepath.Base(path), said[max(0, len(said)-6000):])
		}
	})
	return p
}

// Start starts the program and does not wait for anything.
func (p *Program) Start(args ...string) {
	p.t.Helper()
	if !p.Ended() {
		p.t.Fatalf("%s runs already", p.path)
	}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		p.t.Fatal(err)
	}
	defer log.Close()
	if p.began, err = log.Seek(0, io.SeekEnd); err != nil {
		p.t.Fatal(err)
	}
	cmd := exec.Command(p.path, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = p.env, log, log
	dieWithParent(cmd)
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	gone := make(chan struct{})
	go func() { defer close(gone); _ = cmd.Wait() }() // the state says how it ended
	p.cmd, p.gone = cmd, gone
}

// Pid is the number of the running process.
func (p *Program) Pid() int { return p.cmd.Process.Pid }

// Said is what it has said on stdout and stderr, in all its lives.
func (p *Program) Said() string {
	b, err := os.ReadFile(p.log)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		p.t.Error(err)
	}
	return string(b)
}

// Listens waits until this life says where it listens, and returns that: the first group of word.
func (p *Program) Listens(word *regexp.Regexp) (address string) {
	p.t.Helper()
	Eventually(p.t, time.Minute, filepath.Base(p.path)+" listens", func() error {
		if m := word.FindStringSubmatch(p.Said()[p.began:]); m != nil {
			address = m[1]
			return nil
		}
		p.MustRun()
		return errors.New("it does not say so")
	})
	return address
}

// Ended tells whether nothing runs.
func (p *Program) Ended() bool { return p.Ends(0) }

// Ends waits until the program ends by itself, at most that long, and tells whether it has.
func (p *Program) Ends(within time.Duration) bool {
	if p.cmd == nil {
		return true
	}
	limit := time.NewTimer(within)
	defer limit.Stop()
	select {
	case <-p.gone:
		return true
	case <-limit.C:
	}
	select { // both may have been the case
	case <-p.gone:
		return true
	default:
		return false
	}
}

// MustRun ends the test when the program has ended by itself.
func (p *Program) MustRun() {
	p.t.Helper()
	if p.Ended() {
		p.t.Fatalf("%s ended by itself: %v", p.path, p.cmd.ProcessState)
	}
}

// ExitCode is that of the life that has ended, −1 after a signal.
func (p *Program) ExitCode() int { return p.cmd.ProcessState.ExitCode() }

// Signal sends a signal to the running program.
func (p *Program) Signal(sig os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		p.t.Errorf("%v to %s: %v", sig, p.path, err)
	}
}

// Stop asks the program to end and returns its exit code. One that does not end in time is killed,
// and the test fails.
func (p *Program) Stop(within time.Duration) int {
	p.t.Helper()
	p.Signal(syscall.SIGTERM)
	if !p.Ends(within) {
		p.t.Errorf("%s still runs %v after SIGTERM", p.path, within)
		p.Kill()
	}
	return p.ExitCode()
}

// Kill ends the program as kill -9 does and waits until it is gone.
func (p *Program) Kill() {
	if p.cmd != nil {
		_ = p.cmd.Process.Kill() // fails only when it is gone already
		<-p.gone
	}
}

// Tool starts Prometheus or Alertmanager, which listens on a port of the kernel's choice, and waits
// until it says which.
func Tool(t testing.TB, path string, args ...string) (p *Program, address string) {
	t.Helper()
	p = New(t, path)
	p.Start(append(args, "--web.listen-address=127.0.0.1:0")...)
	return p, p.Listens(toolListens)
}

var toolListens = regexp.MustCompile(`msg="Listening on" (?:component=\S+ )?address=(\S+)`)

// Build builds the service.
func Build(path string) error {
	out, err := exec.Command("go", "build", "-o", path, "github.com/tidemark-obs/tidemark/cmd/tidemark").CombinedOutput()
	if err != nil {
		return fmt.Errorf("build the service: %w: %s", err, out)
	}
	return nil
}

// FreeAddress is a loopback address where nobody listens now, for a program whose address must be
// known before it runs.
func FreeAddress(t testing.TB) string {
	t.Helper()
	l, err := Listen()
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// Eventually polls until check is nil, and ends the test with check's last error when it is not in
// time.
func Eventually(t testing.TB, within time.Duration, what string, check func() error) {
	t.Helper()
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("%s: not within %v: %v", what, within, err)
		}
	}
}
