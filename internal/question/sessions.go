package question

import (
	"slices"
	"time"

	"github.com/tidemark-obs/tidemark/internal/errs"
)

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

// VisitTally cuts the times of actors into sessions and counts them.
type VisitTally struct {
	asOf                      time.Time
	gap                       int64 // microseconds
	sessions, events, bounced int64
	lengths                   []int64 // in microseconds, of the sessions with more than one event
}

// maxLengths bounds the memory of a tally.
const maxLengths = 10_000_000

// NewVisitTally returns a tally without sessions.
func NewVisitTally(q *Visits) *VisitTally {
	return &VisitTally{asOf: q.AsOf, gap: q.Gap.Microseconds()}
}

// Add counts the sessions of one actor, whose times are in microseconds and in any order. It sorts
// them.
func (t *VisitTally) Add(times []int64) error {
	slices.Sort(times)
	first := 0
	for i := range times {
		if i+1 < len(times) && times[i+1]-times[i] <= t.gap {
			continue
		}
		t.sessions++
		if i == first {
			t.bounced++
		} else {
			t.lengths = append(t.lengths, times[i]-times[first])
		}
		first = i + 1
	}
	t.events += int64(len(times))
	if len(t.lengths) > maxLengths {
		return errs.New(errs.Invalid, "there are more than 10,000,000 sessions; take a shorter range or more conditions")
	}
	return nil
}

// Answer is the answer over all actors that were added.
func (t *VisitTally) Answer() VisitsAnswer {
	a := VisitsAnswer{Quality: Exactly(Sessions, t.asOf), Sessions: t.sessions}
	if t.sessions == 0 {
		return a
	}
	slices.Sort(t.lengths)
	sessions := float64(t.sessions)
	middle := (t.length((t.sessions-1)/2) + t.length(t.sessions/2)) / 2 / 1e6
	mean, rate := float64(t.events)/sessions, float64(t.bounced)/sessions
	a.MedianSeconds, a.EventsPerSession, a.BounceRate = &middle, &mean, &rate
	return a
}

// length is that of the i-th shortest session; bounces have none.
func (t *VisitTally) length(i int64) float64 {
	if i < t.bounced {
		return 0
	}
	return float64(t.lengths[i-t.bounced])
}
