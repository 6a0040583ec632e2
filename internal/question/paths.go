package question

import (
	"slices"
	"time"
)

// Paths asks which events follow an event, or lead up to it, most often. Every event of that name
// begins a path of its actor's events, up to Depth of them; events of one instant are taken by
// their names.
type Paths struct {
	Span   Span
	Where  []Condition // of the events that paths are made of, the anchor too
	Anchor string      // event_name
	Before bool        // what leads up to it
	By     Actor
	Depth  int
	Groups int
	AsOf   time.Time
}

// Path is one sequence of events.
type Path struct {
	Events []string `json:"events" nullable:"false" doc:"Event names in the order of time, the anchor at its end"`
	Count  int64    `json:"count"`
	Share  float64  `json:"share" doc:"Of all paths"`
}

// PathsAnswer is the answer of POST /events/paths.
type PathsAnswer struct {
	Quality
	Paths []Path `json:"paths" nullable:"false" doc:"Most frequent first"`
	Other int64  `json:"other" doc:"Paths that are none of these"`
	Total int64  `json:"total" doc:"All paths: one for each event of the anchor's name"`
}

// Steps is one path as a store counts it: the names from the anchor on, nearest first.
type Steps struct {
	Names []string
	Count int64
}

// Answer makes the answer from the most frequent paths, in order, and the number of all.
func (q *Paths) Answer(top []Steps, total int64) PathsAnswer {
	a := PathsAnswer{Quality: Exactly(Count, q.AsOf), Paths: []Path{}, Other: total, Total: total}
	for _, s := range top {
		events := append([]string{q.Anchor}, s.Names...)
		if q.Before {
			slices.Reverse(events)
		}
		a.Paths = append(a.Paths, Path{Events: events, Count: s.Count, Share: float64(s.Count) / float64(total)})
		a.Other -= s.Count
	}
	return a
}

// Direction reads whether to look before or after the anchor; empty text is after.
func (p *Parser) Direction(location, text string) (before bool) {
	switch text {
	case "", "after":
	case "before":
		return true
	default:
		p.Fail(location, "must be after or before")
	}
	return false
}
