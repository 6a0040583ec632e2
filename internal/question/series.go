package question

import (
	"slices"
	"strconv"
	"time"
)

// Series asks for a metric over time.
type Series struct {
	Span     Span
	Where    []Condition
	Metric   Metric
	Interval Interval
	GroupBy  Field // zero = one line
	Groups   int   // lines named, those with the highest metric over the whole span
	AsOf     time.Time
}

// Line is a metric over time, of one group.
type Line struct {
	Group  any     `json:"group" doc:"The value of group_by; null where events have none, or where nothing is grouped"`
	Other  bool    `json:"other,omitempty,omitzero" doc:"True of the line that all groups share which have none of their own"`
	Points []Point `json:"points" nullable:"false"`
}

// Point is a metric in one bucket.
type Point struct {
	Start      time.Time `json:"start" doc:"The bucket's first moment, in the asked time zone"`
	Value      *float64  `json:"value" doc:"Null where there is nothing to compute it from"`
	Complete   bool      `json:"complete" doc:"False while the bucket is still filling, and where it begins before complete_from"`
	ErrorBound float64   `json:"error_bound,omitempty,omitzero" doc:"How far the value may be off, as a share of it"`
}

// SeriesAnswer is the answer of GET /events/timeseries.
type SeriesAnswer struct {
	Quality
	Interval Interval `json:"interval"`
	Timezone string   `json:"timezone"`
	Series   []Line   `json:"series" nullable:"false"`
}

// Check notes where the parts of the question are together too much.
func (q *Series) Check(p *Parser) {
	if len(p.faults) > 0 || q.GroupBy.IsZero() {
		return
	}
	if NewCalendar(q.Span, q.Interval).Buckets()*(q.Groups+1) > MaxPoints {
		p.Fail("limit", "would make more than "+strconv.Itoa(MaxPoints)+" points; ask for fewer groups, a longer interval or a shorter range")
	}
}

// Answer makes the answer from its cells, in any order. Buckets without a cell have the metric of
// nothing.
func (q *Series) Answer(cells []Cell) SeriesAnswer {
	a := SeriesAnswer{
		Quality: exactly(q.Metric.String(), q.AsOf), Interval: q.Interval, Timezone: q.Span.Zone.String(),
	}
	calendar := NewCalendar(q.Span, q.Interval)
	lines := map[int]*Line{}
	line := func(rank int, group any) *Line {
		l := lines[rank]
		if l == nil {
			l = &Line{Group: group, Points: q.empty(calendar)}
			lines[rank] = l
		}
		return l
	}
	if q.GroupBy.IsZero() {
		line(0, nil)
	}
	for i := range cells {
		c := &cells[i]
		a.note(c)
		p := &line(c.Rank, c.Group).Points[calendar.Index(c.Bucket)]
		p.Value, p.ErrorBound = c.Value, c.Bound
	}
	a.Series = q.inOrder(lines)
	return a
}

// Lacks notes that events before a moment may be missing.
func (a *SeriesAnswer) Lacks(before *time.Time) {
	if before == nil {
		return
	}
	a.CompleteFrom = before
	for _, line := range a.Series {
		for i := range line.Points {
			if line.Points[i].Start.Before(*before) {
				line.Points[i].Complete = false
			}
		}
	}
}

// empty are the points of a line without events.
func (q *Series) empty(c *Calendar) []Point {
	points := make([]Point, c.Buckets())
	start := c.Start(0)
	for i := range points {
		end := c.Start(i + 1)
		points[i] = Point{Start: start, Value: q.Metric.OfNothing(), Complete: !end.After(q.AsOf)}
		start = end
	}
	return points
}

// inOrder lists the lines by rank, the one of the rest last.
func (q *Series) inOrder(lines map[int]*Line) []Line {
	ranks := make([]int, 0, len(lines))
	for rank := range lines {
		if rank > 0 {
			ranks = append(ranks, rank)
		}
	}
	slices.Sort(ranks)
	list := make([]Line, 0, len(lines))
	for _, rank := range ranks {
		list = append(list, *lines[rank])
	}
	if rest := lines[0]; rest != nil {
		if !q.GroupBy.IsZero() {
			rest.Group, rest.Other = "other", true
		}
		list = append(list, *rest)
	}
	return list
}
