package destination

import (
	"encoding/json"

	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/question"
)

// filter is a Filter that was checked.
type filter struct {
	names map[string]bool // nil = all
	types map[event.Type]bool
	where []question.Condition
}

func newFilter(f *Filter) *filter {
	out := &filter{}
	if len(f.EventNames) > 0 {
		out.names = make(map[string]bool, len(f.EventNames))
		for _, n := range f.EventNames {
			out.names[n] = true
		}
	}
	if len(f.EventTypes) > 0 {
		out.types = make(map[event.Type]bool, len(f.EventTypes))
		for _, t := range f.EventTypes {
			out.types[event.Type(t)] = true
		}
	}
	var p question.Parser // checked before
	out.where = p.Where("/where", f.Where)
	return out
}

// passes reports whether an event meets all of the filter.
func (f *filter) passes(e *event.Event) bool {
	if f.names != nil && !f.names[e.Name] || f.types != nil && !f.types[e.Type] {
		return false
	}
	for i := range f.where {
		if !f.where[i].Meets(valueOf(e, f.where[i].Field)) {
			return false
		}
	}
	return true
}

// valueOf is a field as text, number, bool, time or tags; nil where there is none.
func valueOf(e *event.Event, f question.Field) any {
	if text := textOf(e, f.Column); text != nil {
		if *text == "" {
			return nil
		}
		return *text
	}
	switch f.Column {
	case "timestamp":
		return e.Timestamp
	case "received_at":
		return e.ReceivedAt
	case "processed_at":
		if e.ProcessedAt.IsZero() {
			return nil
		}
		return e.ProcessedAt
	case "sample_rate":
		return e.SampleRate
	case "processed":
		return e.Processed
	case question.TagsColumn:
		if len(e.Tags) == 0 {
			return nil
		}
		return e.Tags
	case question.Properties:
		return inside(e.Properties, f.Path)
	case question.Metadata:
		return inside(e.Metadata, f.Path)
	}
	return nil
}

// textOf is where a column of text lies in an event; nil for other columns.
func textOf(e *event.Event, c question.Column) *string {
	switch c {
	case "event_id":
		return &e.ID
	case question.EventName:
		return &e.Name
	case "event_type":
		return (*string)(&e.Type)
	case "severity":
		return (*string)(&e.Severity)
	case question.UserID:
		return &e.UserID
	case "anonymous_id":
		return &e.AnonymousID
	case question.SessionID:
		return &e.SessionID
	case "source":
		return &e.Source
	case "user_agent":
		return &e.UserAgent
	case "ip_address":
		return &e.IPAddress
	case "referrer":
		return &e.Referrer
	case "timezone":
		return &e.Timezone
	}
	return nil
}

// inside is the value at a path of keys; nil where there is none.
func inside(o event.Object, path []string) any {
	raw := json.RawMessage(o)
	for _, key := range path {
		var m map[string]json.RawMessage
		if len(raw) == 0 || raw[0] != '{' || json.Unmarshal(raw, &m) != nil {
			return nil
		}
		raw = m[key]
	}
	var v any
	if len(raw) == 0 || json.Unmarshal(raw, &v) != nil {
		return nil
	}
	return v
}
