package httpapi

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/tidemark-obs/tidemark/internal/access"
	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/perf"
)

// readyTimeout bounds GET /-/ready: a probe that hangs tells nothing.
const readyTimeout = 5 * time.Second

// ProcessAnswer is what the pages about the process answer.
type ProcessAnswer struct {
	Status string `json:"status" doc:"healthy, ready or reloaded"`
}

// HealthAnswer is the answer of GET /health.
type HealthAnswer struct {
	Status       string       `json:"status" enum:"healthy,warning,critical" doc:"The worst of what follows"`
	Timestamp    time.Time    `json:"timestamp"`
	Analytics    Analytics    `json:"analytics"`
	SystemHealth SystemHealth `json:"system_health"`
}

// Analytics is how taking in events stands.
type Analytics struct {
	Enabled       bool   `json:"enabled" doc:"Whether events are taken in"`
	BufferSize    uint64 `json:"buffer_size" doc:"Events accepted and not yet stored"`
	ServicesCount int    `json:"services_count" doc:"How many services are at work; GET /stats names them"`
}

// SystemHealth is how the machine stands.
type SystemHealth struct {
	Status  string             `json:"status" enum:"healthy,warning,critical"`
	Issues  []string           `json:"issues" nullable:"false" doc:"What is wrong, the worst first"`
	Metrics perf.SystemMetrics `json:"metrics"`
}

type healthOutput struct{ Body HealthAnswer }

func (s *Server) registerHealth() {
	s.plain(operation{route: route{method: http.MethodGet, path: "/-/healthy", open: true},
		id: "healthy", tag: "process", summary: "Whether the process is alive"},
		nil, map[int]payload{200: ProcessAnswer{}}, s.healthy)
	s.plain(operation{route: route{method: http.MethodGet, path: "/-/ready", open: true},
		id: "ready", tag: "process", summary: "Whether events are taken in and questions answered",
		detail: "503 names what does not work.", faults: []int{http.StatusServiceUnavailable}},
		nil, map[int]payload{200: ProcessAnswer{}}, s.ready)
	s.plain(operation{route: route{method: http.MethodPost, path: "/-/reload", scope: access.Admin},
		id: "reload", tag: "process", summary: "Load the configuration anew",
		detail: "400 says what is wrong with it; then nothing has changed.", faults: []int{http.StatusBadRequest}},
		nil, map[int]payload{200: ProcessAnswer{}}, s.reload)
	read(s, operation{route: route{method: http.MethodGet, path: base + "/health", scope: access.Read},
		id: "health", tag: "analytics", summary: "How the service and its machine stand"}, s.health)
}

func (s *Server) healthy(w http.ResponseWriter, _ *http.Request) error {
	return writeJSON(w, http.StatusOK, ProcessAnswer{Status: "healthy"})
}

// ready asks all checks at once and names those that fail. Those who ask at the same time share
// one round: a flood of probes costs what one does.
func (s *Server) ready(w http.ResponseWriter, _ *http.Request) error {
	_, err, _ := s.probe.Do("", func() (any, error) { return nil, s.checkAll() })
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, ProcessAnswer{Status: "ready"})
}

func (s *Server) checkAll() error {
	ctx, cancel := context.WithTimeout(context.Background(), readyTimeout)
	defer cancel()
	failures := make([]error, len(s.deps.Ready))
	var wg sync.WaitGroup
	for i, c := range s.deps.Ready {
		wg.Go(func() { failures[i] = c.Check(ctx) })
	}
	wg.Wait()
	var names []string
	var faults []errs.Field
	for i, err := range failures {
		if err != nil {
			name := s.deps.Ready[i].Name
			names = append(names, name)
			faults = append(faults, errs.Field{Location: name, Message: spoken(err)})
		}
	}
	if len(names) == 0 {
		return nil
	}
	return &errs.Error{Kind: errs.Unavailable, Detail: "not working: " + strings.Join(names, ", "), Fields: faults}
}

// spoken is what a client may read of an error.
func spoken(err error) string {
	var e *errs.Error
	switch {
	case errors.As(err, &e) && e.Detail != "" && e.Kind != errs.Internal:
		return e.Detail
	case errors.Is(err, context.DeadlineExceeded):
		return "gave no answer in time"
	default:
		return "does not work; the log says more"
	}
}

func (s *Server) reload(w http.ResponseWriter, r *http.Request) error {
	if err := s.deps.Reload(r.Context()); err != nil {
		return badRequest(err)
	}
	return writeJSON(w, http.StatusOK, ProcessAnswer{Status: "reloaded"})
}

func (s *Server) health(context.Context, *struct{}) (*healthOutput, error) {
	metrics := s.deps.System.Read()
	status, issues := perf.Health(metrics)
	out := &healthOutput{Body: HealthAnswer{
		Status: status, Timestamp: s.deps.Now().UTC(),
		Analytics: Analytics{
			Enabled:       s.deps.Settings.Current().Enabled,
			BufferSize:    s.deps.Backlog.Status().Buffered,
			ServicesCount: len(s.deps.Services) + len(s.deps.Destinations.Enabled()),
		},
		SystemHealth: SystemHealth{Status: status, Issues: issues, Metrics: metrics},
	}}
	return out, nil
}
