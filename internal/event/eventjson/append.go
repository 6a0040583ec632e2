package eventjson

import (
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tidemark-obs/tidemark/internal/event"
)

// Append appends the event as one line of compact JSON, without the newline. Empty fields
// are left out; properties and metadata stand as they are kept. The order of the fields is
// fixed, and the first is event_id.
func Append(dst []byte, e *event.Event) []byte {
	dst = append(dst, `{"event_id":`...)
	dst = appendString(dst, e.ID)
	dst = append(dst, `,"event_name":`...)
	dst = appendString(dst, e.Name)
	dst = appendText(dst, `,"event_type":`, string(e.Type))
	if !e.Timestamp.IsZero() {
		dst = appendTime(append(dst, `,"timestamp":`...), e.Timestamp)
	}
	if !e.ReceivedAt.IsZero() {
		dst = appendTime(append(dst, `,"received_at":`...), e.ReceivedAt)
	}
	dst = appendText(dst, `,"user_id":`, e.UserID)
	dst = appendText(dst, `,"anonymous_id":`, e.AnonymousID)
	dst = appendText(dst, `,"session_id":`, e.SessionID)
	dst = appendObject(dst, `,"properties":`, e.Properties)
	dst = appendObject(dst, `,"metadata":`, e.Metadata)
	dst = appendText(dst, `,"severity":`, string(e.Severity))
	dst = appendTags(dst, e.Tags)
	dst = appendText(dst, `,"source":`, e.Source)
	dst = appendText(dst, `,"user_agent":`, e.UserAgent)
	dst = appendText(dst, `,"ip_address":`, e.IPAddress)
	dst = appendText(dst, `,"referrer":`, e.Referrer)
	dst = appendText(dst, `,"timezone":`, e.Timezone)
	dst = append(dst, `,"sample_rate":`...)
	dst = jsontext.AppendFloat(dst, e.SampleRate, 64)
	dst = append(dst, `,"processed":`...)
	dst = strconv.AppendBool(dst, e.Processed)
	if !e.ProcessedAt.IsZero() {
		dst = appendTime(append(dst, `,"processed_at":`...), e.ProcessedAt)
	}
	return append(dst, '}')
}

// AppendID appends an event's id as the journal's lines have it.
func AppendID(dst []byte, id string) []byte { return appendString(dst, id) }

func appendText(dst []byte, label, text string) []byte {
	if text == "" {
		return dst
	}
	return appendString(append(dst, label...), text)
}

// appendString replaces invalid UTF-8, which Validate lets nobody bring in.
func appendString(dst []byte, text string) []byte {
	dst, _ = jsontext.AppendQuote(dst, text)
	return dst
}

func appendObject(dst []byte, label string, o event.Object) []byte {
	if len(o) == 0 {
		return dst
	}
	return append(append(dst, label...), o...)
}

func appendTags(dst []byte, tags []string) []byte {
	for i, tag := range tags {
		if i == 0 {
			dst = append(dst, `,"tags":[`...)
		} else {
			dst = append(dst, ',')
		}
		dst = appendString(dst, tag)
	}
	if len(tags) > 0 {
		dst = append(dst, ']')
	}
	return dst
}

// JSON is an event that encoding/json writes as Append does.
type JSON event.Event

// MarshalJSON writes the event.
func (j JSON) MarshalJSON() ([]byte, error) {
	e := event.Event(j)
	return Append(nil, &e), nil
}
