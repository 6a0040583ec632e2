package store_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/question"
	"github.com/tidemark-obs/tidemark/internal/store"
)

func TestQuestionsAreFewAtOnce(t *testing.T) {
	s := open(t, store.Config{Dir: t.TempDir(), QuestionWait: time.Millisecond})
	now := time.Now().UTC()
	q := &question.Breakdown{Span: question.Span{Start: now.Add(-time.Hour), End: now, Zone: time.UTC},
		Metric: question.Metric{Measure: question.Count}, By: question.Field{Column: question.EventName}, Groups: 1}
	release := store.TakeQuestionSlots(s)
	_, err := s.Breakdown(t.Context(), q)
	var e *errs.Error
	if !errors.As(err, &e) || e.Kind != errs.Overloaded || e.RetryAfter < time.Second {
		t.Errorf("the question too many: %v", err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Breakdown(gone, q); !errs.Is(err, errs.Overloaded) && !errs.Is(err, errs.Unavailable) {
		t.Errorf("the question of a client that left: %v", err)
	}
	if _, err := s.List(t.Context(), store.Filter{}, store.Page{Limit: 1}); err != nil {
		t.Errorf("a list beside questions: %v", err)
	}
	where := store.Filter{Where: []question.Condition{{Field: question.Field{Column: question.UserID}, Op: question.Exists, Value: question.Value{Kind: question.Bool, Bool: true}}}}
	if _, err := s.List(t.Context(), where, store.Page{Limit: 1}); !errs.Is(err, errs.Overloaded) {
		t.Errorf("a list with conditions beside questions: %v", err)
	}
	release()
	if _, err := s.Breakdown(t.Context(), q); err != nil {
		t.Errorf("after the others: %v", err)
	}
}

// TestPercentilesAreMemoryBoxed lets the process grow while a percentile is computed, which lasts as long as
// the test has all connections.
func TestPercentilesAreMemoryBoxed(t *testing.T) {
	var s *store.Store
	var looks atomic.Int64
	release := func() {}
	s = open(t, store.Config{Dir: t.TempDir(), Resident: func() (int64, bool) {
		n := looks.Add(1)
		if n == 1 {
			release = store.TakeReaders(t, s)
		}
		return min(n, 4) << 28, true
	}})
	now := time.Now().UTC()
	var p question.Parser
	q := &question.Breakdown{Span: question.Span{Start: now.Add(-time.Hour), End: now, Zone: time.UTC},
		Metric: p.Metric("", "p95:amount"), By: question.Field{Column: question.EventName}, Groups: 1}
	_, err := s.Breakdown(t.Context(), q)
	if !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), "needs more memory") || looks.Load() != 4 {
		t.Errorf("after %d looks: %v", looks.Load(), err)
	}
	release()
	if _, err := s.Breakdown(t.Context(), q); err != nil || p.Err() != nil {
		t.Errorf("afterwards: %v, %v", err, p.Err())
	}
}
