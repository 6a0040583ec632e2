//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// service is the real program as a process of its own.
type service struct {
	*process
	addr   string
	client *http.Client
}

// ledger is what the service says became of the events.
type ledger struct {
	Received     uint64 `json:"received"`
	Accepted     uint64 `json:"accepted"`
	Stored       uint64 `json:"stored"`
	Duplicate    uint64 `json:"duplicate"`
	DeadLettered uint64 `json:"dead_lettered"`
	Pending      uint64 `json:"pending"`
	Lost         int64  `json:"lost"`
}

// dataDir is the service's data directory, below the database's own.
const dataDir = "data"

const (
	startWithin = time.Minute
	stopWithin  = 2 * time.Minute
	pollEvery   = 20 * time.Millisecond
	stallAfter  = 3 * time.Minute // pending that does not fall for so long never will
	flushWithin = 30 * time.Second
	answerIn    = 2 * time.Minute // of any request
)

// startService starts the program on an empty data directory and waits until it is ready.
func startService(ctx context.Context, binary, dir, databaseURL string, more ...string) (*service, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	args := []string{"serve", "--web.listen-address=" + addr, "--data.dir=" + filepath.Join(dir, dataDir), "--log.format=text"}
	args = append(args, more...)
	if databaseURL != "" {
		args = append(args, "--database.url="+databaseURL)
	}
	p, err := startProcess(exec.Command(binary, args...), filepath.Join(dir, "service.log"))
	if err != nil {
		return nil, err
	}
	s := &service{process: p, addr: addr, client: &http.Client{Timeout: answerIn}}
	if err := s.ready(ctx); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

func freeAddr() (string, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

func (s *service) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	for {
		if err := s.get(ctx, "/-/ready", nil); err == nil {
			return nil
		}
		if err := s.pause(ctx, pollEvery); err != nil {
			return fmt.Errorf("the service does not become ready: %w", err)
		}
	}
}

// get asks the service; into may be nil.
func (s *service) get(ctx context.Context, path string, into any) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.addr+path, nil)
	if err != nil {
		return err
	}
	a, err := s.client.Do(r)
	if err != nil {
		return err
	}
	defer a.Body.Close()
	if a.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s answers %s", path, a.Status)
	}
	if into == nil {
		return nil
	}
	return json.NewDecoder(a.Body).Decode(into)
}

func (s *service) ledger(ctx context.Context) (l ledger, err error) {
	return l, s.get(ctx, "/api/analytics/ledger", &l)
}

// flush asks for what waits to be stored at once, so that the last batch's flush_interval does not
// count. A flush that ends by its own limit on time is no fault: drained waits on.
func (s *service) flush(ctx context.Context) error {
	within, cancel := context.WithTimeout(ctx, flushWithin)
	defer cancel()
	q, err := http.NewRequestWithContext(within, http.MethodPost, "http://"+s.addr+"/api/analytics/flush", nil)
	if err != nil {
		return err
	}
	a, err := s.client.Do(q)
	if err != nil {
		if ctx.Err() == nil && os.IsTimeout(err) {
			return nil
		}
		return err
	}
	return a.Body.Close()
}

// drained returns when nothing is pending. A ledger that does not answer for a while is a busy one.
func (s *service) drained(ctx context.Context) error {
	if err := s.flush(ctx); err != nil {
		return err
	}
	least, since := ^uint64(0), time.Now()
	for {
		l, err := s.ledger(ctx)
		if err == nil && l.Pending == 0 {
			return nil
		}
		if err == nil && l.Pending < least {
			least, since = l.Pending, time.Now()
		}
		if time.Since(since) > stallAfter {
			return errors.Join(fmt.Errorf("the pending events do not become fewer than %d", least), err)
		}
		if err := s.pause(ctx, pollEvery); err != nil {
			return err
		}
	}
}

// freshEnvironment is the environment without what would configure the service.
func freshEnvironment() []string {
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "TIDEMARK_") && !strings.HasPrefix(v, "OTEL_") {
			env = append(env, v)
		}
	}
	return env
}

// process is a child that does not outlive this program.
type process struct {
	cmd  *exec.Cmd
	log  string
	gone chan struct{} // closed when it has ended
	err  error         // why, once gone
}

func startProcess(cmd *exec.Cmd, log string) (*process, error) {
	out, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd.Stderr, cmd.Env = out, freshEnvironment()
	if cmd.Stdout == nil {
		cmd.Stdout = out
	}
	// An interrupt at the terminal must not reach it before this program has measured and asked it to stop.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, log: log, gone: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.gone)
	}()
	return p, nil
}

// pause waits a while, but not for a process that has ended.
func (p *process) pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-p.gone:
		return p.ended()
	}
}

// ended is the error of a process that has ended and should be running.
func (p *process) ended() error {
	if p.err == nil {
		return fmt.Errorf("the process ended by itself\n%s", p.said())
	}
	return fmt.Errorf("the process ended by itself: %w\n%s", p.err, p.said())
}

// health tells why a process has ended that should be running; nil while it runs.
func (p *process) health() error {
	select {
	case <-p.gone:
		return p.ended()
	default:
		return nil
	}
}

// said is the end of what the process wrote to stderr.
func (p *process) said() string {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	const most = 2000
	return strings.TrimSpace(string(b[max(0, len(b)-most):]))
}

// end stops the process, or kills it when no time is left: what it has on disk is of no use then.
func (p *process) end(ctx context.Context) error {
	if ctx.Err() == nil {
		return p.stop()
	}
	err := p.cmd.Process.Kill()
	<-p.gone
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

// stop asks the process to end and waits for it. It may be called again.
func (p *process) stop() error {
	select {
	case <-p.gone:
		return nil
	default:
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-p.gone:
		if p.err != nil {
			return fmt.Errorf("stopping: %w\n%s", p.err, p.said())
		}
		return nil
	case <-time.After(stopWithin):
		err := p.cmd.Process.Kill()
		<-p.gone
		return errors.Join(errors.New("the process did not stop when asked"), err)
	}
}
