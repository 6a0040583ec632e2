package projection

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/declared"
	"github.com/tidemark-obs/tidemark/internal/event"
)

var epoch = time.Date(2025, 3, 14, 15, 9, 26, 0, time.UTC)

func set(t testing.TB) *declared.Set {
	t.Helper()
	s, err := declared.New(declared.Config{
		Dimensions: []declared.DimensionConfig{{Property: "plan", Values: 3, Known: []string{"pro"}}},
		Numbers:    []declared.NumberConfig{{Property: "amount"}},
		Metrics: []declared.MetricConfig{
			{Event: "pay", Labels: []string{"plan"}},
			{Event: "pay", Histogram: "amount", Buckets: []float64{0, 10}},
		},
	}, "s")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func pay(properties string) *event.Event {
	return &event.Event{Name: "pay", Properties: event.Object(properties)}
}

func TestNothingChangesBeforeATallyIsTaken(t *testing.T) {
	s := NewState(set(t), nil, epoch)
	was := s.Series()
	tally := s.Tally(epoch.Add(time.Minute))
	for _, p := range []string{`{"plan":"pro","amount":10}`, `{"plan":"a","amount":-1}`, `{"amount":11}`, `{"plan":"b"}`, `{"plan":"c"}`} {
		tally.Add(pay(p))
	}
	tally.Add(&event.Event{Name: "else", Properties: event.Object(`{"plan":"pro"}`)})
	if !slices.EqualFunc(was, s.Series(), same) {
		t.Errorf("%+v changed to %+v", was, s.Series())
	}
	s.Take(tally)
	now := epoch.Add(time.Minute)
	want := []Series{
		{Metric: 0, Labels: []string{""}, Count: 1, Created: now},
		{Metric: 0, Labels: []string{"a"}, Count: 1, Created: now},
		{Metric: 0, Labels: []string{"b"}, Count: 1, Created: now},
		{Metric: 0, Labels: []string{"other"}, Count: 1, Created: now},
		{Metric: 0, Labels: []string{"pro"}, Count: 1, Created: epoch},
		{Metric: 1, Labels: []string{}, Count: 3, Sum: 20, Buckets: []uint64{1, 1}, Created: epoch},
	}
	if got := s.Series(); !slices.EqualFunc(got, want, same) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func same(a, b Series) bool {
	return a.Metric == b.Metric && slices.Equal(a.Labels, b.Labels) && a.Count == b.Count && a.Sum == b.Sum &&
		slices.Equal(a.Buckets, b.Buckets) && a.Created.Equal(b.Created)
}

// TestATallyThatIsNotTakenIsForgotten tells that its values take no places either.
func TestATallyThatIsNotTakenIsForgotten(t *testing.T) {
	s := NewState(set(t), nil, epoch)
	for range 2 {
		tally := s.Tally(epoch)
		tally.Add(pay(`{"plan":"x"}`))
		tally.Add(pay(`{"plan":"y"}`))
	}
	tally := s.Tally(epoch)
	tally.Add(pay(`{"plan":"z"}`))
	if got := tally.Series(); len(got) != 1 || got[0].Labels[0] != "z" || got[0].Count != 1 {
		t.Errorf("%+v", got)
	}
}

func TestASumStaysANumber(t *testing.T) {
	s := NewState(set(t), nil, epoch)
	tally := s.Tally(epoch)
	for _, v := range []string{"1.7e308", "1.7e308", "-1.7e308", "-1.7e308", "-1.7e308"} {
		tally.Add(pay(`{"amount":` + v + `}`))
		for _, c := range tally.Series() {
			if math.IsInf(c.Sum, 0) || math.IsNaN(c.Sum) {
				t.Errorf("a sum of %v", c.Sum)
			}
		}
	}
}

func BenchmarkTally(b *testing.B) {
	s := NewState(set(b), nil, epoch)
	e := pay(`{"path":"/pricing/annual","plan":"pro","amount":129.5,"referrer":"https://example.org/a"}`)
	tally := s.Tally(epoch)
	b.ReportAllocs()
	for b.Loop() {
		tally.Add(e)
	}
}
