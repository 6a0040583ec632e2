package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/tidemark-obs/tidemark/internal/access"
	"github.com/tidemark-obs/tidemark/internal/question"
)

// Questions answers what is asked about stored events.
type Questions interface {
	Series(ctx context.Context, q *question.Series) (question.SeriesAnswer, error)
	Breakdown(ctx context.Context, q *question.Breakdown) (question.BreakdownAnswer, error)
}

// Journeys answers what people did one after the other.
type Journeys interface {
	Funnel(ctx context.Context, q *question.Funnel) (question.FunnelAnswer, error)
	Retention(ctx context.Context, q *question.Retention) (question.RetentionAnswer, error)
	Visits(ctx context.Context, q *question.Visits) (question.VisitsAnswer, error)
	Paths(ctx context.Context, q *question.Paths) (question.PathsAnswer, error)
}

// AskInput is what the questions asked with GET have in common.
type AskInput struct {
	StartDate string `query:"start_date" doc:"RFC 3339 or YYYY-MM-DD in tz; default 30 days before the end"`
	EndDate   string `query:"end_date" doc:"RFC 3339 or YYYY-MM-DD in tz, not in the range; default now"`
	TZ        string `query:"tz" doc:"IANA time zone; default UTC"`
	Where     string `query:"where" doc:"JSON list of {field, op, value}; a field is a column or properties.a.b; op is one of = != < <= > >= in contains exists"`
}

type (
	seriesInput struct {
		AskInput
		Metric   string `query:"metric" doc:"count, weighted, users, sessions, or sum, avg, min, max, p50 to p99 of a property, as p95:duration_ms; default count"`
		Interval string `query:"interval" doc:"minute, hour, day, week or month; default day"`
		GroupBy  string `query:"group_by" doc:"A column or properties.a.b"`
		Limit    int    `query:"limit" default:"10" doc:"Groups to name, 1 to 100; all others share one line"`
	}
	seriesOutput struct{ Body question.SeriesAnswer }

	breakdownInput struct {
		AskInput
		Metric string `query:"metric" doc:"count, weighted, users, sessions, or sum, avg, min, max, p50 to p99 of a property, as p95:duration_ms; default count"`
		By     string `query:"by" required:"true" doc:"A column or properties.a.b"`
		Limit  int    `query:"limit" default:"10" doc:"Values to name, 1 to 100"`
	}
	breakdownOutput struct{ Body question.BreakdownAnswer }
)

// questionFaults are what a question may be answered with beside an answer.
var questionFaults = []int{http.StatusServiceUnavailable}

func (s *Server) registerQuestions() {
	read(s, operation{route: route{method: http.MethodGet, path: base + "/events/timeseries", scope: access.Read},
		id: "event-timeseries", tag: "questions", summary: "A metric over time, by group",
		faults: questionFaults}, s.timeseries)
	read(s, operation{route: route{method: http.MethodGet, path: base + "/events/breakdown", scope: access.Read},
		id: "event-breakdown", tag: "questions", summary: "A metric by the values of a column or property",
		faults: questionFaults}, s.breakdown)
}

// asOf must be asked before the store is.
func (s *Server) asOf() time.Time { return s.deps.Backlog.AsOf() }

// span reads the parameters that questions share.
func (in *AskInput) span(p *question.Parser, now time.Time) (question.Span, []question.Condition) {
	return p.Span(in.StartDate, in.EndDate, in.TZ, now), p.Where("where", []byte(in.Where))
}

func (s *Server) timeseries(ctx context.Context, in *seriesInput) (*seriesOutput, error) {
	var p question.Parser
	q := question.Series{AsOf: s.asOf()}
	q.Span, q.Where = in.span(&p, s.deps.Now())
	q.Metric = p.Metric("metric", in.Metric)
	q.GroupBy = p.Grouping("group_by", in.GroupBy)
	q.Groups = p.Groups("limit", in.Limit)
	q.Interval = p.Interval("interval", in.Interval, question.Day, question.MaxBuckets, q.Span)
	q.Check(&p)
	if err := p.Err(); err != nil {
		return nil, err
	}
	a, err := s.deps.Questions.Series(ctx, &q)
	if err != nil {
		return nil, err
	}
	return &seriesOutput{Body: a}, nil
}

func (s *Server) breakdown(ctx context.Context, in *breakdownInput) (*breakdownOutput, error) {
	var p question.Parser
	q := question.Breakdown{AsOf: s.asOf()}
	q.Span, q.Where = in.span(&p, s.deps.Now())
	q.Metric = p.Metric("metric", in.Metric)
	q.By = p.Grouping("by", in.By)
	q.Groups = p.Groups("limit", in.Limit)
	if in.By == "" {
		p.Fail("by", "is required")
	}
	if err := p.Err(); err != nil {
		return nil, err
	}
	a, err := s.deps.Questions.Breakdown(ctx, &q)
	if err != nil {
		return nil, err
	}
	return &breakdownOutput{Body: a}, nil
}
