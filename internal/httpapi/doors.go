package httpapi

import (
	"net/http"
	"time"

	"github.com/tidemark-obs/tidemark/internal/access"
	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event/eventjson"
)

// The types here document what the doors read and write by hand.

// EventContext is what every event may have, whatever its form.
type EventContext struct {
	EventID     string         `json:"event_id,omitempty" minLength:"1" maxLength:"100" doc:"The client's id, the same in every attempt; a new one where it is absent"`
	Timestamp   *time.Time     `json:"timestamp,omitempty" doc:"RFC 3339; now where it is absent"`
	UserID      string         `json:"user_id,omitempty" maxLength:"100"`
	AnonymousID string         `json:"anonymous_id,omitempty" maxLength:"100"`
	SessionID   string         `json:"session_id,omitempty" maxLength:"100"`
	Properties  map[string]any `json:"properties,omitempty" doc:"At most 50 keys, depth 8, texts of 1,000 characters"`
	Metadata    map[string]any `json:"metadata,omitempty" doc:"Free context; the same limits"`
	Severity    string         `json:"severity,omitempty" enum:"low,medium,high,critical"`
	Tags        []string       `json:"tags,omitempty" nullable:"false" maxItems:"20"`
	Source      string         `json:"source,omitempty"`
	UserAgent   string         `json:"user_agent,omitempty"`
	IPAddress   string         `json:"ip_address,omitempty"`
	Referrer    string         `json:"referrer,omitempty"`
	Timezone    string         `json:"timezone,omitempty" example:"Europe/Berlin"`
	SampleRate  float64        `json:"sample_rate,omitempty" exclusiveMinimum:"0" maximum:"1"`
}

// TrackRequest is one event in its short form; the long form has event_name and event_type.
//
// The specialised forms are taken as well, recognised by their fields: {operation, duration_ms,
// memory_usage_mb, cpu_percent, success, error_message}, {interaction_type, element, page_path,
// coordinates} and {method, path, status_code, duration_ms, user_agent}.
type TrackRequest struct {
	_         struct{} `json:"-" additionalProperties:"true"`
	Event     string   `json:"event,omitempty" minLength:"1" maxLength:"100" doc:"The event's name; event_name is the same"`
	EventName string   `json:"event_name,omitempty" minLength:"1" maxLength:"100" doc:"The event's name in the long form"`
	EventType string   `json:"event_type,omitempty" enum:"page_view,user_interaction,api_request,api_error,operation_timing,system_metric,custom" doc:"custom where it is absent"`
	EventContext
}

// EventRequest is one event in its long form.
type EventRequest struct {
	EventName string `json:"event_name" minLength:"1" maxLength:"100"`
	EventType string `json:"event_type,omitempty" enum:"page_view,user_interaction,api_request,api_error,operation_timing,system_metric,custom" doc:"custom where it is absent"`
	EventContext
}

// EventsRequest is the body of POST /events/batch.
type EventsRequest struct {
	Events []EventRequest `json:"events" nullable:"false" minItems:"1" maxItems:"1000"`
}

// PageViewRequest is the body of POST /user/page-view.
type PageViewRequest struct {
	Path string `json:"path" minLength:"1"`
	EventContext
}

// InteractionRequest is the body of POST /user/interaction.
type InteractionRequest struct {
	InteractionType string         `json:"interaction_type" minLength:"1" maxLength:"100" example:"click"`
	Element         string         `json:"element,omitempty"`
	PagePath        string         `json:"page_path,omitempty"`
	Coordinates     map[string]any `json:"coordinates,omitempty" doc:"Such as {x, y}"`
	EventContext
}

// Tracked is the answer of a door for one event.
type Tracked struct {
	Success  bool         `json:"success"`
	Message  string       `json:"message"`
	EventID  string       `json:"event_id"`
	Sampled  bool         `json:"sampled,omitempty" doc:"true when the event was left out by sampling"`
	Warnings []errs.Field `json:"warnings,omitempty" nullable:"false" doc:"Only with debug_mode"`
}

// BatchAnswer is the answer of a door for many events.
type BatchAnswer struct {
	Success       bool          `json:"success"`
	Message       string        `json:"message"`
	TrackedCount  int           `json:"tracked_count"`
	RejectedCount int           `json:"rejected_count"`
	SampledCount  int           `json:"sampled_count" doc:"Left out by sampling"`
	Results       []BatchResult `json:"results" nullable:"false"`
}

// BatchResult is what became of one event of a batch.
type BatchResult struct {
	Index    int          `json:"index"`
	EventID  *string      `json:"event_id" doc:"null where a rejected event had no usable id"`
	Status   string       `json:"status" enum:"accepted,sampled,rejected"`
	Error    *string      `json:"error" doc:"Why it was rejected, in one line"`
	Errors   []errs.Field `json:"errors,omitempty" nullable:"false" doc:"The same, each with its place in the event"`
	Warnings []errs.Field `json:"warnings,omitempty" nullable:"false"`
}

func (s *Server) registerDoors() {
	door := func(path string) route {
		return route{method: http.MethodPost, path: base + path, scope: access.Ingest, door: true}
	}
	overloaded := []int{http.StatusServiceUnavailable}
	one := map[int]payload{200: Tracked{}}
	s.plain(operation{route: door("/track"), id: "track", tag: "ingest", summary: "Take in one event",
		detail: "200 means that the event is on disk and will be stored exactly once. Instead of event, the fields of a specialised form may stand: " +
			"operation and duration_ms; interaction_type; or method, path and status_code.", faults: overloaded},
		TrackRequest{}, one, s.single(eventjson.FormAny, "Event tracked successfully"))
	s.plain(operation{route: door("/user/page-view"), id: "page-view", tag: "ingest", summary: "Take in a page view", faults: overloaded},
		PageViewRequest{}, one, s.single(eventjson.FormPageView, "Page view tracked"))
	s.plain(operation{route: door("/user/interaction"), id: "interaction", tag: "ingest", summary: "Take in a user interaction", faults: overloaded},
		InteractionRequest{}, one, s.single(eventjson.FormInteraction, "User interaction tracked"))
	s.plain(operation{route: door("/batch-track"), id: "batch-track", tag: "ingest", summary: "Take in 1 to 100 events",
		detail: "The good ones count even when others are bad. 400 when there are none or too many, 422 when none is valid.",
		faults: []int{http.StatusBadRequest, http.StatusServiceUnavailable}},
		[]TrackRequest{}, map[int]payload{200: BatchAnswer{}}, s.batchTrack)

	create := door("/events")
	create.slash = true
	s.plain(operation{route: create, id: "create-event", tag: "events", summary: "Store one event",
		detail: "201 with the event once stored; 200 with what is stored where the id was stored before, or when sampling left the event out; " +
			"202 when it was accepted and the database does not answer in time: it will be stored.",
		faults: []int{http.StatusConflict, http.StatusServiceUnavailable}},
		EventRequest{}, map[int]payload{200: Event{}, 201: Event{}, 202: ReceiptAnswer{}}, s.createEvent)
	s.plain(operation{route: door("/events/batch"), id: "create-events", tag: "events", summary: "Store up to 1,000 events",
		detail: "201 once they are stored; 202 when they were accepted and the database does not answer in time.",
		faults: []int{http.StatusBadRequest, http.StatusServiceUnavailable}},
		EventsRequest{}, map[int]payload{201: BatchAnswer{}, 202: BatchAnswer{}}, s.createEvents)
}
