package httpapi

import (
	"strings"

	"github.com/tidemark-obs/tidemark/internal/store"
)

// FilterInput are the parameters that select events.
type FilterInput struct {
	EventType string   `query:"event_type" enum:"page_view,user_interaction,api_request,api_error,operation_timing,system_metric,custom"`
	EventName string   `query:"event_name"`
	UserID    string   `query:"user_id"`
	SessionID string   `query:"session_id"`
	Severity  string   `query:"severity" enum:"low,medium,high,critical"`
	Processed string   `query:"processed" enum:"true,false"`
	Tags      []string `query:"tags,explode" nullable:"false" doc:"All of them; repeated or separated by commas"`
	StartDate string   `query:"start_date" doc:"RFC 3339 or YYYY-MM-DD"`
	EndDate   string   `query:"end_date" doc:"RFC 3339 or YYYY-MM-DD; not in the range"`
	Where     string   `query:"where" doc:"JSON list of {field, op, value} as questions have it"`
}

// filter is what the parameters select.
func (s *Server) filter(p *params, in *FilterInput) store.Filter {
	f := store.Filter{
		EventType: in.EventType,
		EventName: p.text("event_name", in.EventName),
		UserID:    p.text("user_id", in.UserID),
		SessionID: p.text("session_id", in.SessionID),
		Severity:  in.Severity,
	}
	if in.Processed != "" {
		processed := in.Processed == "true"
		f.Processed = &processed
	}
	for _, group := range in.Tags {
		for tag := range strings.SplitSeq(group, ",") {
			if tag = strings.TrimSpace(tag); tag != "" {
				f.Tags = append(f.Tags, p.text("tags", tag))
			}
		}
	}
	if most := s.deps.Limits.Event.Tags; len(f.Tags) > most {
		p.fail("tags", "are more than an event can have")
	}
	f.Start, f.End = p.span("start_date", in.StartDate, "end_date", in.EndDate)
	f.Where = p.where("where", in.Where)
	return f
}
