package questiontest

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/question"
)

// Value is a field of an event: string, float64, bool or time.Time; []string of tags; nil where
// there is none; other things for JSON values that are no scalars.
func Value(e *event.Event, f question.Field) any {
	texts := map[question.Column]string{
		"event_id": e.ID, "event_name": e.Name, "event_type": string(e.Type), "severity": string(e.Severity),
		"user_id": e.UserID, "anonymous_id": e.AnonymousID, "session_id": e.SessionID, "source": e.Source,
		"user_agent": e.UserAgent, "ip_address": e.IPAddress, "referrer": e.Referrer, "timezone": e.Timezone,
	}
	if text, ok := texts[f.Column]; ok {
		if text == "" {
			return nil
		}
		return text
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
	case "tags":
		if len(e.Tags) == 0 {
			return nil
		}
		return e.Tags
	case "properties":
		return inside(e.Properties, f.Path)
	case "metadata":
		return inside(e.Metadata, f.Path)
	}
	panic("no such column")
}

func inside(o event.Object, path []string) any {
	if o == nil {
		return nil
	}
	var v any
	if err := json.Unmarshal(o, &v); err != nil {
		panic(err)
	}
	for _, key := range path {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[key]
	}
	return v
}

// Match reports whether an event meets every condition.
func Match(e *event.Event, conditions []question.Condition) bool {
	for i := range conditions {
		if !meets(Value(e, conditions[i].Field), &conditions[i]) {
			return false
		}
	}
	return true
}

func meets(v any, c *question.Condition) bool {
	switch c.Op {
	case question.Exists:
		return (v != nil) == c.Value.Bool
	case question.Contains:
		if tags, ok := v.([]string); ok {
			return slices.Contains(tags, c.Value.Text)
		}
		text, ok := v.(string)
		return ok && strings.Contains(text, c.Value.Text)
	case question.In:
		return slices.ContainsFunc(c.List, func(w question.Value) bool { order, same := compare(v, w); return same && order == 0 })
	}
	order, same := compare(v, c.Value)
	switch c.Op {
	case question.Equal:
		return same && order == 0
	case question.NotEqual:
		return !same || order != 0
	case question.Less:
		return same && order < 0
	case question.LessEqual:
		return same && order <= 0
	case question.Greater:
		return same && order > 0
	default:
		return same && order >= 0
	}
}

// compare orders a value beside another of its kind; same is false where they are of two.
func compare(v any, w question.Value) (order int, same bool) {
	switch v := v.(type) {
	case string:
		return strings.Compare(v, w.Text), w.Kind == question.Text
	case float64:
		if v < w.Number {
			order = -1
		} else if v > w.Number {
			order = 1
		}
		return order, w.Kind == question.Number
	case bool:
		if v != w.Bool {
			order = 1
		}
		return order, w.Kind == question.Bool
	case time.Time:
		return v.Compare(w.Time), w.Kind == question.Time
	}
	return 0, false
}

// Select are the events of a span that meet the conditions.
func Select(events []event.Event, s question.Span, conditions []question.Condition) []event.Event {
	var list []event.Event
	for i := range events {
		e := &events[i]
		if !e.Timestamp.Before(s.Start) && e.Timestamp.Before(s.End) && Match(e, conditions) {
			list = append(list, *e)
		}
	}
	return list
}
