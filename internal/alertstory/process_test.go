//go:build linux

package alertstory

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// run starts a program that is killed when the test ends, however it ends. Its output is shown
// when the test fails.
func run(t *testing.T, path string, args ...string) *exec.Cmd {
	t.Helper()
	logPath := filepath.Join(t.TempDir(), filepath.Base(path)+".log")
	log, err := os.Create(logPath)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(path, args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if b, err := os.ReadFile(logPath); t.Failed() && err == nil {
			t.Logf("the end of the log of %s:\n%s", filepath.Base(path), b[max(0, len(b)-6000):])
		}
	})
	return cmd
}

// freeAddress is a loopback address where nothing listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// service is a Tidemark over its lives: address, data and configuration stay.
type service struct {
	address, dir, config string
	process              *exec.Cmd
}

func (s *service) url(path string) string { return "http://" + s.address + path }

// serve starts the program with a configuration file and waits until it is ready.
func serve(t *testing.T, config string) *service {
	t.Helper()
	s := &service{address: freeAddress(t), dir: filepath.Join(t.TempDir(), "data"), config: filepath.Join(t.TempDir(), "tidemark.yaml")}
	if err := os.WriteFile(s.config, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	s.start(t)
	return s
}

func (s *service) start(t *testing.T) {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatalf("building the program: %v", err)
	}
	s.process = run(t, path, "serve", "--config.file", s.config, "--web.listen-address", s.address,
		"--data.dir", s.dir, "--log.format", "json")
	eventually(t, "the service is ready", func() error { _, err := fetch(t, s.url("/-/ready")); return err })
}

// kill ends the process as kill -9 does and waits until it is gone.
func (s *service) kill(t *testing.T) {
	t.Helper()
	if err := s.process.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = s.process.Wait() // says that it was killed
}

// fetch reads a page that must be answered with 200.
func fetch(t *testing.T, url string) ([]byte, error) {
	return call(t, http.MethodGet, url, "")
}

func call(t *testing.T, method, url, body string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", url, res.Status, bytes.TrimSpace(b))
	}
	return b, err
}

// fetchJSON reads a page into v.
func fetchJSON(t *testing.T, url string, v any) error {
	b, err := fetch(t, url)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, v)
}
