package question

import (
	"slices"
	"time"
)

// Breakdown asks for a metric by the values of a field.
type Breakdown struct {
	Span   Span
	Where  []Condition
	Metric Metric
	By     Field
	Groups int // rows, those with the highest metric
	AsOf   time.Time
}

// Row is the metric of one value.
type Row struct {
	Value      any      `json:"value" doc:"A text, a number, true or false; null where events have no such value"`
	Metric     *float64 `json:"metric" doc:"Null where there is nothing to compute it from"`
	ErrorBound float64  `json:"error_bound,omitempty,omitzero" doc:"How far the metric may be off, as a share of it"`
}

// BreakdownAnswer is the answer of GET /events/breakdown.
type BreakdownAnswer struct {
	Quality
	By    string   `json:"by"`
	Rows  []Row    `json:"rows" nullable:"false" doc:"Highest metric first"`
	Other *float64 `json:"other" doc:"The metric of the events of all other values together; null where there are none"`
}

// Answer makes the answer from its cells.
func (q *Breakdown) Answer(cells []Cell) BreakdownAnswer {
	a := BreakdownAnswer{Quality: exactly(q.Metric.String(), q.AsOf), By: q.By.String(), Rows: []Row{}}
	slices.SortFunc(cells, func(x, y Cell) int { return x.Rank - y.Rank })
	for i := range cells {
		c := &cells[i]
		a.note(c)
		if c.Rank == 0 {
			a.Other = c.Value
			continue
		}
		a.Rows = append(a.Rows, Row{Value: c.Group, Metric: c.Value, ErrorBound: c.Bound})
	}
	return a
}
