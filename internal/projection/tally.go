package projection

import (
	"math"
	"time"

	"github.com/tidemark-obs/tidemark/internal/declared"
	"github.com/tidemark-obs/tidemark/internal/event"
)

// Tally is what some events add to a State. The State changes only when it takes the Tally, after
// the events are stored.
type Tally struct {
	state   *State
	now     time.Time
	metrics []changes
	key     []byte
}

// changes are one metric's: the series with their new totals, and the values that are kept from now on.
type changes struct {
	kept   []map[string]bool
	series map[string]*Series
}

// Tally returns an empty one.
func (s *State) Tally(now time.Time) *Tally {
	return &Tally{state: s, now: now, metrics: make([]changes, len(s.metrics))}
}

// Add counts an event.
func (t *Tally) Add(e *event.Event) {
	if !t.state.set.Counts(e.Name) {
		return
	}
	r := t.state.reader.Read(e)
	for _, metric := range r.Metrics {
		m := &t.state.set.Metrics()[metric]
		var v float64
		if m.Number >= 0 {
			if v = number(r, m.Number); math.IsNaN(v) {
				continue // the event has no such number
			}
		}
		t.series(metric, m, r).add(m, v)
	}
}

func number(r *declared.Reading, n int) float64 {
	for i, at := range r.Numbers {
		if at == n {
			return r.Readings[i]
		}
	}
	return math.NaN()
}

func value(r *declared.Reading, dimension int) declared.Value {
	for i, at := range r.Dimensions {
		if at == dimension {
			return r.Values[i]
		}
	}
	return declared.Value{}
}

// series is the one that an event belongs to, for changing.
func (t *Tally) series(metric int, m *declared.Metric, r *declared.Reading) *Series {
	t.key = t.key[:0]
	for i, d := range m.Dimensions {
		if i > 0 {
			t.key = append(t.key, 0)
		}
		t.key = append(t.key, t.label(metric, i, d, value(r, d))...)
	}
	c := &t.metrics[metric]
	if s := c.series[string(t.key)]; s != nil {
		return s
	}
	if c.series == nil {
		c.series = map[string]*Series{}
	}
	key := string(t.key)
	s := t.state.metrics[metric].series[key]
	if s != nil {
		s = s.clone()
	} else {
		labels := make([]string, len(m.Dimensions))
		for i, d := range m.Dimensions {
			labels[i] = t.label(metric, i, d, value(r, d))
		}
		s = newSeries(m, metric, labels, t.now)
	}
	c.series[key] = s
	return s
}

// label is a value as the label of a metric, which from then on is kept apart where there is room.
func (t *Tally) label(metric, i, dimension int, v declared.Value) string {
	switch {
	case v.Kind == declared.Long:
		return declared.Other
	case v.Text == "" || v.Text == declared.Other:
		return v.Text
	}
	known, c := t.state.metrics[metric].kept[i], &t.metrics[metric]
	if known[v.Text] || c.kept != nil && c.kept[i][v.Text] {
		return v.Text
	}
	if c.kept == nil {
		c.kept = make([]map[string]bool, len(t.state.metrics[metric].kept))
	}
	if len(known)+len(c.kept[i]) >= t.state.set.Dimensions()[dimension].Values {
		return declared.Other
	}
	if c.kept[i] == nil {
		c.kept[i] = map[string]bool{}
	}
	c.kept[i][v.Text] = true
	return v.Text
}

// Series are the series that were touched, with their new totals.
func (t *Tally) Series() []Series {
	var all []Series
	for _, c := range t.metrics {
		for _, s := range c.series {
			all = append(all, *s)
		}
	}
	return all
}

// Take makes a Tally of this State part of it.
func (s *State) Take(t *Tally) {
	for metric, c := range t.metrics {
		into := &s.metrics[metric]
		for key, series := range c.series {
			into.series[key] = series
		}
		for i, values := range c.kept {
			for v := range values {
				into.kept[i][v] = true
			}
		}
	}
}
