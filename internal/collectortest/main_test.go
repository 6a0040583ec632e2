package collectortest

import (
	"context"
	"errors"
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

	"github.com/prometheus/prometheus/prompb"
	"github.com/prometheus/prometheus/storage/remote"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serviceProgram builds the service.
func serviceProgram(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tidemark")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", path, "../../cmd/tidemark").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return path
}

// process is a program that runs until its stop.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	log  string
	gone chan error
}

// run starts a program with more environment than this test's own OTEL_ and TIDEMARK_ variables.
func run(t *testing.T, env map[string]string, program string, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(program, args...), log: filepath.Join(t.TempDir(), "log"), gone: make(chan error, 1)}
	log, err := os.Create(p.log)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "OTEL_") || strings.HasPrefix(v, "TIDEMARK_")
	})
	for k, v := range env {
		p.cmd.Env = append(p.cmd.Env, k+"="+v)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.gone <- p.cmd.Wait() }()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // it may have ended
		if t.Failed() {
			b, _ := os.ReadFile(p.log)
			t.Logf("the end of the log of %s:\n%s", filepath.Base(program), b[max(0, len(b)-4000):])
		}
	})
	return p
}

// stop asks the program to end and waits until it has.
func (p *process) stop() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Error(err)
	}
	select {
	case err := <-p.gone:
		if err != nil {
			p.t.Errorf("%s ended with %v", p.cmd.Path, err)
		}
	case <-time.After(time.Minute):
		p.t.Fatalf("%s does not end", p.cmd.Path)
	}
}

// freeAddress is one at which nobody listens; who wants it is to take it soon.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// until polls a condition.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(time.Minute)
	for !ok() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// store is a receiver of remote writes that keeps the newest sample of each series.
type store struct {
	mu     sync.Mutex
	series map[string]series
}

// series is one of a metric.
type series struct {
	labels map[string]string
	value  float64
	native bool
}

// startStore runs a store until the test ends and returns its URL.
func startStore(t *testing.T) (*store, string) {
	t.Helper()
	s := &store{series: map[string]series{}}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	t.Cleanup(func() {
		if err := server.Shutdown(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return s, "http://" + l.Addr().String() + "/api/v1/write"
}

func (s *store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	request, err := remote.DecodeWriteRequest(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, ts := range request.Timeseries {
		s.keep(ts)
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *store) keep(ts prompb.TimeSeries) {
	labels, key := map[string]string{}, ""
	for _, l := range ts.Labels {
		labels[l.Name] = l.Value
		key += l.Name + "=" + l.Value + ";"
	}
	kept := series{labels: labels, native: len(ts.Histograms) > 0}
	if n := len(ts.Samples); n > 0 {
		kept.value = ts.Samples[n-1].Value
	}
	s.series[key] = kept
}

// named returns the series of one metric.
func (s *store) named(name string) []series {
	s.mu.Lock()
	defer s.mu.Unlock()
	var some []series
	for _, one := range s.series {
		if one.labels["__name__"] == name {
			some = append(some, one)
		}
	}
	return some
}
