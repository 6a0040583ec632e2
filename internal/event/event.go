package event

import "time"

// Type is the closed set of event types.
type Type string

// The event types.
const (
	PageView        Type = "page_view"
	UserInteraction Type = "user_interaction"
	APIRequest      Type = "api_request"
	APIError        Type = "api_error"
	OperationTiming Type = "operation_timing"
	SystemMetric    Type = "system_metric"
	Custom          Type = "custom"
)

// Types lists every event type.
var Types = []Type{PageView, UserInteraction, APIRequest, APIError, OperationTiming, SystemMetric, Custom}

// Severity is the closed set of severities, least first.
type Severity string

// The severities.
const (
	Low      Severity = "low"
	Medium   Severity = "medium"
	High     Severity = "high"
	Critical Severity = "critical"
)

// Severities lists every severity, least first.
var Severities = []Severity{Low, Medium, High, Critical}

// Object is one JSON object as compact JSON text, kept exactly as it was sent apart from
// white space and masked values; nil means absent.
type Object []byte

// Event is one event. Times are UTC, cut to the microsecond, the precision of both databases.
// Empty strings mean absent.
type Event struct {
	ID          string
	Name        string
	Type        Type
	Timestamp   time.Time // when it happened, by the client's clock
	ReceivedAt  time.Time // when the service took it in
	UserID      string
	AnonymousID string
	SessionID   string
	Properties  Object
	Metadata    Object
	Severity    Severity
	Tags        []string
	Source      string
	UserAgent   string
	IPAddress   string // truncated to /24 or /48 unless configured otherwise
	Referrer    string
	Timezone    string
	SampleRate  float64 // (0, 1]; 1 = not sampled; statistics weigh by its inverse
	Processed   bool
	ProcessedAt time.Time // zero = never
}
