package store

import (
	"slices"
	"testing"
	"time"
)

func TestSpansEndWithADay(t *testing.T) {
	at := func(d, h, m int) time.Time { return time.Date(2025, 1, d, h, m, 0, 0, time.UTC) }
	now := at(9, 15, 20)
	for name, c := range map[string]struct {
		start, end time.Time
		want       []piece // nil where hours are read
	}{
		"now":                    {at(7, 20, 30), now, []piece{{from: at(7, 20, 30), to: at(7, 21, 0)}, {width: hour, from: at(7, 21, 0), to: at(8, 0, 0)}, {width: day, from: at(8, 0, 0), to: at(10, 0, 0)}}},
		"now, from yesterday":    {at(8, 20, 0), now, []piece{{width: hour, from: at(8, 20, 0), to: at(9, 0, 0)}, {width: day, from: at(9, 0, 0), to: at(10, 0, 0)}}},
		"now, from midnight":     {at(9, 0, 0), now, []piece{{width: day, from: at(9, 0, 0), to: at(10, 0, 0)}}},
		"now, from this morning": {at(9, 6, 30), now, nil},
		"midnight":               {at(7, 0, 0), at(9, 0, 0), nil},
		"an hour ago":            {at(7, 0, 0), at(9, 14, 0), []piece{{width: day, from: at(7, 0, 0), to: at(10, 0, 0)}}},
		"in a past morning":      {at(5, 0, 0), at(7, 9, 0), nil},
		"in a past evening":      {at(5, 0, 0), at(7, 20, 0), []piece{{width: day, from: at(5, 0, 0), to: at(8, 0, 0)}}},
	} {
		var from floors
		list := pieces(c.start, c.end, idLevels, &from)
		today, behind, ok := lastDay(list, idLevels, &from, now)
		if ok != (c.want != nil) {
			t.Errorf("%s: %v", name, ok)
			continue
		}
		if !ok {
			continue
		}
		if got := endWith(list, today); !slices.Equal(got, c.want) || !behind.from.Equal(c.end) || !behind.to.Equal(today.to) {
			t.Errorf("%s, but for %v:\ngot  %v\nwant %v", name, behind, got, c.want)
		}
	}
	from := floors{Day: at(10, 0, 0)}
	if _, _, ok := lastDay([]piece{{width: hour, from: at(8, 0, 0), to: now}}, idLevels, &from, now); ok {
		t.Error("a day that is not all there is read")
	}
	if _, _, ok := lastDay([]piece{{width: hour, from: at(8, 0, 0), to: now}}, []time.Duration{hour}, &floors{}, now); ok {
		t.Error("a day is read where hours are asked for")
	}
}
