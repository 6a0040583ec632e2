package httpapi

import (
	"bytes"
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/tidemark-obs/tidemark/internal/access"
	"github.com/tidemark-obs/tidemark/internal/question"
)

// Where is a list of conditions as it came; the question's parser reads it.
type Where struct{ raw []byte }

// UnmarshalJSON keeps the text.
func (w *Where) UnmarshalJSON(raw []byte) error {
	w.raw = bytes.Clone(raw)
	return nil
}

// Schema documents what the parser takes.
func (Where) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeArray, Description: "All must hold", Items: &huma.Schema{
		Type: huma.TypeObject, Required: []string{"field", "op"}, Properties: map[string]*huma.Schema{
			"field": {Type: huma.TypeString, Description: "A column or properties.a.b"},
			"op":    {Type: huma.TypeString, Enum: []any{"=", "!=", "<", "<=", ">", ">=", "in", "contains", "exists"}},
			"value": {Description: "A text, a number, true or false; a list of them for in"},
		},
	}}
}

// SpanRequest is the range of a question.
type SpanRequest struct {
	StartDate string `json:"start_date,omitempty" doc:"RFC 3339 or YYYY-MM-DD in tz; default 30 days before the end"`
	EndDate   string `json:"end_date,omitempty" doc:"RFC 3339 or YYYY-MM-DD in tz, not in the range; default now"`
	TZ        string `json:"tz,omitempty" doc:"IANA time zone; default UTC"`
}

// MatchRequest selects events.
type MatchRequest struct {
	EventName string `json:"event_name,omitempty" doc:"Any where it is absent"`
	Where     Where  `json:"where,omitempty"`
}

func (m *MatchRequest) read(p *question.Parser, location string) question.Match {
	return p.Match(location, m.EventName, m.Where.raw)
}

// FunnelRequest is the body of POST /events/funnel.
type FunnelRequest struct {
	Steps     []MatchRequest `json:"steps" nullable:"false" minItems:"1" maxItems:"10"`
	Window    string         `json:"window,omitempty" doc:"From the first step to the last, as 30m, 24h or 7d; default 24h"`
	By        string         `json:"by,omitempty" enum:"user,session" doc:"Default user"`
	Breakdown string         `json:"breakdown,omitempty" doc:"A column or properties.a.b of the first step's event"`
	Limit     int            `json:"limit,omitempty" doc:"Groups of the breakdown, 1 to 100; default 10"`
	SpanRequest
}

// RetentionRequest is the body of POST /events/retention.
type RetentionRequest struct {
	First     MatchRequest `json:"first,omitempty" doc:"The event that a user must have to belong to a cohort; default any"`
	Returning MatchRequest `json:"returning,omitempty" doc:"The event that counts as coming back; default any"`
	Period    string       `json:"period,omitempty" enum:"day,week,month" doc:"Default week"`
	Periods   int          `json:"periods,omitempty" doc:"After the first, 1 to 60; default 8"`
	SpanRequest
}

// PathsRequest is the body of POST /events/paths.
type PathsRequest struct {
	Anchor    string `json:"anchor" doc:"The event_name that paths begin at, or lead up to"`
	Direction string `json:"direction,omitempty" enum:"after,before" doc:"Default after"`
	By        string `json:"by,omitempty" enum:"user,session" doc:"Default session"`
	Depth     int    `json:"depth,omitempty" doc:"Events beside the anchor, 1 to 5; default 3"`
	Limit     int    `json:"limit,omitempty" doc:"Paths to list, 1 to 100; default 10"`
	Where     Where  `json:"where,omitempty" doc:"Of the events that paths are made of"`
	SpanRequest
}

type (
	visitsInput struct {
		AskInput
		Gap string `query:"gap" doc:"A longer silence ends a session, as 30m; default 30m"`
	}
	visitsOutput struct{ Body question.VisitsAnswer }
)

func (s *Server) registerJourneys() {
	ask := func(path, id, summary, detail string) operation {
		return operation{route: route{method: http.MethodPost, path: base + "/events/" + path, scope: access.Read},
			id: id, tag: "questions", summary: summary, detail: detail, faults: questionFaults}
	}
	s.plain(ask("funnel", "event-funnel", "How many took a series of steps",
		"In order and within a window, other events between. Any event of the first step may begin; each actor's longest chain counts."),
		FunnelRequest{}, map[int]payload{200: question.FunnelAnswer{}}, s.funnel)
	s.plain(ask("retention", "event-retention", "How many came back, by when they came first", ""),
		RetentionRequest{}, map[int]payload{200: question.RetentionAnswer{}}, s.retention)
	s.plain(ask("paths", "event-paths", "Which events follow another, or lead up to it", ""),
		PathsRequest{}, map[int]payload{200: question.PathsAnswer{}}, s.paths)
	read(s, operation{route: route{method: http.MethodGet, path: base + "/events/sessions", scope: access.Read},
		id: "event-sessions", tag: "questions", summary: "Sessions by gaps between a visitor's events", faults: questionFaults}, s.visits)
}

// request reads a question's body and makes a parser for what is in it.
func (s *Server) request(w http.ResponseWriter, r *http.Request, into any) (*question.Parser, error) {
	return &question.Parser{Prefix: "/"}, s.bodies.decode(w, r, into)
}

func (in *SpanRequest) span(p *question.Parser, now time.Time) question.Span {
	return p.Span(in.StartDate, in.EndDate, in.TZ, now)
}

func (s *Server) funnel(w http.ResponseWriter, r *http.Request) error {
	var in FunnelRequest
	p, err := s.request(w, r, &in)
	if err != nil {
		return err
	}
	q := question.Funnel{Span: in.span(p, s.deps.Now()), AsOf: s.asOf()}
	q.Steps = p.Steps("steps", len(in.Steps), func(i int, at string) question.Match { return in.Steps[i].read(p, at) })
	q.Window = p.Duration("window", in.Window, 24*time.Hour, question.MaxWindow)
	q.By = p.Actor("by", in.By, question.ByUser)
	q.Breakdown = p.Grouping("breakdown", in.Breakdown)
	q.Groups = p.Groups("limit", in.Limit)
	if err := p.Err(); err != nil {
		return err
	}
	a, err := s.deps.Journeys.Funnel(r.Context(), &q)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, a)
}

func (s *Server) retention(w http.ResponseWriter, r *http.Request) error {
	var in RetentionRequest
	p, err := s.request(w, r, &in)
	if err != nil {
		return err
	}
	q := question.Retention{Span: in.span(p, s.deps.Now()), AsOf: s.asOf()}
	q.First, q.Returning = in.First.read(p, "first"), in.Returning.read(p, "returning")
	q.Period = p.Period("period", in.Period, q.Span)
	q.Periods = p.Number("periods", in.Periods, 8, question.MaxPeriods)
	q.Check(p)
	if err := p.Err(); err != nil {
		return err
	}
	a, err := s.deps.Journeys.Retention(r.Context(), &q)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, a)
}

func (s *Server) paths(w http.ResponseWriter, r *http.Request) error {
	var in PathsRequest
	p, err := s.request(w, r, &in)
	if err != nil {
		return err
	}
	q := question.Paths{Span: in.span(p, s.deps.Now()), AsOf: s.asOf()}
	q.Where = p.Where("where", in.Where.raw)
	q.Anchor = p.Text("anchor", in.Anchor)
	if q.Anchor == "" {
		p.Fail("anchor", "is required")
	}
	q.Before = p.Direction("direction", in.Direction)
	q.By = p.Actor("by", in.By, question.BySession)
	q.Depth = p.Number("depth", in.Depth, 3, question.MaxDepth)
	q.Groups = p.Groups("limit", in.Limit)
	if err := p.Err(); err != nil {
		return err
	}
	a, err := s.deps.Journeys.Paths(r.Context(), &q)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, a)
}

func (s *Server) visits(ctx context.Context, in *visitsInput) (*visitsOutput, error) {
	var p question.Parser
	q := question.Visits{AsOf: s.asOf()}
	q.Span, q.Where = in.span(&p, s.deps.Now())
	q.Gap = p.Duration("gap", in.Gap, 30*time.Minute, question.MaxGap)
	if err := p.Err(); err != nil {
		return nil, err
	}
	a, err := s.deps.Journeys.Visits(ctx, &q)
	if err != nil {
		return nil, err
	}
	return &visitsOutput{Body: a}, nil
}
