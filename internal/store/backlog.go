package store

import (
	"context"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/prometheus/client_golang/prometheus"
)

const (
	// backlogEvery is how often it is looked how far roll-ups are behind.
	backlogEvery = 10 * time.Second
	// backlogCounted bounds what a look costs: so many rows of a table are counted, and no more.
	backlogCounted = 200_000
)

// backlog says how far roll-ups are behind the events. Their answers are right all the same; they
// come later.
type backlog struct {
	untidy       *prometheus.GaugeVec
	days         prometheus.Gauge
	declarations prometheus.Gauge
	unmarked     prometheus.Gauge
}

func newBacklog() backlog {
	b := backlog{
		untidy: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "tidemark_rollup_untidy_rows",
			Help: "Rows of roll-ups that wait to be put together with the others of their bucket, by roll-up; of marks of users on PostgreSQL, sets; counted up to 200,000.",
		}, []string{"rollup"}),
		days: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "tidemark_rollup_missing_buckets",
			Help: "Buckets of a day whose events are not rolled up yet, so that questions about them are answered from the events.",
		}),
		declarations: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "tidemark_rollup_missing_declarations",
			Help: "Declared dimensions and numbers of which not all stored events are counted yet.",
		}),
		unmarked: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "tidemark_user_marks_missing_buckets",
			Help: "Buckets of a day with events on PostgreSQL that have no marks of their users yet, so that lists of one user are read without.",
		}),
	}
	for _, rollup := range []string{"counts", "ids", "users", "declared", "marks"} {
		b.untidy.WithLabelValues(rollup)
	}
	return b
}

func (b backlog) collectors() []prometheus.Collector {
	return []prometheus.Collector{b.untidy, b.days, b.declarations, b.unmarked}
}

// selectBacklog counts what is to be done, at most $1 rows of each kind. Of users, those of hours and
// days that ended before $2: the others stay fresh. Of declared values, not those that have shrunk
// before $3, from when on there are all events: they cannot be made anew.
const selectBacklog = `
SELECT 'counts' AS of, count(*) AS n FROM (SELECT 1 FROM rollups WHERE fresh LIMIT $1) AS found
UNION ALL SELECT 'ids', count(*) FROM (SELECT 1 FROM rollup_ids WHERE fresh LIMIT $1) AS found
UNION ALL SELECT 'users', count(*) FROM (
    SELECT 1 FROM rollup_users WHERE fresh AND bucket + width * interval '1 second' <= $2 LIMIT $1) AS found
UNION ALL SELECT 'declared', count(*) FROM (
    SELECT 1 FROM rollup_values WHERE fresh AND NOT (shrunk AND date_trunc('day', bucket) < $3) LIMIT $1) AS found
UNION ALL SELECT 'days', count(*) FROM rollup_missing
UNION ALL SELECT 'declarations', count(*) FROM declarations WHERE since > $4`

// selectMarkBacklog is about marks, which are on PostgreSQL only: sets that have as many others of
// their size and day as are put together.
const selectMarkBacklog = `
SELECT 'marks' AS of, coalesce(sum(sets), 0) AS n FROM (
    SELECT count(*) AS sets FROM (
        SELECT day, node FROM user_marks WHERE node & (node - 1) = 0 AND node < $2 LIMIT $1) AS found
    GROUP BY day, node HAVING count(*) >= $3) AS found
UNION ALL SELECT 'unmarked', count(*) FROM user_marks_missing`

// MeasureRollups looks how far roll-ups are behind, for the metrics that say so.
func (s *Store) MeasureRollups(ctx context.Context) error {
	type figure struct {
		Of string  `db:"of"`
		N  float64 `db:"n"`
	}
	var found, marks []figure
	err := s.query(ctx, "SELECT rollups", func(ctx context.Context, db *sqlx.DB) error {
		var from floors
		if err := db.GetContext(ctx, &from, selectFloors); err != nil {
			return err
		}
		err := db.SelectContext(ctx, &found, selectBacklog, backlogCounted, s.cfg.Now().Add(-hour), from.Events, declaredFloor(&from))
		if err != nil || s.d.columnar() {
			return err
		}
		return db.SelectContext(ctx, &marks, selectMarkBacklog, backlogCounted, 1<<markDepth, marksTogether)
	})
	if err != nil {
		return err
	}
	for _, f := range append(found, marks...) {
		switch f.Of {
		case "days":
			s.backlog.days.Set(f.N)
		case "declarations":
			s.backlog.declarations.Set(f.N)
		case "unmarked":
			s.backlog.unmarked.Set(f.N)
		default:
			s.backlog.untidy.WithLabelValues(f.Of).Set(f.N)
		}
	}
	return nil
}

// WatchRollups measures them until ctx ends. It runs beside KeepRollups: while a step of that takes
// long, the figures are wanted most.
func (s *Store) WatchRollups(ctx context.Context) {
	for {
		wait := backlogEvery
		if err := s.MeasureRollups(ctx); err != nil && ctx.Err() == nil {
			s.cfg.Logger.Warn("measuring roll-ups", "cause", err)
			wait = tidyAfterError
		}
		if !rest(ctx, wait) {
			return
		}
	}
}
