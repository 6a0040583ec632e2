//go:build linux

package faults

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/proctest"
)

// service is the program under test over its lives: what it is started with stays, the process
// and its address change.
type service struct {
	*proctest.Program
	t      *testing.T
	dir    string // data directory
	url    string // of the database; empty = embedded
	config string // YAML, may be empty
	stays  bool   // at the address of its first life

	mu   sync.Mutex
	base string
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
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	s := &service{t: t, url: databaseURL}
	for _, o := range opts {
		o(s)
	}
	if s.dir == "" {
		s.dir = filepath.Join(t.TempDir(), "data")
	}
	s.Program = proctest.New(t, path)
	return s
}

// launch starts the process and does not wait until it serves.
func (s *service) launch() {
	s.t.Helper()
	if s.base == "" || !s.stays {
		s.mu.Lock()
		s.base = "http://" + proctest.FreeAddress(s.t)
		s.mu.Unlock()
	}
	args := []string{"serve", "--web.listen-address=" + strings.TrimPrefix(s.base, "http://"), "--data.dir=" + s.dir, "--log.format=json"}
	if s.url != "" {
		args = append(args, "--database.url="+s.url)
	}
	if s.config != "" {
		file := filepath.Join(s.t.TempDir(), "tidemark.yaml")
		if err := os.WriteFile(file, []byte(s.config), 0o600); err != nil {
			s.t.Fatal(err)
		}
		args = append(args, "--config.file="+file)
	}
	s.Start(args...)
}

// start starts the process and waits until it is ready.
func (s *service) start() {
	s.t.Helper()
	s.launch()
	s.awaitReady(3 * time.Minute)
}

// awaitReady waits for readiness. A process that lost the race for its port is started again.
func (s *service) awaitReady(within time.Duration) {
	s.t.Helper()
	proctest.Eventually(s.t, within, "ready", func() error {
		if s.Ended() && strings.Contains(s.tail(1000), "address already in use") {
			s.launch()
			return errors.New("started again on another port")
		}
		s.MustRun()
		status, body, err := s.get("/-/ready")
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("%d: %s", status, body)
		}
		return err
	})
}

// tail is the end of what it said.
func (s *service) tail(most int) string {
	said := s.Said()
	return said[max(0, len(said)-most):]
}

// address is where the current or last process listens.
func (s *service) address() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.base
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
	proctest.Eventually(s.t, within, "not ready because of the "+culprit, func() error {
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
