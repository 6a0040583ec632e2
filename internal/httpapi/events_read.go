package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/tidemark-obs/tidemark/internal/access"
	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/question"
	"github.com/tidemark-obs/tidemark/internal/store"
)

// statsSpan is the range of GET /events/stats where the request names none.
const statsSpan = 30 * 24 * time.Hour

// EventsPage is the answer of GET /events.
type EventsPage struct {
	Events     []eventView `json:"events" nullable:"false" doc:"Newest first"`
	NextCursor *string     `json:"next_cursor" doc:"The cursor of the next page; null at the end"`
}

// RecentAnswer is the answer of GET /events/recent.
type RecentAnswer struct {
	Events        []eventView `json:"events" nullable:"false" doc:"Newest first, stored and not yet stored alike"`
	Count         int         `json:"count"`
	TotalBuffered uint64      `json:"total_buffered" doc:"Events accepted and not yet stored"`
}

// EventStats is the answer of GET /events/stats.
type EventStats struct {
	question.Quality
	TotalEvents       int64            `json:"total_events"`
	EventsByType      map[string]int64 `json:"events_by_type"`
	EventsBySeverity  map[string]int64 `json:"events_by_severity"`
	ProcessedEvents   int64            `json:"processed_events"`
	UnprocessedEvents int64            `json:"unprocessed_events"`
	UniqueUsers       int64            `json:"unique_users" doc:"Within error_bound; all other numbers but those of top_users are exact"`
	DateRange         DateRange        `json:"date_range"`
	TopUsers          []TopUser        `json:"top_users" nullable:"false" doc:"At most 10, most events first"`
	TopUsersError     int64            `json:"top_users_error" doc:"How many events any user may have more than top_users says; 0 where those are exact"`
	TopEvents         []TopEvent       `json:"top_events" nullable:"false" doc:"At most 10, most events first"`
}

// DateRange is half-open.
type DateRange struct {
	StartDate time.Time `json:"start_date"`
	EndDate   time.Time `json:"end_date" doc:"Not in the range"`
}

// TopUser is a user and how many events are theirs.
type TopUser struct {
	UserID string `json:"user_id"`
	Count  int64  `json:"count"`
}

// TopEvent is an event name and how often it stands.
type TopEvent struct {
	EventName string `json:"event_name"`
	Count     int64  `json:"count"`
}

type (
	listInput struct {
		FilterInput
		Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
		Cursor string `query:"cursor" doc:"next_cursor of the page before"`
	}
	listOutput struct{ Body EventsPage }

	recentInput struct {
		Limit int `query:"limit" minimum:"1" maximum:"100" default:"10"`
	}
	recentOutput struct{ Body RecentAnswer }

	eventInput struct {
		ID string `path:"event_id" maxLength:"100" doc:"The event's id"`
	}
	eventOutput struct{ Body eventView }

	spanInput struct {
		StartDate string `query:"start_date" doc:"RFC 3339 or YYYY-MM-DD; default 30 days before the end"`
		EndDate   string `query:"end_date" doc:"RFC 3339 or YYYY-MM-DD, not in the range; default now"`
	}
	eventStatsOutput struct{ Body EventStats }
)

func (s *Server) registerEventReads() {
	read(s, operation{route: route{method: http.MethodGet, path: base + "/events", slash: true, scope: access.Read},
		id: "list-events", tag: "events", summary: "Stored events, newest first",
		faults: []int{http.StatusServiceUnavailable}}, s.listEvents)
	read(s, operation{route: route{method: http.MethodGet, path: base + "/events/recent", scope: access.Read},
		id: "recent-events", tag: "analytics", summary: "The newest events, stored and not yet stored alike"}, s.recentEvents)
	read(s, operation{route: route{method: http.MethodGet, path: base + "/events/stats", scope: access.Read},
		id: "event-stats", tag: "events", summary: "Counts over a range of time",
		faults: []int{http.StatusServiceUnavailable}}, s.eventStats)
	read(s, operation{route: route{method: http.MethodGet, path: base + "/events/{event_id}", scope: access.Read},
		id: "get-event", tag: "events", summary: "One stored event",
		faults: []int{http.StatusNotFound, http.StatusServiceUnavailable}}, s.getEvent)
}

func (s *Server) listEvents(ctx context.Context, in *listInput) (*listOutput, error) {
	var p params
	f := s.filter(&p, &in.FilterInput)
	page := p.cursor("cursor", in.Cursor, in.Limit+1) // one more tells whether there is a next page
	if err := p.err(); err != nil {
		return nil, err
	}
	events, err := s.deps.Events.List(ctx, f, page)
	if err != nil {
		return nil, err
	}
	return &listOutput{Body: eventsPage(events, in.Limit)}, nil
}

func eventsPage(events []event.Event, limit int) EventsPage {
	if len(events) <= limit {
		return EventsPage{Events: views(events, viewOf)}
	}
	events = events[:limit]
	next := cursorAfter(&events[limit-1])
	return EventsPage{Events: views(events, viewOf), NextCursor: &next}
}

func (s *Server) recentEvents(ctx context.Context, in *recentInput) (*recentOutput, error) {
	events, buffered, err := s.deps.Backlog.Recent(ctx, in.Limit)
	if err != nil {
		return nil, err
	}
	return &recentOutput{Body: RecentAnswer{Events: views(events, viewOf), Count: len(events), TotalBuffered: buffered}}, nil
}

func (s *Server) getEvent(ctx context.Context, in *eventInput) (*eventOutput, error) {
	var p params
	id := p.text("event_id", in.ID)
	if err := p.err(); err != nil {
		return nil, err
	}
	e, err := s.deps.Events.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	return &eventOutput{Body: eventView{&e}}, nil
}

func (s *Server) eventStats(ctx context.Context, in *spanInput) (*eventStatsOutput, error) {
	var p params
	asOf := s.asOf()
	start, end := p.span("start_date", in.StartDate, "end_date", in.EndDate)
	if end.IsZero() {
		end = s.deps.Now().UTC().Truncate(time.Microsecond)
		if !start.IsZero() && !start.Before(end) {
			p.fail("start_date", "must be in the past when there is no end_date")
		}
	}
	if start.IsZero() {
		start = end.Add(-statsSpan)
	}
	if err := p.err(); err != nil {
		return nil, err
	}
	st, err := s.deps.Events.Stats(ctx, start, end)
	if err != nil {
		return nil, err
	}
	return &eventStatsOutput{Body: statsAnswer(&st, start, end, asOf)}, nil
}

func statsAnswer(st *store.Stats, start, end, asOf time.Time) EventStats {
	a := EventStats{
		Quality:     question.Exactly(question.Count, asOf),
		TotalEvents: st.TotalEvents, EventsByType: st.ByType, EventsBySeverity: st.BySeverity,
		ProcessedEvents: st.ProcessedEvents, UnprocessedEvents: st.UnprocessedEvents, UniqueUsers: st.UniqueUsers,
		DateRange:     DateRange{StartDate: start, EndDate: end},
		TopUsersError: st.TopUsersMore,
		TopUsers:      make([]TopUser, len(st.TopUsers)), TopEvents: make([]TopEvent, len(st.TopEvents)),
	}
	a.CompleteFrom = st.CompleteFrom
	if st.UsersBound > 0 || st.TopUsersMore > 0 {
		a.Exact, a.ErrorBound = false, st.UsersBound
	}
	for i, c := range st.TopUsers {
		a.TopUsers[i] = TopUser{UserID: c.Value, Count: c.Count}
	}
	for i, c := range st.TopEvents {
		a.TopEvents[i] = TopEvent{EventName: c.Value, Count: c.Count}
	}
	if a.EventsByType == nil {
		a.EventsByType = map[string]int64{}
	}
	if a.EventsBySeverity == nil {
		a.EventsBySeverity = map[string]int64{}
	}
	return a
}
