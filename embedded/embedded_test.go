package embedded_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/embedded"
	"github.com/tidemark-obs/tidemark/internal/leaktest"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv("TIDEMARK_TEST_HOST"); dir != "" {
		host(dir)
	}
	leaktest.Main(m)
}

var quiet = slog.New(slog.DiscardHandler)

func start(t *testing.T, c embedded.Config) *embedded.Service {
	t.Helper()
	c.Logger = quiet
	s, err := embedded.Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := s.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	return s
}

// request asks h below a mux of its own, as hosts do.
func request(t *testing.T, h http.Handler, method, path, key, body string) (int, map[string]any) {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle("/api/analytics/", h)
	mux.Handle("/api/v1/", h)
	mux.Handle("/metrics", h)
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	var answer map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil && strings.HasPrefix(path, "/api") {
		t.Fatalf("%s %s answers %d with no JSON: %s", method, path, w.Code, w.Body)
	}
	if path == "/metrics" {
		answer = map[string]any{"text": w.Body.String()}
	}
	return w.Code, answer
}

func TestAHostServesTheAPIUnderItsOwnMux(t *testing.T) {
	s := start(t, embedded.Config{DataDir: t.TempDir(), Trusted: true, Instance: "shop-1"})
	status, answer := request(t, s.Handler(), "POST", "/api/analytics/events", "", `{"event_name": "signup", "event_id": "e1"}`)
	if status != 201 {
		t.Fatalf("the event is answered with %d %v", status, answer)
	}
	if _, got := request(t, s.Handler(), "GET", "/api/analytics/events/e1", "", ""); got["event_name"] != "signup" {
		t.Errorf("the event is %v", got)
	}
	if _, got := request(t, s.Handler(), "GET", "/metrics", "", ""); !strings.Contains(got["text"].(string), "tidemark_events_stored_total 1") {
		t.Error("the metrics do not count the stored event")
	}
}

func TestAClientInTheHostNeedsNeitherPortNorKey(t *testing.T) {
	dir := t.TempDir()
	s := start(t, embedded.Config{DataDir: dir, Trusted: true})
	client := &http.Client{Transport: s.Transport()}
	defer client.CloseIdleConnections()
	key := createKey(t, client)

	again := func() (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), "POST", "http://tidemark/api/analytics/track", strings.NewReader(`{"event": "x"}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(b)
	}
	if status, body := again(); status != 200 {
		t.Errorf("from inside: %d %s", status, body)
	}
	// Now that there is a key, the handler asks for one.
	if status, _ := request(t, s.Handler(), "GET", "/api/analytics/stats", "", ""); status != 401 {
		t.Errorf("from outside without the key: %d, want 401", status)
	}
	if status, _ := request(t, s.Handler(), "GET", "/api/analytics/stats", key, ""); status != 200 {
		t.Errorf("from outside with the key: %d, want 200", status)
	}
}

func createKey(t *testing.T, client *http.Client) string {
	t.Helper()
	res, err := client.Post("http://tidemark/api/analytics/keys", "application/json", strings.NewReader(`{"name": "a", "scopes": ["read"]}`))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var answer struct{ Key string }
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil || answer.Key == "" {
		t.Fatalf("creating a key: %d, %v", res.StatusCode, err)
	}
	return answer.Key
}

func TestWhatKeepsItFromStarting(t *testing.T) {
	busy := t.TempDir()
	start(t, embedded.Config{DataDir: busy, Trusted: true})
	faulty := filepath.Join(t.TempDir(), "tidemark.yaml")
	if err := os.WriteFile(faulty, []byte("limits:\n  depth: 0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		config embedded.Config
		want   string
	}{
		{"no keys and no trust", embedded.Config{DataDir: t.TempDir()}, "tidemark keys create"},
		{"a directory in use", embedded.Config{DataDir: busy, Trusted: true}, "another process uses"},
		{"a faulty file", embedded.Config{DataDir: t.TempDir(), ConfigFile: faulty}, "tidemark.yaml:2: limits.depth"},
		{"no database", embedded.Config{DataDir: t.TempDir(), DatabaseURL: "mysql://x"}, "database.url"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.config.Logger = quiet
			s, err := embedded.Start(t.Context(), c.config)
			if err == nil {
				t.Fatal("it starts", s.Stop(t.Context()))
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("the error is %q and lacks %q", err, c.want)
			}
		})
	}
}

// host is a program with the service inside that accepts an event and waits for its end.
func host(dir string) {
	s, err := embedded.Start(context.Background(), embedded.Config{DataDir: dir, Trusted: true, Logger: quiet})
	if err != nil {
		fmt.Println("start:", err)
		os.Exit(1)
	}
	client := &http.Client{Transport: s.Transport()}
	res, err := client.Post("http://tidemark/api/analytics/track", "application/json", strings.NewReader(`{"event": "kept", "event_id": "e1"}`))
	if err != nil {
		fmt.Println("track:", err)
		os.Exit(1)
	}
	fmt.Println("answered", res.StatusCode)
	select {}
}

func TestWhatWasAnsweredOutlivesAKilledHost(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "TIDEMARK_TEST_HOST="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, len("answered 200\n"))
	if _, err := io.ReadFull(out, line); err != nil || string(line) != "answered 200\n" {
		t.Fatalf("the host says %q, %v", line, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed

	s := start(t, embedded.Config{DataDir: dir, Trusted: true})
	if status, answer := request(t, s.Handler(), "POST", "/api/analytics/flush", "", ""); status != 200 {
		t.Fatalf("flush: %d %v", status, answer)
	}
	if _, got := request(t, s.Handler(), "GET", "/api/analytics/events/e1", "", ""); got["event_name"] != "kept" {
		t.Errorf("after the kill the event is %v", got)
	}
}
