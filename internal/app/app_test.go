package app

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// logBuffer is a log that tests can read while the service writes.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func testConfig(dir string) Config {
	c := Default()
	c.Data.Dir, c.Web.ListenAddress, c.Journal.MinFree = dir, "127.0.0.1:0", 1
	return c
}

// databases are those that a story is told on: a short run has one, on which our code is the same.
func databases() []string {
	if testing.Short() {
		return []string{"duckdb"}
	}
	return []string{"duckdb", "postgres"}
}

func start(t *testing.T, cfg Config, opt Options) *App {
	t.Helper()
	if opt.Log == nil {
		opt.Log = io.Discard
	}
	a, err := New(cfg, opt)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, a) })
	return a
}

// stop may be called twice.
func stop(t *testing.T, a *App) {
	t.Helper()
	http.DefaultClient.CloseIdleConnections()
	if err := a.Stop(t.Context()); err != nil && t.Context().Err() == nil {
		t.Error(err)
	}
}

func call(t *testing.T, a *App, method, path, body string) (int, map[string]any) {
	t.Helper()
	return callAs(t, a, "", method, path, body)
}

// callAs is call with an access key.
func callAs(t *testing.T, a *App, key, method, path, body string) (int, map[string]any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+a.Addr().String()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		req.Header.Set("X-API-Key", key)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var answer map[string]any
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return res.StatusCode, answer
}

func TestEventsAndSettingsSurviveARestart(t *testing.T) {
	cfg := testConfig(t.TempDir())
	a := start(t, cfg, Options{})
	if status, answer := call(t, a, "POST", "/api/analytics/track", `{"event": "signup", "event_id": "e1"}`); status != 200 || answer["event_id"] != "e1" {
		t.Fatalf("track: %d %v", status, answer)
	}
	if status, answer := call(t, a, "POST", "/api/analytics/config", `{"buffer_size": 7}`); status != 200 {
		t.Fatalf("config: %d %v", status, answer)
	}
	stop(t, a)
	a = start(t, cfg, Options{})
	if status, answer := call(t, a, "GET", "/api/analytics/events/e1", ""); status != 200 || answer["event_name"] != "signup" {
		t.Errorf("the event after the restart: %d %v", status, answer)
	}
	_, answer := call(t, a, "GET", "/api/analytics/stats", "")
	if config, _ := answer["config"].(map[string]any); config["buffer_size"] != 7.0 {
		t.Errorf("the setting after the restart: %v", answer["config"])
	}
}

func TestSecondProcessOnOneDirectoryIsRefused(t *testing.T) {
	cfg := testConfig(t.TempDir())
	start(t, cfg, Options{})
	b, err := New(cfg, Options{Log: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "another process uses the data directory") {
		t.Errorf("the second start: %v", err)
	}
}

func TestOpenDoorWithoutKeysIsRefused(t *testing.T) {
	cfg := testConfig(t.TempDir())
	cfg.Web.ListenAddress = "0.0.0.0:0"
	log := new(logBuffer)
	a, err := New(cfg, Options{Log: log})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "tidemark keys create") {
		t.Errorf("listening everywhere without keys: %v", err)
	}
	if strings.Contains(log.String(), "stopped") {
		t.Errorf("the log of a service that never ran:\n%s", log)
	}
}

// TestGreetingsCommandsReachTheService wants what a new user copies to work: at an address that can
// be called, and with a key where one is asked for.
func TestGreetingsCommandsReachTheService(t *testing.T) {
	loopback, everywhere := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 81}, &net.TCPAddr{IP: net.IPv6unspecified, Port: 82}
	if text := greeting(loopback, "d", false); strings.Count(text, "  curl -s http://127.0.0.1:81/") != 4 {
		t.Error(text)
	}
	if text := greeting(everywhere, "d", true); strings.Count(text, "  curl -s -H 'Authorization: Bearer KEY' http://127.0.0.1:82/") != 4 {
		t.Error(text)
	}
}

func TestKeysWhileTheServiceRunsAndWhileNot(t *testing.T) {
	cfg := testConfig(t.TempDir())
	create := func(scope string) string {
		t.Helper()
		k, err := OpenKeys(t.Context(), cfg, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		defer k.Close()
		key, _, err := k.Create(t.Context(), scope+"-key", []string{scope})
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	before := create("admin")
	a := start(t, cfg, Options{})
	during := create("read")
	for key, want := range map[string]int{before: 200, during: 200, "tm_wrong": 401, "": 401} {
		req, _ := http.NewRequestWithContext(t.Context(), "GET", "http://"+a.Addr().String()+"/api/analytics/ledger", nil)
		if key != "" {
			req.Header.Set("X-API-Key", key)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("key %.6s…: %d, want %d", key, res.StatusCode, want)
		}
	}
	k, err := OpenKeys(t.Context(), cfg, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	all, err := k.List(t.Context())
	if err != nil || len(all) != 2 {
		t.Errorf("%d keys listed, %v", len(all), err)
	}
	if err := k.Revoke(t.Context(), "read-key"); err != nil {
		t.Error(err)
	}
}

// TestATakenAddressIsFoundFirst wants nothing to be made or migrated by a service that cannot serve, and one
// that is started twice to be told of its directory.
func TestATakenAddressIsFoundFirst(t *testing.T) {
	taken := start(t, testConfig(t.TempDir()), Options{})
	none := filepath.Join(t.TempDir(), "none")
	for dir, want := range map[string]string{none: "--web.listen-address", taken.cfg.Data.Dir: "another process uses the data directory"} {
		cfg := testConfig(dir)
		cfg.Web.ListenAddress = taken.Addr().String()
		a, err := New(cfg, Options{Log: io.Discard})
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Start(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the address is taken, and the start says %v", err)
		}
	}
	if _, err := os.Stat(none); err == nil {
		t.Error("the directory was made")
	}
}

func TestBrokenReloadKeepsTheOld(t *testing.T) {
	cfg := testConfig(t.TempDir())
	next := cfg
	log := new(logBuffer)
	a := start(t, cfg, Options{Log: log, Config: func() (Config, error) { return next, next.Check() }})
	next.Limits.Tags = 0
	if a.Reload(t.Context()) == nil {
		t.Error("a broken configuration was taken")
	}
	next = cfg
	next.Limits.Tags = 1
	next.Web.ListenAddress = "127.0.0.1:1"
	if err := a.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if status, _ := call(t, a, "POST", "/api/analytics/track", `{"event": "n", "tags": ["a", "b"]}`); status != 422 {
		t.Errorf("two tags after the limit became one: %d", status)
	}
	if !strings.Contains(log.String(), "wait for a restart") {
		t.Error("the log does not name what waits for a restart")
	}
}

// TestTheDocumentedCommandsWork types every curl line of the documents.
func TestTheDocumentedCommandsWork(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("SKIPPED: curl is not installed, the documents' commands were not run")
	}
	a := start(t, testConfig(t.TempDir()), Options{})
	n := 0
	for _, file := range []string{"../../README.md", "../../docs/api.md", "../../docs/moving-data.md", "../../docs/questions.md", "../../docs/privacy.md"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			command, ok := strings.CutPrefix(strings.TrimRight(line, "\n"), "    curl")
			if !ok {
				continue
			}
			n++
			command = strings.ReplaceAll(command, "127.0.0.1:8080", a.Addr().String())
			out, err := exec.CommandContext(t.Context(), "bash", "-c", "curl --fail-with-body"+command).CombinedOutput()
			if refused := strings.HasSuffix(command, "# 422"); (err != nil) != refused || len(out) == 0 {
				t.Errorf("%s: curl%s: %v\n%s", file, command, err, out)
			}
		}
	}
	if n < 20 {
		t.Errorf("only %d commands found", n)
	}
}

// TestStopCutsOffWhoIsSlow leaves a request unfinished: what stops after the web server has time all the same.
func TestStopCutsOffWhoIsSlow(t *testing.T) {
	a := start(t, testConfig(t.TempDir()), Options{})
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", a.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	head := "POST /api/analytics/track HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: 100\r\n\r\n"
	if _, err := io.WriteString(conn, head); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || !strings.Contains(line, "100 Continue") {
		t.Fatalf("%q, %v", line, err) // from here on the request is under way
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second) // half of it for who is slow
	defer cancel()
	if err := a.Stop(ctx); err != nil {
		t.Error(err)
	}
}
