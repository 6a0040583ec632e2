package telemetry

import (
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// Of the histogram of requests, as otelhttp and Prometheus know it.
const (
	requestSeconds = "http.server.request.duration"
	requestHelp    = "Duration of HTTP server requests."
	requestFamily  = "http_server_request_duration_seconds"
)

// failures collects what OpenTelemetry has, and beside it the failures that have not happened yet,
// at 0. A series that begins with its first failure has no increase that rules could see, and
// OpenTelemetry makes none before. Those at 0 have one bucket: a real one takes the place of each.
type failures struct {
	inner prometheus.Collector
	none  atomic.Pointer[map[failure]prometheus.Metric]
}

// failure is one series of failed requests.
type failure struct{ method, route, status string }

// expect makes the series of the routes, named METHOD path.
func (f *failures) expect(routes []string) error {
	desc := prometheus.NewDesc(requestFamily, requestHelp,
		[]string{"http_request_method", "http_route", "http_response_status_code", "error_type"}, nil)
	none := make(map[failure]prometheus.Metric, 2*len(routes))
	for _, r := range routes {
		method, path, _ := strings.Cut(r, " ")
		for _, code := range []int{http.StatusInternalServerError, http.StatusServiceUnavailable} {
			status := strconv.Itoa(code)
			m, err := prometheus.NewConstHistogram(desc, 0, 0, nil, method, path, status, status)
			if err != nil {
				return err
			}
			none[failure{method, path, status}] = m
		}
	}
	f.none.Store(&none)
	return nil
}

// Describe says nothing: what OpenTelemetry will have is not known before.
func (f *failures) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (f *failures) Collect(ch chan<- prometheus.Metric) {
	collected := make(chan prometheus.Metric, 64)
	go func() {
		defer close(collected)
		f.inner.Collect(collected)
	}()
	happened := map[failure]bool{}
	for m := range collected {
		if which, ok := failureOf(m); ok {
			happened[which] = true
		}
		ch <- m
	}
	none := f.none.Load()
	if none == nil {
		return
	}
	for which, m := range *none {
		if !happened[which] {
			ch <- m
		}
	}
}

// failureOf reads the labels of a request's histogram; a metric shows them only when it is written.
func failureOf(m prometheus.Metric) (f failure, ok bool) {
	if !strings.HasPrefix(m.Desc().String(), `Desc{fqName: "`+requestFamily+`"`) {
		return f, false
	}
	var written dto.Metric
	if m.Write(&written) != nil {
		return f, false
	}
	for _, l := range written.GetLabel() {
		switch l.GetName() {
		case "http_request_method":
			f.method = l.GetValue()
		case "http_route":
			f.route = l.GetValue()
		case "http_response_status_code":
			f.status = l.GetValue()
		}
	}
	return f, true
}

// around registers a collector that takes the place of the one it is given.
type around struct {
	prometheus.Registerer
	f *failures
}

func (a around) Register(inner prometheus.Collector) error {
	a.f.inner = inner
	return a.Registerer.Register(a.f)
}
