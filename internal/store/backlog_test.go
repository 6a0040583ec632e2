package store_test

import (
	"maps"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tidemark-obs/tidemark/internal/declared"
	"github.com/tidemark-obs/tidemark/internal/pgtest"
	"github.com/tidemark-obs/tidemark/internal/store"
	"github.com/tidemark-obs/tidemark/internal/store/storetest"
)

// TestBacklogIsMeasured follows the metrics that say how far roll-ups, and on PostgreSQL marks, are
// behind: storing adds to them, the end of an hour does, and tidying takes all of it away.
func TestBacklogIsMeasured(t *testing.T) {
	set, err := declared.New(declared.Config{Dimensions: []declared.DimensionConfig{{Property: "plan", Label: "plan"}}}, "statistics")
	must(t, err)
	for name, cfg := range map[string]store.Config{"duckdb": {Dir: t.TempDir()}, "postgres": {URL: pgtest.URL(t)}} {
		t.Run(name, func(t *testing.T) {
			now := time.Date(2026, 3, 1, 12, 30, 0, 0, time.UTC)
			cfg.Now, cfg.Declared = func() time.Time { return now }, set
			s := open(t, cfg)
			must(t, s.TidyRollups(t.Context()))
			w := &writer{s: s, g: storetest.NewGenerator(1, now), cursor: store.Cursor{Stream: "a"}}
			step := func(what string, do func(), want ...string) {
				t.Helper()
				do()
				must(t, s.MeasureRollups(t.Context()))
				got := behind(t, s)
				for _, name := range want {
					if got[name] == 0 {
						t.Errorf("%s: nothing of %s is behind", what, name)
					}
					delete(got, name)
				}
				if len(got) > 0 {
					t.Errorf("%s: behind are %v", what, got)
				}
			}
			tidy := func() { must(t, s.TidyRollups(t.Context())) }
			step("at first", func() {})
			step("more users than an hour keeps", func() {
				for range 3 {
					must(t, w.commit(t.Context()))
				}
			}, "counts", "ids", "declared")
			step("tidied", tidy)
			if s.Dialect() == "postgres" {
				step("four sets of marks and more", func() {
					for range 4 {
						must(t, w.commit(t.Context()))
					}
				}, "counts", "ids", "declared", "marks")
				step("tidied once more", tidy)
			}
			step("the hour is over", func() { now = now.Add(2 * time.Hour) }, "users")
			step("tidied again", tidy)
			step("declared anew", func() { store.ForgetDeclared(t, s) }, "tidemark_rollup_missing_declarations")
			step("filled", tidy)
			missing := []string{"tidemark_rollup_missing_buckets"}
			if s.Dialect() == "postgres" {
				missing = append(missing, "tidemark_user_marks_missing_buckets")
			}
			step("roll-ups are taken away and come back", func() {
				const before = 6
				_, err := s.MigrateDown(t.Context(), before)
				must(t, err)
				must(t, s.Close())
				s = open(t, cfg)
			}, missing...)
			step("filled again", tidy)
		})
	}
}

// behind are the figures that are not 0, by roll-up or by the metric's name.
func behind(t *testing.T, s *store.Store) map[string]float64 {
	t.Helper()
	r := prometheus.NewRegistry()
	r.MustRegister(s.Collectors()...)
	all, err := r.Gather()
	must(t, err)
	found := map[string]float64{}
	for _, f := range all {
		for _, m := range f.GetMetric() {
			if m.GetGauge() == nil {
				continue
			}
			name := f.GetName()
			for _, l := range m.GetLabel() {
				name = l.GetValue()
			}
			found[name] = m.GetGauge().GetValue()
		}
	}
	if len(found) != 8 {
		t.Fatalf("%d figures: %v", len(found), found)
	}
	maps.DeleteFunc(found, func(_ string, n float64) bool { return n == 0 })
	return found
}
