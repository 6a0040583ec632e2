package alert

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// target serves a text of metrics to those who know the token.
func target(t *testing.T, text func() string) (address string) {
	t.Helper()
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer secret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		_, _ = fmt.Fprint(w, text())
	}))
	t.Cleanup(web.Close)
	return strings.TrimPrefix(web.URL, "http://")
}

func TestOtherTargets(t *testing.T) {
	t.Parallel()
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	job := func(name, address string) Job {
		return Job{Name: name, Targets: []string{address}, Labels: map[string]string{"site": "here"},
			BearerTokenFile: token, SampleLimit: 10, BodySizeLimit: 1000}
	}
	future := time.Now().Add(3 * time.Hour).UnixMilli()
	good := target(t, func() string { return fmt.Sprintf("temperature 21\nahead 1 %d\n", future) })
	cfg := testConfig(t.TempDir())
	cfg.Scrape = []Job{
		job("good", good),
		job("many", target(t, func() string {
			var b strings.Builder
			for i := range 11 {
				fmt.Fprintf(&b, "n%d 1\n", i)
			}
			return b.String()
		})),
		job("long", target(t, func() string { return "# " + strings.Repeat("x", 2000) + "\nn 1\n" })),
		job("labels", target(t, func() string { return "n{l=\"" + strings.Repeat("x", labelValueLimit+1) + "\"} 1\n" })),
	}
	cfg.Scrape[3].BodySizeLimit = 10_000
	w := newWorld(t, cfg)
	if v := w.waitFor(`temperature{job="good",site="here",instance="` + good + `"}`); v != "21" {
		t.Errorf("temperature %s", v)
	}
	// A timestamp three hours ahead is not believed and keeps nothing out.
	w.waitFor("ahead")
	w.waitFor("count_over_time(temperature[1m]) > 2")
	w.waitFor(`count_over_time(up{job="tidemark"}[1m]) > 2`)
	for _, name := range []string{"many", "long", "labels"} {
		if v := w.waitFor(`up{job="` + name + `"}`); v != "0" {
			t.Errorf("job %s is up", name)
		}
	}
	if got := w.values(`{__name__=~"n.*",job!="tidemark"}`); len(got) > 0 {
		t.Errorf("what was refused was stored: %v", got)
	}

	cfg.Scrape = []Job{job("other", good)}
	apply, err := w.Prepare(cfg)
	if err != nil {
		t.Fatal(err)
	}
	apply()
	w.waitFor(`temperature{job="other"}`)
}

// TestConnectionsEndWithTheEngine dials a target that never answers.
func TestConnectionsEndWithTheEngine(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	ctx, cancel := context.WithCancel(t.Context())
	l := newLoopback(ctx, http.NotFoundHandler())
	ended := make(chan error, 2)
	for _, addr := range []string{silent.Addr().String(), selfAddress} {
		c, err := l.Dial(t.Context(), "tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			_, err := c.Read(make([]byte, 1))
			ended <- err
		}()
	}
	cancel()
	for range 2 {
		if err := <-ended; err == nil {
			t.Error("read something")
		}
	}
	if err := l.Stop(); err != nil {
		t.Error(err)
	}
	if _, err := l.Dial(t.Context(), "tcp", selfAddress); !errors.Is(err, net.ErrClosed) {
		t.Errorf("dialled after the stop: %v", err)
	}
}
