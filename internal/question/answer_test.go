package question_test

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/question"
)

// TestAnswersHaveOnlyNumbersOfJSON: what a database computes may be infinite, or no number.
func TestAnswersHaveOnlyNumbersOfJSON(t *testing.T) {
	q := &question.Series{Span: question.Span{Start: time.Unix(0, 0), End: time.Unix(100, 0), Zone: time.UTC}, Interval: question.Minute}
	for _, odd := range []float64{math.Inf(1), math.Inf(-1), math.NaN()} {
		value, one := odd, 1.0
		a := q.Answer([]question.Cell{{Bucket: question.NewCalendar(q.Span, q.Interval).Number(q.Span.Start), Value: &one, Bound: odd}})
		if _, err := json.Marshal(a); err != nil || a.Exact || a.Series[0].Points[0].Value == nil {
			t.Errorf("a bound of %v: %+v, %v", odd, a, err)
		}
		a = q.Answer([]question.Cell{{Bucket: question.NewCalendar(q.Span, q.Interval).Number(q.Span.Start), Value: &value, Bound: 0.1}})
		if _, err := json.Marshal(a); err != nil || a.Series[0].Points[0].Value != nil {
			t.Errorf("a value of %v: %+v, %v", odd, a, err)
		}
	}
}

// TestSampledBoundHoldsForFew: of 10 to 100 persons one in ten is kept, or one in two; the bound must hold in 95
// of 100 cases of those in which somebody was kept at all.
func TestSampledBoundHoldsForFew(t *testing.T) {
	for _, of := range []struct {
		rate    float64
		persons int
	}{{0.1, 10}, {0.1, 30}, {0.1, 100}, {0.5, 10}, {0.5, 30}} {
		held, some, p := 0.0, 0.0, math.Pow(1-of.rate, float64(of.persons))
		for kept := 1; kept <= of.persons; kept++ { // p is the chance that so many are kept
			p *= float64(of.persons-kept+1) / float64(kept) * of.rate / (1 - of.rate)
			n := float64(kept)
			value, variance := n/of.rate, n*(1-of.rate)/of.rate/of.rate
			if some += p; math.Abs(value-float64(of.persons)) <= question.SampledBound(value, value, variance)*value {
				held += p
			}
		}
		if held/some < 0.95 {
			t.Errorf("%d persons at %v: the bound holds in %.1f of 100 cases", of.persons, of.rate, 100*held/some)
		}
	}
}
