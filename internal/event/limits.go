package event

import (
	"errors"
	"time"
)

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

	FutureSkew   time.Duration // how far ahead of now a timestamp may lie; 0 = any time
	RefuseFuture bool          // refuse what lies further ahead; else its time becomes now
}

// ErrFuture is the cause of an error about nothing but a timestamp too far ahead.
var ErrFuture = errors.New("the timestamp lies too far in the future")

// InFuture reports whether a timestamp lies further ahead of now than it may.
func (l *Limits) InFuture(t, now time.Time) bool {
	return l.FutureSkew > 0 && t.Sub(now) > l.FutureSkew
}

// DefaultLimits are the limits of the contract.
func DefaultLimits() Limits {
	return Limits{
		EventBytes: 32 << 10, NameLength: 100, IDLength: 100,
		Keys: 50, KeyLength: 100, StringLength: 1000, Depth: 8,
		Tags: 20, TagLength: 50, ContextLength: 1000,
	}
}
