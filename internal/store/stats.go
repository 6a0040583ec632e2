package store

import (
	"context"
	"time"

	"github.com/jmoiron/sqlx"
)

// selectStats is one statement, so that all its numbers are of one moment. Each kind of row begins
// with its name.
const selectStats = `
WITH selected AS NOT MATERIALIZED (
    SELECT event_type, severity, processed, user_id, event_name FROM events WHERE ts >= $1 AND ts < $2
), users AS (
    SELECT user_id AS value, count(*) AS n FROM selected WHERE user_id IS NOT NULL GROUP BY user_id
), names AS (
    SELECT event_name AS value, count(*) AS n FROM selected GROUP BY event_name
)
SELECT 'class' AS kind, event_type AS value, severity, count(*) AS n, count(*) FILTER (WHERE processed) AS processed
FROM selected GROUP BY event_type, severity
UNION ALL SELECT 'users', '', '', count(*), 0 FROM users
UNION ALL SELECT 'user', value, '', n, 0 FROM (SELECT value, n FROM users ORDER BY n DESC, value LIMIT 10) AS top_users
UNION ALL SELECT 'name', value, '', n, 0 FROM (SELECT value, n FROM names ORDER BY n DESC, value LIMIT 10) AS top_names
ORDER BY kind, n DESC, value`

type statsRow struct {
	Kind      string `db:"kind"`
	Value     string `db:"value"`
	Severity  string `db:"severity"`
	N         int64  `db:"n"`
	Processed int64  `db:"processed"`
}

// Stats counts the events in [start, end) in one consistent view.
func (s *Store) Stats(ctx context.Context, start, end time.Time) (Stats, error) {
	var rows []statsRow
	err := s.query(ctx, "SELECT events", func(ctx context.Context, db *sqlx.DB) error {
		return db.SelectContext(ctx, &rows, selectStats, micro(start), micro(end))
	})
	if err != nil {
		return Stats{}, err
	}
	st := Stats{ByType: map[string]int64{}, BySeverity: map[string]int64{}}
	for _, r := range rows {
		switch r.Kind {
		case "class":
			st.TotalEvents += r.N
			st.ProcessedEvents += r.Processed
			st.ByType[r.Value] += r.N
			st.BySeverity[r.Severity] += r.N
		case "users":
			st.UniqueUsers = r.N
		case "user":
			st.TopUsers = append(st.TopUsers, Count{r.Value, r.N})
		case "name":
			st.TopEvents = append(st.TopEvents, Count{r.Value, r.N})
		}
	}
	st.UnprocessedEvents = st.TotalEvents - st.ProcessedEvents
	return st, nil
}
