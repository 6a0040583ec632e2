package question

import (
	"math"
	"time"
)

// Quality is what every answer says of itself.
type Quality struct {
	Metric string `json:"metric" doc:"What was computed"`
	Exact  bool   `json:"exact" doc:"True where the values are those of the stored events; else they lie within the error bound"`
	// ErrorBound is relative, at 95 % confidence where events were sampled.
	ErrorBound float64    `json:"error_bound" doc:"How far any value of the answer may be off, as a share of it; 0 where exact"`
	AsOf       *time.Time `json:"as_of" doc:"Every event accepted before is in the answer; null where that is not known"`
	// CompleteFrom lies after the beginning of what was asked.
	CompleteFrom *time.Time `json:"complete_from,omitempty" doc:"Events before this may be missing from the answer: they were deleted for their age, and no roll-ups stand for them. Not there where nothing is missing"`
}

// exactly is the quality of an exact answer.
func exactly(metric string, asOf time.Time) Quality {
	q := Quality{Metric: metric, Exact: true}
	if !asOf.IsZero() {
		utc := asOf.UTC().Truncate(time.Microsecond)
		q.AsOf = &utc
	}
	return q
}

// Exactly is the quality of an answer that was counted from all stored events.
func Exactly(metric Measure, asOf time.Time) Quality { return exactly(string(metric), asOf) }

// Cell is one computed value: that of a group, or of the rest, in one bucket.
type Cell struct {
	Bucket int64 // its Calendar number; 0 in a breakdown
	Rank   int   // of the group, from 1; 0 is the rest, or everything where nothing is grouped
	Group  any   // string, float64, bool, or nil where events have no such value
	Value  *float64
	// Bound is how far the value may be off, as a share of it. A store that samples or sketches
	// sets it; 0 is exact.
	Bound float64
}

// z95 is how many standard deviations hold 95 % of a normal distribution.
const z95 = 1.959964

// SampledBound is the Bound of a weighted count; drawn is the part of it that sampling has decided
// about, with this variance. It is the further end of the score interval, which asks of each count what
// variance that would have: where few persons were kept, the variance of these few is mostly too small.
func SampledBound(value, drawn, variance float64) float64 {
	if value == 0 || drawn <= 0 || variance <= 0 {
		return 0
	}
	half := z95 * z95 * variance / drawn / 2
	return (half + math.Sqrt(z95*z95*variance+half*half)) / math.Abs(value)
}

// note makes a value one that JSON has, and the answer's quality no better than the cell's.
func (q *Quality) note(c *Cell) {
	if c.Value != nil && (math.IsNaN(*c.Value) || math.IsInf(*c.Value, 0)) {
		c.Value, c.Bound = nil, 0
	}
	if math.IsNaN(c.Bound) || math.IsInf(c.Bound, 0) {
		c.Bound = math.MaxFloat64
	}
	if c.Bound > 0 {
		q.Exact, q.ErrorBound = false, max(q.ErrorBound, c.Bound)
	}
}
