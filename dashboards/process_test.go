package dashboards

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// process is a program that runs beside the test, on a port of the kernel's choice.
type process struct {
	t    *testing.T
	log  string // file of what it says
	cmd  *exec.Cmd
	gone chan struct{}
	addr string // where it listens, by its own word
}

// run starts a program and waits until it says where it listens: the first group of listens.
func run(t *testing.T, listens *regexp.Regexp, env []string, path string, args ...string) *process {
	t.Helper()
	p := &process{t: t, log: filepath.Join(t.TempDir(), "log"), gone: make(chan struct{})}
	log, err := os.Create(p.log)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	p.cmd = exec.Command(path, args...)
	p.cmd.Env = append(environment(), env...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { defer close(p.gone); _ = p.cmd.Wait() }()
	t.Cleanup(p.stop)
	eventually(t, time.Minute, filepath.Base(path)+" listens", func() error {
		if m := listens.FindStringSubmatch(p.said()); m != nil {
			p.addr = m[1]
			return nil
		}
		return p.alive()
	})
	return p
}

// environment is ours without what would configure the service.
func environment() []string {
	var all []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "TIDEMARK_") && !strings.HasPrefix(v, "OTEL_") {
			all = append(all, v)
		}
	}
	return all
}

func (p *process) alive() error {
	select {
	case <-p.gone:
		p.t.Fatalf("%s ended by itself: %v", p.cmd.Path, p.cmd.ProcessState)
		return nil
	default:
		return errors.New("not yet")
	}
}

func (p *process) said() string {
	b, err := os.ReadFile(p.log)
	if err != nil {
		p.t.Fatal(err)
	}
	return string(b)
}

// stop ends the program and waits for it, and shows what it said where the test has failed.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(os.Interrupt) // fails only when it is gone already
	select {
	case <-p.gone:
	case <-time.After(30 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.gone
		p.t.Errorf("%s had to be killed", p.cmd.Path)
	}
	if p.t.Failed() {
		said := p.said()
		p.t.Logf("the end of what %s said:\n%s", p.cmd.Path, said[max(0, len(said)-3000):])
	}
}

// eventually polls until check is nil, and ends the test with check's last error when it is not in
// time.
func eventually(t *testing.T, within time.Duration, what string, check func() error) {
	t.Helper()
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	tick := time.NewTicker(100 * time.Millisecond)
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

// output runs a program to its end.
func output(t *testing.T, env []string, path string, args ...string) string {
	t.Helper()
	cmd := exec.Command(path, args...)
	cmd.Env = append(environment(), env...)
	b, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatal(fmt.Errorf("%s %s: %w: %s", path, strings.Join(args, " "), err, b))
	}
	return string(b)
}
