package event

// Limits bounds one event. Lengths are in characters unless said otherwise.
type Limits struct {
	EventBytes    int // of the event as it was sent
	NameLength    int
	IDLength      int // of event, user, anonymous and session ids
	Keys          int // of properties and of metadata, at their top level
	KeyLength     int
	StringLength  int // of one string value in properties or metadata
	Depth         int // of properties and of metadata; the object itself is level 1
	Tags          int
	TagLength     int
	ContextLength int // of source, user_agent, referrer, timezone
}

// DefaultLimits are the limits of the contract.
func DefaultLimits() Limits {
	return Limits{
		EventBytes: 32 << 10, NameLength: 100, IDLength: 100,
		Keys: 50, KeyLength: 100, StringLength: 1000, Depth: 8,
		Tags: 20, TagLength: 50, ContextLength: 1000,
	}
}
