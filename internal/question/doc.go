// Package question is the language in which statistics about events are asked for: what a question
// is, which ones are allowed, and what an answer looks like. It knows no database.
//
//	parameters ─▶ Parser ─▶ Series, Breakdown, Funnel, … ─▶ (a store) ─▶ Cells, Journeys ─▶ answer
//
// It promises that a question which the Parser let through is bounded in everything that a client
// chooses: conditions, lists, steps, buckets, groups and range; that its texts can be held by both
// databases; and that no message about a bad question repeats a value of it.
//
// What a store hands back (Cells, Journeys) is smaller than the answer: zero-filling, labels in the
// asked time zone, error bounds and completeness are made here, once, whatever the answer was
// computed from.
package question
