package client

import "time"

// EventType is the closed set of event types.
type EventType string

// The event types. Custom is the default.
const (
	TypePageView        EventType = "page_view"
	TypeUserInteraction EventType = "user_interaction"
	TypeAPIRequest      EventType = "api_request"
	TypeAPIError        EventType = "api_error"
	TypeOperationTiming EventType = "operation_timing"
	TypeSystemMetric    EventType = "system_metric"
	TypeCustom          EventType = "custom"
)

// SeverityLevel is the closed set of severities.
type SeverityLevel string

// The severities, least first. Low is the default.
const (
	Low      SeverityLevel = "low"
	Medium   SeverityLevel = "medium"
	High     SeverityLevel = "high"
	Critical SeverityLevel = "critical"
)

// Option says more about one event. The last one of a kind counts.
type Option struct {
	of     optionKind
	text   string
	texts  []string
	at     time.Time
	object map[string]any
	number float64
}

// optionKind tells which field an option sets: first the texts, in the order of textFields.
type optionKind uint8

const (
	optionUser optionKind = iota
	optionAnonymous
	optionSession
	optionType
	optionSeverity
	optionUserAgent
	optionIPAddress
	optionReferrer
	optionTimezone
	optionSource

	optionEventID
	optionAt
	optionTags
	optionMetadata
	optionSampleRate

	numTexts = int(optionEventID)
)

var textFields = [numTexts]string{"user_id", "anonymous_id", "session_id", "event_type", "severity",
	"user_agent", "ip_address", "referrer", "timezone", "source"}

// User names the user, in place of the context's.
func User(id string) Option { return Option{of: optionUser, text: id} }

// Anonymous names somebody whose name is not known, in place of the context's.
func Anonymous(id string) Option { return Option{of: optionAnonymous, text: id} }

// Session names the session, in place of the context's.
func Session(id string) Option { return Option{of: optionSession, text: id} }

// EventID gives an event an id of 1 to 100 characters. The same id again is stored once.
func EventID(id string) Option { return Option{of: optionEventID, text: id} }

// At says when an event happened; now is the default.
func At(t time.Time) Option { return Option{of: optionAt, at: t} }

// Type sets the type of an event.
func Type(t EventType) Option { return Option{of: optionType, text: string(t)} }

// Severity sets how grave an event is.
func Severity(s SeverityLevel) Option { return Option{of: optionSeverity, text: string(s)} }

// Tags marks an event with up to 20 words of up to 50 characters.
func Tags(tags ...string) Option { return Option{of: optionTags, texts: tags} }

// Metadata adds free context, under the same limits as properties.
func Metadata(m map[string]any) Option { return Option{of: optionMetadata, object: m} }

// UserAgent names the program that the user has.
func UserAgent(s string) Option { return Option{of: optionUserAgent, text: s} }

// IPAddress is the user's. The service cuts it to a region unless configured otherwise.
func IPAddress(s string) Option { return Option{of: optionIPAddress, text: s} }

// Referrer is where the user came from.
func Referrer(s string) Option { return Option{of: optionReferrer, text: s} }

// Timezone is the user's, such as Europe/Berlin.
func Timezone(s string) Option { return Option{of: optionTimezone, text: s} }

// SampleRate says that only this share of such events is tracked, so that statistics can weigh
// them: above 0, at most 1. It leaves nothing out itself.
func SampleRate(rate float64) Option { return Option{of: optionSampleRate, number: rate} }
