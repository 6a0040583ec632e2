package projection

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/tidemark-obs/tidemark/internal/declared"
)

// Series are the totals of one series.
type Series struct {
	Metric  int      // place in the Set's metrics
	Labels  []string // values, in the order of the metric's dimensions; "" = none
	Count   uint64
	Sum     float64  // of a histogram
	Buckets []uint64 // of a histogram: how many lay in each bucket and in none below it
	Created time.Time
}

// State are the totals of one journal stream. It is for one goroutine.
type State struct {
	set     *declared.Set
	reader  *declared.Reader
	metrics []totals
}

// totals are one metric's.
type totals struct {
	kept   []map[string]bool // by label: the values kept apart
	series map[string]*Series
}

// NewState returns the totals as they were kept. What the declaration has no room for any more is
// left out, and so counts on only when there is room again; series that are known beforehand begin
// now.
func NewState(set *declared.Set, series []Series, now time.Time) *State {
	s := &State{set: set, reader: set.Reader(), metrics: make([]totals, len(set.Metrics()))}
	for m := range s.metrics {
		s.metrics[m] = newTotals(set, &set.Metrics()[m])
	}
	// Who came first is kept, whatever the order the rows are read in.
	slices.SortFunc(series, func(a, b Series) int {
		return cmp.Or(a.Created.Compare(b.Created), slices.Compare(a.Labels, b.Labels))
	})
	for i := range series {
		s.metrics[series[i].Metric].resume(set, &series[i])
	}
	for m := range s.metrics {
		s.metrics[m].foresee(set, m, now)
	}
	return s
}

func newTotals(set *declared.Set, m *declared.Metric) totals {
	t := totals{kept: make([]map[string]bool, len(m.Dimensions)), series: map[string]*Series{}}
	for i, d := range m.Dimensions {
		t.kept[i] = map[string]bool{}
		for _, v := range set.Dimensions()[d].Known {
			t.kept[i][v] = true
		}
	}
	return t
}

// resume takes a series up where there is room for its values.
func (t *totals) resume(set *declared.Set, s *Series) {
	m := &set.Metrics()[s.Metric]
	for i, v := range s.Labels {
		if v != "" && v != declared.Other && !t.kept[i][v] && len(t.kept[i]) >= set.Dimensions()[m.Dimensions[i]].Values {
			return
		}
	}
	for i, v := range s.Labels {
		if v != "" && v != declared.Other {
			t.kept[i][v] = true
		}
	}
	t.series[keyOf(s.Labels)] = s
}

// foresee begins the series of all values known beforehand, so that each is there at 0 before its
// first event.
func (t *totals) foresee(set *declared.Set, metric int, now time.Time) {
	m := &set.Metrics()[metric]
	all := [][]string{{}}
	for _, d := range m.Dimensions {
		var longer [][]string
		for _, labels := range all {
			for _, v := range set.Dimensions()[d].Known {
				longer = append(longer, append(slices.Clip(labels), v))
			}
		}
		all = longer
	}
	for _, labels := range all {
		if key := keyOf(labels); t.series[key] == nil {
			t.series[key] = newSeries(m, metric, labels, now)
		}
	}
}

func newSeries(m *declared.Metric, metric int, labels []string, now time.Time) *Series {
	s := &Series{Metric: metric, Labels: labels, Created: now}
	if m.Number >= 0 {
		s.Buckets = make([]uint64, len(m.Buckets))
	}
	return s
}

// keyOf is a key of label values: no value holds the character between them.
func keyOf(labels []string) string { return strings.Join(labels, "\x00") }

// Series are all series, each a copy.
func (s *State) Series() []Series {
	var all []Series
	for _, t := range s.metrics {
		for _, key := range slices.Sorted(maps.Keys(t.series)) {
			all = append(all, *t.series[key].clone())
		}
	}
	return all
}

func (s *Series) clone() *Series {
	c := *s
	c.Buckets = slices.Clone(s.Buckets)
	return &c
}

// add counts one event.
func (s *Series) add(m *declared.Metric, v float64) {
	s.Count++
	if m.Number < 0 {
		return
	}
	// Beyond what a float can hold the sum stays at its end: an infinite one could never come back.
	s.Sum = max(-math.MaxFloat64, min(s.Sum+v, math.MaxFloat64))
	if i := sort.SearchFloat64s(m.Buckets, v); i < len(m.Buckets) {
		s.Buckets[i]++
	}
}
