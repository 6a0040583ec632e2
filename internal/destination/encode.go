package destination

import (
	"bytes"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/event/eventjson"
)

// member appends `,"key":"text"`, or nothing for no text.
func member(dst []byte, key, text string) []byte {
	if text == "" {
		return dst
	}
	dst = append(append(append(dst, `,"`...), key...), `":`...)
	return quote(dst, text)
}

// quote appends a JSON string; what is no UTF-8, which no event holds, is replaced.
func quote(dst []byte, text string) []byte {
	dst, _ = jsontext.AppendQuote(dst, text)
	return dst
}

func stamp(dst []byte, key string, at time.Time) []byte {
	dst = append(append(append(dst, `,"`...), key...), `":"`...)
	return append(at.UTC().AppendFormat(dst, time.RFC3339Nano), '"')
}

// commas puts a comma before every element but the first.
func commas(dst []byte, i int) []byte {
	if i > 0 {
		return append(dst, ',')
	}
	return dst
}

// cloudEventsBody is a batch of CloudEvents 1.0; data is the event as the API shows it.
func cloudEventsBody(dst []byte, events []event.Event) ([]byte, error) {
	dst = append(dst, '[')
	for i := range events {
		e := &events[i]
		dst = append(commas(dst, i), `{"specversion":"1.0","source":"tidemark","datacontenttype":"application/json"`...)
		dst = member(dst, "id", e.ID)
		dst = member(dst, "type", e.Name)
		dst = stamp(dst, "time", e.Timestamp)
		dst = append(dst, `,"data":`...)
		dst = append(eventjson.Append(dst, e), '}')
	}
	return append(dst, ']'), nil
}

// jsonBody is {"events": […]} of events as the API shows them.
func jsonBody(dst []byte, events []event.Event) ([]byte, error) {
	dst = append(dst, `{"events":[`...)
	for i := range events {
		dst = eventjson.Append(commas(dst, i), &events[i])
	}
	return append(dst, "]}"...), nil
}

// segmentBody is a batch of Segment's HTTP API.
func segmentBody(now func() time.Time) func([]byte, []event.Event) ([]byte, error) {
	return func(dst []byte, events []event.Event) ([]byte, error) {
		dst = append(dst, `{"batch":[`...)
		for i := range events {
			e := &events[i]
			dst = commas(dst, i)
			if e.Type == event.PageView {
				dst = member(append(dst, `{"type":"page"`...), "name", e.Name)
			} else {
				dst = member(append(dst, `{"type":"track"`...), "event", e.Name)
			}
			dst = member(dst, "messageId", e.ID)
			dst = member(dst, "userId", e.UserID)
			anonymous := e.AnonymousID
			if e.UserID == "" && anonymous == "" { // Segment wants one of the two
				anonymous = someone(e)
			}
			dst = member(dst, "anonymousId", anonymous)
			dst = stamp(dst, "timestamp", e.Timestamp)
			dst = object(dst, "properties", e.Properties)
			dst = append(dst, `,"context":{"library":{"name":"tidemark"}`...)
			dst = member(dst, "ip", e.IPAddress)
			dst = member(dst, "userAgent", e.UserAgent)
			dst = member(dst, "timezone", e.Timezone)
			dst = member(dst, "sessionId", e.SessionID)
			if e.Referrer != "" {
				dst = append(quote(append(dst, `,"page":{"referrer":`...), e.Referrer), '}')
			}
			dst = append(dst, "}}"...)
		}
		return append(stamp(append(dst, ']'), "sentAt", now()), '}'), nil
	}
}

func object(dst []byte, key string, o event.Object) []byte {
	dst = append(append(append(dst, `,"`...), key...), `":`...)
	if len(o) == 0 {
		return append(dst, "{}"...)
	}
	return append(dst, o...)
}

// someone is an id for events of nobody: the session's, else the event's own.
func someone(e *event.Event) string {
	if e.SessionID != "" {
		return e.SessionID
	}
	return e.ID
}

// postHogBody is a batch of PostHog's capture API.
func postHogBody(projectKey string) func([]byte, []event.Event) ([]byte, error) {
	return func(dst []byte, events []event.Event) ([]byte, error) {
		dst = quote(append(dst, `{"api_key":`...), projectKey)
		dst = append(dst, `,"batch":[`...)
		for i := range events {
			e := &events[i]
			name := e.Name
			if e.Type == event.PageView {
				name = "$pageview"
			}
			dst = quote(append(commas(dst, i), `{"event":`...), name)
			dst = member(dst, "uuid", asUUID(e.ID))
			dst = member(dst, "distinct_id", person(e))
			dst = stamp(dst, "timestamp", e.Timestamp)
			dst = append(dst, `,"properties":{"$lib":"tidemark"`...)
			dst = member(dst, "tidemark_event_id", e.ID)
			dst = member(dst, "$session_id", e.SessionID)
			dst = member(dst, "$ip", e.IPAddress)
			dst = member(dst, "$raw_user_agent", e.UserAgent)
			dst = member(dst, "$referrer", e.Referrer)
			if e.Type == event.PageView {
				dst = member(dst, "title", e.Name)
			}
			if e.UserID == "" { // no profile is made of somebody unknown
				dst = append(dst, `,"$process_person_profile":false`...)
			}
			if more := bytes.TrimSpace(e.Properties); len(more) > len("{}") {
				if more = bytes.TrimSpace(more[1 : len(more)-1]); len(more) > 0 {
					dst = append(append(dst, ','), more...)
				}
			}
			dst = append(dst, "}}"...)
		}
		return append(dst, "]}"...), nil
	}
}

func person(e *event.Event) string {
	switch {
	case e.UserID != "":
		return e.UserID
	case e.AnonymousID != "":
		return e.AnonymousID
	}
	return someone(e)
}

// asUUID is the id as PostHog wants it: as it is, or one that follows from it.
func asUUID(id string) string {
	if u, err := uuid.Parse(id); err == nil {
		return u.String()
	}
	return uuid.NewSHA1(uuid.NameSpaceOID, []byte("tidemark.event\x00"+id)).String()
}
