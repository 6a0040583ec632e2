package eventjson

import "github.com/tidemark-obs/tidemark/internal/event"

// field is one member of an event's JSON: first the texts, in the order of texts, then the
// other fields of an event, then those of the specialised forms.
type field uint8

const (
	fieldID field = iota
	fieldName
	fieldType
	fieldUserID
	fieldAnonymousID
	fieldSessionID
	fieldSeverity
	fieldSource
	fieldUserAgent
	fieldIPAddress
	fieldReferrer
	fieldTimezone

	fieldShortName // "event", the short form's name for fieldName
	fieldTimestamp
	fieldProperties
	fieldMetadata
	fieldTags
	fieldSampleRate
	fieldProcessed
	fieldReceivedAt
	fieldProcessedAt

	fieldOperation
	fieldDurationMS
	fieldMemoryUsageMB
	fieldCPUPercent
	fieldSuccess
	fieldErrorMessage
	fieldInteractionType
	fieldElement
	fieldPagePath
	fieldCoordinates
	fieldMethod
	fieldPath
	fieldStatusCode

	numFields
	numTexts  = int(fieldShortName)
	firstForm = fieldOperation
	numForm   = int(numFields - firstForm)
)

// locations are the pointers of the fields. Kept ready, as each field of each event needs its own.
var locations = [numFields]string{
	"/event_id", "/event_name", "/event_type", "/user_id", "/anonymous_id", "/session_id",
	"/severity", "/source", "/user_agent", "/ip_address", "/referrer", "/timezone", "/event",
	"/timestamp", "/properties", "/metadata", "/tags", "/sample_rate", "/processed",
	"/received_at", "/processed_at", "/operation", "/duration_ms", "/memory_usage_mb",
	"/cpu_percent", "/success", "/error_message", "/interaction_type", "/element", "/page_path",
	"/coordinates", "/method", "/path", "/status_code",
}

func (f field) String() string   { return locations[f][1:] }
func (f field) location() string { return locations[f] }

// texts are where the texts of an event belong, in the order of the fields.
func texts(e *event.Event) [numTexts]*string {
	return [numTexts]*string{
		&e.ID, &e.Name, (*string)(&e.Type), &e.UserID, &e.AnonymousID, &e.SessionID,
		(*string)(&e.Severity), &e.Source, &e.UserAgent, &e.IPAddress, &e.Referrer, &e.Timezone,
	}
}

// set is a set of fields.
type set uint64

func setOf(fields ...field) (s set) {
	for _, f := range fields {
		s |= 1 << f
	}
	return s
}

func (s set) has(f field) bool { return s>>f&1 == 1 }

// span is a part of one of the reader's buffers.
type span struct{ from, to int32 }

func (s span) of(b []byte) []byte { return b[s.from:s.to] }

// fieldOf finds the field of a name. A switch, because the compiler makes it a binary search
// without a hash.
func fieldOf(name []byte) (field, bool) {
	switch string(name) {
	case "event_id":
		return fieldID, true
	case "event_name":
		return fieldName, true
	case "event":
		return fieldShortName, true
	case "event_type":
		return fieldType, true
	case "timestamp":
		return fieldTimestamp, true
	case "received_at":
		return fieldReceivedAt, true
	case "user_id":
		return fieldUserID, true
	case "anonymous_id":
		return fieldAnonymousID, true
	case "session_id":
		return fieldSessionID, true
	case "properties":
		return fieldProperties, true
	case "metadata":
		return fieldMetadata, true
	case "severity":
		return fieldSeverity, true
	case "tags":
		return fieldTags, true
	case "source":
		return fieldSource, true
	case "user_agent":
		return fieldUserAgent, true
	case "ip_address":
		return fieldIPAddress, true
	case "referrer":
		return fieldReferrer, true
	case "timezone":
		return fieldTimezone, true
	case "sample_rate":
		return fieldSampleRate, true
	case "processed":
		return fieldProcessed, true
	case "processed_at":
		return fieldProcessedAt, true
	}
	for f := firstForm; f < numFields; f++ {
		if string(name) == f.String() {
			return f, true
		}
	}
	return 0, false
}
