//go:build linux

package alertstory

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/proctest"
)

// service is a Tidemark over its lives: address, data and configuration stay.
type service struct {
	*proctest.Program
	address, dir, config string
}

func (s *service) url(path string) string { return "http://" + s.address + path }

// serve starts the program with a configuration file and waits until it is ready.
func serve(t *testing.T, config string) *service {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	s := &service{Program: proctest.New(t, path), address: proctest.FreeAddress(t),
		dir: filepath.Join(t.TempDir(), "data"), config: filepath.Join(t.TempDir(), "tidemark.yaml")}
	if err := os.WriteFile(s.config, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	s.start(t)
	return s
}

func (s *service) start(t *testing.T) {
	t.Helper()
	s.Start("serve", "--config.file", s.config, "--web.listen-address", s.address, "--data.dir", s.dir, "--log.format", "json")
	eventually(t, "the service is ready", func() error {
		s.MustRun()
		_, err := fetch(t, s.url("/-/ready"))
		return err
	})
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
	if err == nil && res.StatusCode/100 != 2 {
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
