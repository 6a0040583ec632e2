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
