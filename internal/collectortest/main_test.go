package collectortest

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/prometheus/prompb"
	"github.com/prometheus/prometheus/storage/remote"

	"github.com/tidemark-obs/tidemark/internal/leaktest"
	"github.com/tidemark-obs/tidemark/internal/proctest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// stop asks a program to end and waits until it has.
func stop(t *testing.T, p *proctest.Program) {
	t.Helper()
	if code := p.Stop(time.Minute); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// until polls a condition.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	proctest.Eventually(t, 3*time.Minute, what, func() error {
		if !ok() {
			return errors.New("not yet")
		}
		return nil
	})
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
