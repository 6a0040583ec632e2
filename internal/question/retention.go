package question

import (
	"strconv"
	"time"
)

// Retention asks how many users came back, by when they came first.
//
// A user belongs to the cohort of the period that holds its first event in the span that matches
// First. It came back in a later period, or in the same one, when it has an event after that one
// in the period that matches Returning. Only events of the span count.
type Retention struct {
	Span      Span
	First     Match
	Returning Match
	Period    Interval // day, week or month
	Periods   int      // after the first
	AsOf      time.Time
}

// Cohort is the users that came first in one period.
type Cohort struct {
	Start    time.Time `json:"start" doc:"The period's first moment, in the asked time zone"`
	Size     int64     `json:"size" doc:"Users that came first in the period"`
	Returned []int64   `json:"returned" nullable:"false" doc:"Of those, how many came back: in the same period, in the next one, and so on; it ends with the range"`
}

// RetentionAnswer is the answer of POST /events/retention.
type RetentionAnswer struct {
	Quality
	Period   Interval `json:"period"`
	Timezone string   `json:"timezone"`
	Cohorts  []Cohort `json:"cohorts" nullable:"false" doc:"Every period of the range, in order"`
}

// Period reads a retention table's period.
func (p *Parser) Period(location, text string, s Span) Interval {
	i := p.Interval(location, text, Week, MaxCohorts, s)
	if i == Minute || i == Hour {
		p.Fail(location, "must be day, week or month")
	}
	return i
}

// Check notes where the question is too much as a whole.
func (q *Retention) Check(p *Parser) {
	if len(p.faults) > 0 {
		return
	}
	if NewCalendar(q.Span, q.Period).Buckets()*(q.Periods+1) > MaxPoints {
		p.Fail("periods", "would make more than "+strconv.Itoa(MaxPoints)+" numbers; ask for fewer periods or a shorter range")
	}
}

// Came is a number of users: those of a cohort, or of those the ones that came back after some
// periods.
type Came struct {
	Cohort int64 // the period's Calendar number
	After  int64 // periods; negative for the whole cohort
	Users  int64
}

// Answer makes the answer from its numbers, in any order.
func (q *Retention) Answer(came []Came) RetentionAnswer {
	a := RetentionAnswer{Quality: Exactly(Users, q.AsOf), Period: q.Period, Timezone: q.Span.Zone.String()}
	c := NewCalendar(q.Span, q.Period)
	a.Cohorts = make([]Cohort, c.Buckets())
	for i := range a.Cohorts {
		a.Cohorts[i] = Cohort{Start: c.Start(i), Returned: make([]int64, min(q.Periods+1, len(a.Cohorts)-i))}
	}
	for _, n := range came {
		at := c.Index(n.Cohort)
		cohort := &a.Cohorts[at]
		if n.After < 0 {
			cohort.Size = n.Users
		} else if after := c.Index(n.Cohort+n.After) - at; after < len(cohort.Returned) {
			cohort.Returned[after] = n.Users
		}
	}
	return a
}
