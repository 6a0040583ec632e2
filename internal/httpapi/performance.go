package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/tidemark-obs/tidemark/internal/access"
	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/perf"
	"github.com/tidemark-obs/tidemark/internal/settings"
)

// PerformanceAnswer is the answer of GET /performance.
type PerformanceAnswer struct {
	Timestamp             time.Time                      `json:"timestamp"`
	SystemMetrics         perf.SystemMetrics             `json:"system_metrics"`
	OperationStats        map[string]perf.OperationStats `json:"operation_stats" doc:"By METHOD and route, over the last 15 minutes"`
	TotalMetricsCollected uint64                         `json:"total_metrics_collected" doc:"Requests timed since the start or DELETE /performance/clear"`
	Thresholds            settings.ThresholdsDocument    `json:"thresholds"`
}

// OperationAnswer is the answer of GET /performance/operation/{operation_name}.
type OperationAnswer struct {
	Operation string              `json:"operation" doc:"METHOD and route" example:"GET /api/analytics/stats"`
	Stats     perf.OperationStats `json:"stats"`
}

type (
	performanceOutput struct{ Body PerformanceAnswer }
	operationInput    struct {
		Name string `path:"operation_name" doc:"METHOD and route, escaped or not" example:"GET /api/analytics/stats"`
	}
	operationOutput struct{ Body OperationAnswer }
	doneOutput      struct{ Body Done }
)

// Done is the answer of what only does something.
type Done struct {
	Success bool   `json:"success"`
	Message string `json:"message"`
}

func (s *Server) registerPerformance() {
	read(s, operation{route: route{method: http.MethodGet, path: base + "/performance", scope: access.Read},
		id: "performance", tag: "performance", summary: "Timings of all operations, and the machine"}, s.performance)
	// The name holds slashes, which only a trailing wildcard takes unescaped.
	read(s, operation{route: route{method: http.MethodGet, path: base + "/performance/operation/{operation_name}",
		match: base + "/performance/operation/{operation_name...}", scope: access.Read},
		id: "operation", tag: "performance", summary: "Timings of one operation",
		faults: []int{http.StatusNotFound}}, s.operation)
	read(s, operation{route: route{method: http.MethodDelete, path: base + "/performance/clear", scope: access.Admin},
		id: "clear-performance", tag: "performance", summary: "Forget all timings"}, s.clearPerformance)
}

func (s *Server) performance(context.Context, *struct{}) (*performanceOutput, error) {
	return &performanceOutput{Body: PerformanceAnswer{
		Timestamp:             s.deps.Now().UTC(),
		SystemMetrics:         s.deps.System.Read(),
		OperationStats:        s.deps.Operations.Stats(),
		TotalMetricsCollected: s.deps.Operations.Total(),
		Thresholds:            s.deps.Settings.Current().Document().Thresholds,
	}}, nil
}

func (s *Server) operation(_ context.Context, in *operationInput) (*operationOutput, error) {
	stats, ok := s.deps.Operations.Operation(in.Name)
	if !ok {
		return nil, errs.New(errs.NotFound, "no operation of this name was timed; GET /api/analytics/performance lists them")
	}
	return &operationOutput{Body: OperationAnswer{Operation: in.Name, Stats: stats}}, nil
}

func (s *Server) clearPerformance(context.Context, *struct{}) (*doneOutput, error) {
	s.deps.Operations.Clear()
	return &doneOutput{Body: Done{Success: true, Message: "Performance metrics cleared"}}, nil
}
