package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/declared"
	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/pgtest"
	"github.com/tidemark-obs/tidemark/internal/question"
	"github.com/tidemark-obs/tidemark/internal/store"
)

func declaring(id string, at time.Time, properties string) event.Event {
	return event.Event{ID: id, Name: "n", Type: event.Custom, Severity: event.Low, SampleRate: 1, Timestamp: at, ReceivedAt: at,
		Properties: event.Object(properties)}
}

// wantOneRow wants a breakdown to have one row, from roll-ups.
func wantOneRow(t *testing.T, s *store.Store, span question.Span, metric, by string, want float64) {
	t.Helper()
	var p question.Parser
	answered := store.AnsweredFromRollups(t, s)
	got, err := s.Breakdown(t.Context(), &question.Breakdown{Span: span, Metric: p.Metric("", metric), By: p.Grouping("", by), Groups: 10})
	must(t, err)
	if store.AnsweredFromRollups(t, s) == answered {
		t.Error("it was not answered from roll-ups")
	}
	if len(got.Rows) != 1 || *got.Rows[0].Metric != want {
		t.Errorf("%+v, want one row with %v, what the events that are left make up", got.Rows, want)
	}
}

// TestDeletionsBeforeAnEventIsCounted deletes the newest, the oldest and another event, each alone in
// its hour, after something was declared and before they were counted: what the deletions take away
// of their hours was never added.
func TestDeletionsBeforeAnEventIsCounted(t *testing.T) {
	set, err := declared.New(declared.Config{Dimensions: []declared.DimensionConfig{{Property: "plan"}}}, "statistics")
	must(t, err)
	for name, cfg := range map[string]store.Config{"duckdb": {Dir: t.TempDir()}, "postgres": {URL: pgtest.URL(t)}} {
		t.Run(name, func(t *testing.T) {
			start := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
			cfg.Now, cfg.Declared = func() time.Time { return start.AddDate(0, 0, 7) }, set
			s := open(t, cfg)
			batch := store.Batch{From: store.Cursor{Stream: "a"}, Seq: 1}
			for d := range 5 {
				at := start.AddDate(0, 0, d).Add(12*time.Hour + time.Minute)
				batch.Events = append(batch.Events, declaring(fmt.Sprint(d), at, `{"plan":"pro"}`))
			}
			_, err := s.Commit(t.Context(), &batch)
			must(t, err)
			store.DeclareAlone(t, s)
			for _, id := range []string{"0", "2", "4"} {
				must(t, s.Delete(t.Context(), id))
			}
			store.FillDeclaredAlone(t, s)

			wantOneRow(t, s, question.Span{Start: start, End: start.AddDate(0, 0, 7), Zone: time.UTC}, "count", "properties.plan", 2)
		})
	}
}

// TestDeletionOnADayThatIsBeingCounted deletes an event of a day whose hours are not kept any more, after
// the later half of the day was counted and before the earlier is. Both halves count once.
func TestDeletionOnADayThatIsBeingCounted(t *testing.T) {
	set, err := declared.New(declared.Config{Numbers: []declared.NumberConfig{{Property: "amount"}}}, "statistics")
	must(t, err)
	for name, cfg := range map[string]store.Config{"duckdb": {Dir: t.TempDir()}, "postgres": {URL: pgtest.URL(t)}} {
		t.Run(name, func(t *testing.T) {
			start := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
			cfg.Now, cfg.Declared, cfg.Keep = func() time.Time { return start.AddDate(0, 0, 7) }, set, store.Keep{Hour: 2 * 24 * time.Hour}
			s := open(t, cfg)
			batch := store.Batch{From: store.Cursor{Stream: "a"}}
			commit := func(hours ...int) {
				t.Helper()
				batch.Events, batch.From.Seq, batch.Seq = nil, batch.Seq, batch.Seq+1
				for _, h := range hours {
					at := start.Add(time.Duration(h)*time.Hour + time.Minute)
					batch.Events = append(batch.Events, declaring(fmt.Sprint(h), at, fmt.Sprintf(`{"amount":%d}`, h)))
				}
				_, err := s.Commit(t.Context(), &batch)
				must(t, err)
			}
			commit(3, 12)
			store.DeclareAlone(t, s)
			commit(15, 18)
			must(t, s.Delete(t.Context(), "15"))
			must(t, s.TidyRollups(t.Context()))

			wantOneRow(t, s, question.Span{Start: start, End: start.AddDate(0, 0, 1), Zone: time.UTC}, "sum:amount", "event_name", 3+12+18)
		})
	}
}
