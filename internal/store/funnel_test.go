package store

import (
	"context"
	"reflect"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/pgtest"
	"github.com/tidemark-obs/tidemark/internal/question"
)

// TestInParts compares the funnel and the sessions of all actors at once with those of actors divided.
func TestInParts(t *testing.T) {
	for name, cfg := range map[string]Config{"duckdb": {Dir: t.TempDir()}, "postgres": {URL: pgtest.URL(t)}} {
		t.Run(name, func(t *testing.T) {
			s, err := Open(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = s.Close() })
			if _, err := s.Migrate(t.Context(), false); err != nil {
				t.Fatal(err)
			}
			begin := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
			batch := Batch{From: Cursor{Stream: "s"}, Seq: 1}
			for i := range 900 {
				e := event.Event{ID: "e" + string(rune('a'+i%26)) + time.Duration(i).String(), Name: []string{"a", "b", "c"}[i*7%3], Type: event.Custom,
					Severity: event.Low, SampleRate: 1, Timestamp: begin.Add(time.Duration(i) * time.Second), ReceivedAt: begin, UserID: "u" + time.Duration(i*i%83).String()}
				batch.Events = append(batch.Events, e)
			}
			if _, err := s.Commit(t.Context(), &batch); err != nil {
				t.Fatal(err)
			}
			q := &question.Funnel{Span: question.Span{Start: begin, End: begin.Add(time.Hour), Zone: time.UTC}, By: question.ByUser, Window: time.Hour,
				Steps: []question.Match{{EventName: "a"}, {EventName: "b"}, {EventName: "c"}}, Breakdown: question.Field{Column: question.EventName}, Groups: 3}
			whole, err := s.Funnel(t.Context(), q)
			if err != nil || whole.Steps[2].Count == 0 {
				t.Fatalf("%+v, %v", whole, err)
			}
			f := funnelReader{d: s.d, q: q, tally: question.NewTally(q)}
			if err := s.ask(t.Context(), func(_ context.Context, db *sqlx.DB) error { return f.read(t.Context(), db, 8) }); err != nil {
				t.Fatal(err)
			}
			divided := f.tally.Answer()
			for i := range whole.Steps {
				if w, d := whole.Steps[i], divided.Steps[i]; w.Count != d.Count || w.MedianSeconds != nil && *w.MedianSeconds != *d.MedianSeconds {
					t.Errorf("step %d: %+v at once, %+v in parts", i, w, d)
				}
			}
			visitsInParts(t, s, q.Span)
		})
	}
}

func visitsInParts(t *testing.T, s *Store, span question.Span) {
	t.Helper()
	q := &question.Visits{Span: span, Gap: 40 * time.Second}
	whole, err := s.Visits(t.Context(), q)
	if err != nil || whole.Sessions == 0 || *whole.BounceRate == 0 || *whole.MedianSeconds == 0 {
		t.Fatalf("%+v, %v", whole, err)
	}
	tally := question.NewVisitTally(q)
	for part := range 8 {
		if err := s.ask(t.Context(), func(_ context.Context, db *sqlx.DB) error { return s.readVisits(t.Context(), db, q, tally, 8, part) }); err != nil {
			t.Fatal(err)
		}
	}
	if divided := tally.Answer(); !reflect.DeepEqual(divided, whole) {
		t.Errorf("%+v at once, %+v in parts", whole, divided)
	}
}
