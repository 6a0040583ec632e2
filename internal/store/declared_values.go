package store

import (
	"cmp"
	"slices"

	"github.com/tidemark-obs/tidemark/internal/declared"
	"github.com/tidemark-obs/tidemark/internal/question"
	"github.com/tidemark-obs/tidemark/internal/rollup"
)

// selected is how many events a selection has among some values: at least n of those that are
// counted apart, of which each may have more among the folded.
type selected struct {
	n      int64
	more   int64 // at most so many more than n, or fewer where beside is above 0
	beside int64 // of n, events whose values are not counted apart
}

// of counts the events that a selection lets through; ok is false where that is not known.
func (s *selection) of(v *rollup.Values) (r selected, ok bool) {
	apart := 0
	for value, n := range v.All() {
		named := s.named[value]
		if named {
			apart++
		}
		if s.lets(value) {
			r.n += n
		}
		if named && (s.kind == excluding || s.lets(value)) {
			_, missing := v.Of(value)
			r.more += missing
		}
	}
	switch s.kind {
	case unknown:
		return r, v.Folded == 0 && v.Long == 0
	case excluding:
		r.beside = v.Folded + v.Long
		r.n += r.beside
	case everything:
		r.beside = v.Folded + v.Long
		r.n += r.beside
		return r, true
	}
	if v.Long > 0 && s.named[declared.Value{Kind: declared.Long}] {
		return r, false
	}
	r.more = min(r.more+int64(len(s.named)-apart)*v.Hidden(), v.Folded)
	return r, true
}

// bounded is a count with how far it may be off; false where that is more than the count itself.
func bounded(c question.Cell, n, off int64) (question.Cell, bool) {
	if off > n {
		return c, false
	}
	f := float64(n)
	c.Value = &f
	if off > 0 {
		c.Bound = float64(off) / f
	}
	return c, true
}

// valueCells answers from the values of a dimension; ok is false where too little is known.
func (a *asking) valueCells() (cells []question.Cell, ok bool) {
	for _, p := range a.portion {
		if a.m.metric.Measure == question.Weighted && p.values.Sampled != 0 {
			return nil, false // each sampled event counts for more than one
		}
		clamp(p.values)
	}
	if !a.m.by.IsZero() && a.m.by.Column != question.EventName {
		return a.byValue()
	}
	s := newSelection(a.where)
	parts := map[declaredCell]selected{}
	totals := map[string]int64{}
	for cell, p := range a.portion {
		r, ok := s.of(p.values)
		if !ok || r.more > r.n {
			return nil, false
		}
		if r.n > 0 {
			parts[cell] = r
			totals[cell.name] += r.n
		}
	}
	rank := a.ranksOf(totals)
	rest := map[int64]selected{}
	for cell, r := range parts {
		if at := rank[cell.name]; at > 0 {
			c, _ := bounded(question.Cell{Bucket: cell.bucket, Rank: at, Group: cell.name}, r.n, r.more)
			cells = append(cells, c)
			continue
		}
		sum := rest[cell.bucket]
		rest[cell.bucket] = selected{n: sum.n + r.n, more: sum.more + r.more}
	}
	for bucket, r := range rest {
		c, _ := bounded(question.Cell{Bucket: bucket}, r.n, r.more)
		cells = append(cells, c)
	}
	return cells, true
}

// clamp settles values without putting any away.
func clamp(v *rollup.Values) { v.Settle(1 << 40) }

// ranksOf ranks names by their counts; there are none where nothing is grouped.
func (a *asking) ranksOf(totals map[string]int64) map[string]int {
	ranks := map[string]int{}
	if a.m.by.IsZero() {
		return ranks
	}
	names := make([]string, 0, len(totals))
	for name := range totals {
		names = append(names, name)
	}
	slices.SortFunc(names, func(x, y string) int { return cmp.Or(cmp.Compare(totals[y], totals[x]), cmp.Compare(x, y)) })
	for i := range min(len(names), a.m.groups) {
		ranks[names[i]] = i + 1
	}
	return ranks
}

// ranked are the values with the most events, and what is not certain about them.
type ranked struct {
	values []declared.Value
	groups []any
	// hidden is the most events that another value may have which cannot be compared with these;
	// 0 where it is certain that it has fewer.
	hidden int64
}

// rank finds the values with the most events; false where one may be missing.
func (a *asking) rank(all *rollup.Values, s *selection) (r ranked, ok bool) {
	type entry struct {
		value      declared.Value
		group      any
		n, missing int64
	}
	var entries []entry
	apart := 0
	for value, n := range all.All() {
		if !s.lets(value) {
			continue
		}
		if s.named[value] {
			apart++
		}
		_, missing := all.Of(value)
		entries = append(entries, entry{value, value.Any(), n, missing})
	}
	if s.kind == listed && len(s.named) > apart && all.Hidden() > 0 {
		return r, false
	}
	slices.SortFunc(entries, func(x, y entry) int { return cmp.Or(cmp.Compare(y.n, x.n), question.CompareValues(x.group, y.group)) })
	for i, e := range entries {
		if i < a.m.groups {
			r.values = append(r.values, e.value)
			r.groups = append(r.groups, e.group)
		} else if e.missing > 0 {
			r.hidden = max(r.hidden, e.n+e.missing)
		}
	}
	if s.kind != listed {
		r.hidden = max(r.hidden, all.Hidden(), all.Long)
	}
	if n := len(r.values); n == a.m.groups && entries[n-1].n > r.hidden {
		r.hidden = 0
	}
	return r, true
}

// byValue answers by the values of the dimension.
func (a *asking) byValue() (cells []question.Cell, ok bool) {
	s, all := newSelection(a.where), &rollup.Values{}
	for _, p := range a.portion {
		all.Join(p.values)
	}
	r, ok := a.rank(all, s)
	if !ok {
		return nil, false
	}
	for cell, p := range a.portion {
		sum, ok := s.of(p.values)
		if !ok {
			return nil, false
		}
		rest, off := sum.n, sum.more
		for i, value := range r.values {
			n, missing := p.values.Of(value)
			if n == 0 && missing == 0 {
				continue
			}
			c, ok := bounded(question.Cell{Bucket: cell.bucket, Rank: i + 1, Group: r.groups[i]}, n, missing)
			if !ok {
				return nil, false
			}
			rest -= n
			if s.kind == listed {
				off -= missing // what the others may have more
			} else {
				off += missing // what is counted with the others and is not theirs
			}
			cells = append(cells, c)
		}
		if s.kind != listed {
			off = min(off+min(r.hidden, p.values.Folded+p.values.Long), rest)
		}
		if off > rest || s.kind == listed && r.hidden > 0 {
			return nil, false
		}
		if rest > 0 {
			c, _ := bounded(question.Cell{Bucket: cell.bucket}, rest, off)
			cells = append(cells, c)
		}
	}
	return cells, true
}
