package question

import "time"

// Visits asks for sessions as they appear from the events' times alone: events of one actor that
// follow each other within a gap. The actor is the user_id, else the anonymous_id, else the
// session_id; events with none of them are passed over.
type Visits struct {
	Span  Span
	Where []Condition
	Gap   time.Duration
	AsOf  time.Time
}

// VisitsAnswer is the answer of GET /events/sessions.
type VisitsAnswer struct {
	Quality
	Sessions         int64    `json:"sessions"`
	MedianSeconds    *float64 `json:"median_seconds" doc:"From a session's first event to its last; null where there are none"`
	EventsPerSession *float64 `json:"events_per_session" doc:"On average; null where there are none"`
	BounceRate       *float64 `json:"bounce_rate" doc:"Share of the sessions with one event; null where there are none"`
}

// Answer completes what a store has computed.
func (q *Visits) Answer(a VisitsAnswer) VisitsAnswer {
	a.Quality = Exactly(Sessions, q.AsOf)
	return a
}
