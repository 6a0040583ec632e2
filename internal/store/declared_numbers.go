package store

import (
	"cmp"
	"slices"

	"github.com/tidemark-obs/tidemark/internal/question"
	"github.com/tidemark-obs/tidemark/internal/rollup"
)

// metricOf is the metric of some numbers, nil where there are none; ok is false where it is not
// within its bound.
func (m *measurement) metricOf(n *rollup.Numbers) (value *float64, bound float64, ok bool) {
	v := 0.0
	switch {
	case m.metric.Measure == question.Sum:
		v = n.Sum
	case n.Count == 0:
		return nil, 0, true
	case m.metric.Measure == question.Avg:
		v = n.Sum / float64(n.Count)
	case m.metric.Measure == question.Min:
		v = n.Min
	case m.metric.Measure == question.Max:
		v = n.Max
	default:
		if v, ok = n.Percentile(m.metric.Percent); !ok {
			return nil, 0, false
		}
		if v != 0 {
			bound = rollup.Accuracy
		}
	}
	return &v, bound, true
}

// numberCells answers from numbers, as compile does: the groups with the highest metric, and what
// the numbers of all others say together.
func (a *asking) numberCells() (cells []question.Cell, ok bool, err error) {
	rank, ok, err := a.ranksOfNumbers()
	if err != nil || !ok {
		return nil, false, err
	}
	rest := map[int64]*rollup.Numbers{}
	add := func(c question.Cell, n *rollup.Numbers) bool {
		c.Value, c.Bound, ok = a.m.metricOf(n)
		cells = append(cells, c)
		return ok
	}
	for cell, p := range a.portion {
		if p.numbers.Events == 0 {
			continue
		}
		if at := rank[cell.name]; at > 0 {
			if !add(question.Cell{Bucket: cell.bucket, Rank: at, Group: cell.name}, p.numbers) {
				return nil, false, nil
			}
			continue
		}
		if rest[cell.bucket] == nil {
			rest[cell.bucket] = &rollup.Numbers{}
		}
		if err := rest[cell.bucket].Join(p.numbers); err != nil {
			return nil, false, err
		}
	}
	for bucket, n := range rest {
		if !add(question.Cell{Bucket: bucket}, n) {
			return nil, false, nil
		}
	}
	return cells, true, nil
}

// ranksOfNumbers ranks names by their metric, those without one last.
func (a *asking) ranksOfNumbers() (ranks map[string]int, ok bool, err error) {
	ranks = map[string]int{}
	if a.m.by.IsZero() {
		return ranks, true, nil
	}
	totals := map[string]*rollup.Numbers{}
	for cell, p := range a.portion {
		if p.numbers.Events == 0 {
			continue
		}
		if totals[cell.name] == nil {
			totals[cell.name] = &rollup.Numbers{}
		}
		if err := totals[cell.name].Join(p.numbers); err != nil {
			return nil, false, err
		}
	}
	type entry struct {
		name  string
		value *float64
	}
	entries := make([]entry, 0, len(totals))
	for name, n := range totals {
		value, _, ok := a.m.metricOf(n)
		if !ok {
			return nil, false, nil
		}
		entries = append(entries, entry{name, value})
	}
	slices.SortFunc(entries, func(x, y entry) int {
		switch {
		case x.value == nil && y.value == nil:
			return cmp.Compare(x.name, y.name)
		case x.value == nil:
			return 1
		case y.value == nil:
			return -1
		}
		return cmp.Or(cmp.Compare(*y.value, *x.value), cmp.Compare(x.name, y.name))
	})
	for i := range min(len(entries), a.m.groups) {
		ranks[entries[i].name] = i + 1
	}
	return ranks, true, nil
}
