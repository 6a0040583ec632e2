package httpapi

import (
	"encoding/json"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/event/eventjson"
)

// Event documents how an event looks in answers; eventjson writes it.
type Event struct {
	EventID     string         `json:"event_id"`
	EventName   string         `json:"event_name"`
	EventType   string         `json:"event_type" enum:"page_view,user_interaction,api_request,api_error,operation_timing,system_metric,custom"`
	Timestamp   time.Time      `json:"timestamp" doc:"When it happened, by the client's clock"`
	ReceivedAt  time.Time      `json:"received_at" doc:"When the service took it in"`
	UserID      string         `json:"user_id,omitempty"`
	AnonymousID string         `json:"anonymous_id,omitempty"`
	SessionID   string         `json:"session_id,omitempty"`
	Properties  map[string]any `json:"properties,omitempty"`
	Metadata    map[string]any `json:"metadata,omitempty"`
	Severity    string         `json:"severity" enum:"low,medium,high,critical"`
	Tags        []string       `json:"tags,omitempty" nullable:"false"`
	Source      string         `json:"source,omitempty"`
	UserAgent   string         `json:"user_agent,omitempty"`
	IPAddress   string         `json:"ip_address,omitempty" doc:"Truncated to /24 or /48 unless configured otherwise"`
	Referrer    string         `json:"referrer,omitempty"`
	Timezone    string         `json:"timezone,omitempty"`
	SampleRate  float64        `json:"sample_rate,omitempty" doc:"Statistics weigh the event by the inverse"`
	Processed   bool           `json:"processed"`
	ProcessedAt *time.Time     `json:"processed_at,omitempty"`
}

// eventView is an event in an answer.
type eventView struct{ event *event.Event }

// MarshalJSON writes the event.
func (v eventView) MarshalJSON() ([]byte, error) { return eventjson.Append(nil, v.event), nil }

// Schema is that of Event.
func (v eventView) Schema(r huma.Registry) *huma.Schema {
	return r.Schema(reflect.TypeFor[Event](), true, "")
}

func viewOf(e *event.Event) eventView { return eventView{e} }

// views are things as they are answered; no list is null.
func views[T, V any](list []T, view func(*T) V) []V {
	out := make([]V, len(list))
	for i := range list {
		out[i] = view(&list[i])
	}
	return out
}

var _ json.Marshaler = eventView{}
