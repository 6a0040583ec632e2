//go:build linux

package faults

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// service is the program under test over its lives: what it is started with stays, the process
// and its address change.
type service struct {
	t       *testing.T
	name    string
	dir     string // data directory
	url     string // of the database; empty = embedded
	config  string // YAML, may be empty
	stays   bool   // at the address of its first life
	logPath string

	mu   sync.Mutex
	base string
	cmd  *exec.Cmd
	gone chan struct{} // closed when the process has ended; its exit is in cmd.ProcessState
}

// option changes how newService makes a service.
type option func(*service)

func dataDir(dir string) option { return func(s *service) { s.dir = dir } }

func configured(yaml string) option { return func(s *service) { s.config = yaml } }

// sameAddress lets every process listen where the first one did: series bear the address.
func sameAddress() option { return func(s *service) { s.stays = true } }

// newService makes a service on a database; nothing runs yet.
func newService(t *testing.T, databaseURL string, opts ...option) *service {
	t.Helper()
	s := &service{t: t, name: "tidemark", url: databaseURL}
	for _, o := range opts {
		o(s)
	}
	if s.dir == "" {
		s.dir = filepath.Join(t.TempDir(), "data")
	}
	logs := t.TempDir()
	s.logPath = filepath.Join(logs, "log")
	t.Cleanup(func() {
		s.kill()
		if t.Failed() {
			t.Logf("the end of the log of %s:\n%s", s.dir, s.logTail(6000))
		}
	})
	return s
}

func (s *service) logTail(most int) string {
	b, err := os.ReadFile(s.logPath)
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-most):])
}

// launch starts the process and does not wait until it serves.
func (s *service) launch() {
	s.t.Helper()
	path, err := program()
	if err != nil {
		s.t.Fatalf("building the program: %v", err)
	}
	port, err := freePort()
	if err != nil {
		s.t.Fatal(err)
	}
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	if s.stays && s.base != "" {
		addr = strings.TrimPrefix(s.base, "http://")
	}
	args := []string{"serve", "--web.listen-address=" + addr, "--data.dir=" + s.dir, "--log.format=json"}
	if s.url != "" {
		args = append(args, "--database.url="+s.url)
	}
	if s.config != "" {
		file := s.logPath + ".yaml"
		if err := os.WriteFile(file, []byte(s.config), 0o600); err != nil {
			s.t.Fatal(err)
		}
		args = append(args, "--config.file="+file)
	}
	log, err := os.OpenFile(s.logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		s.t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(path, args...)
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "TIDEMARK_") })
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	gone := make(chan struct{})
	go func() { defer close(gone); _ = cmd.Wait() }()
	s.mu.Lock()
	s.base, s.cmd, s.gone = "http://"+addr, cmd, gone
	s.mu.Unlock()
}

// start starts the process and waits until it is ready.
func (s *service) start() {
	s.t.Helper()
	s.launch()
	s.awaitReady(90 * time.Second)
}

// awaitReady waits for readiness. A process that lost the race for its port is started again.
func (s *service) awaitReady(within time.Duration) {
	s.t.Helper()
	eventually(s.t, within, "ready", func() error {
		if s.ended() && strings.Contains(s.logTail(1000), "address already in use") {
			s.launch()
			return errors.New("started again on another port")
		}
		s.mustRun()
		status, body, err := s.get("/-/ready")
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("%d: %s", status, body)
		}
		return err
	})
}

// ended tells whether the process is gone.
func (s *service) ended() bool {
	select {
	case <-s.gone:
		return true
	default:
		return false
	}
}

// mustRun ends the test when the process has ended by itself.
func (s *service) mustRun() {
	s.t.Helper()
	if s.ended() {
		s.t.Fatalf("the service ended by itself: %v", s.cmd.ProcessState)
	}
}

// address is where the current or last process listens.
func (s *service) address() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.base
}

func (s *service) pid() int { return s.cmd.Process.Pid }

// signal sends sig to the running process.
func (s *service) signal(sig syscall.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatalf("signal %v: %v", sig, err)
	}
}

// kill ends the process as kill -9 does and waits until it is gone.
func (s *service) kill() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill() // fails only when it is gone already
	<-s.gone
}

// terminate sends SIGTERM and returns the exit code.
func (s *service) terminate(within time.Duration) int {
	s.t.Helper()
	s.signal(syscall.SIGTERM)
	select {
	case <-s.gone:
		return s.cmd.ProcessState.ExitCode()
	case <-time.After(within):
		s.t.Fatalf("still running %v after SIGTERM", within)
		return -1
	}
}

// reader is for the test's own questions, apart from the load.
var reader = &http.Client{
	Timeout:   30 * time.Second,
	Transport: &http.Transport{DisableKeepAlives: true},
}

func (s *service) get(path string) (int, []byte, error) {
	return s.do(http.MethodGet, path, "")
}

func (s *service) do(method, path, body string) (int, []byte, error) {
	req, err := http.NewRequestWithContext(context.Background(), method, s.address()+path, bytes.NewReader([]byte(body)))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := reader.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return res.StatusCode, b, err
}

// ask decodes the answer of a GET that must succeed.
func (s *service) ask(path string, into any) error {
	status, body, err := s.get(path)
	if err != nil {
		return err
	}
	if status != http.StatusOK {
		return fmt.Errorf("GET %s: %d %s", path, status, body)
	}
	return json.Unmarshal(body, into)
}

// awaitUnready waits until /-/ready says 503 and names the culprit.
func (s *service) awaitUnready(within time.Duration, culprit string) {
	s.t.Helper()
	eventually(s.t, within, "not ready because of the "+culprit, func() error {
		status, body, err := s.get("/-/ready")
		if err != nil {
			return err
		}
		if status != http.StatusServiceUnavailable || !strings.Contains(strings.ToLower(string(body)), culprit) {
			return fmt.Errorf("%d: %s", status, body)
		}
		return nil
	})
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	port := l.Addr().(*net.TCPAddr).Port
	return port, l.Close()
}
