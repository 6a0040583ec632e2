package store

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/tidemark-obs/tidemark/internal/question"
	"github.com/tidemark-obs/tidemark/internal/rollup"
)

// statsOf counts events, or what they add up to, as one statement: all its numbers are of one moment.
// Each kind of row begins with its name. What follows is a table of counts, part, and more of
// (field, value, n), as totals have them.
const (
	fieldsOf = `
fields AS (
    SELECT 1 AS field, event_type AS value, n FROM part
    UNION ALL SELECT 2, event_name, n FROM part
    UNION ALL SELECT 3, severity, n FROM part
    UNION ALL SELECT 5, CASE WHEN processed THEN 'true' ELSE 'false' END, n FROM part`
	statsOf = `
), sums AS (SELECT field, value` + byBytes + ` AS value, sum(n)::bigint AS n FROM fields GROUP BY field, value HAVING sum(n) <> 0)`
	selectSums = `
SELECT CASE field WHEN 1 THEN 'type' WHEN 3 THEN 'severity' ELSE 'processed' END AS kind, value, n FROM sums WHERE field <> 2
UNION ALL SELECT 'name', value, n FROM (SELECT value, n FROM sums WHERE field = 2 ORDER BY n DESC, value LIMIT 10) AS top_names`
	usersOf = `
SELECT 'users' AS kind, '' AS value, count(*) AS n FROM users
UNION ALL SELECT 'user', value, n FROM (SELECT value, n FROM users ORDER BY n DESC, value LIMIT 10) AS top_users`
	byKind = ` ORDER BY kind, n DESC, value`

	// rawUsers are the users of the events themselves.
	rawUsers = `
users AS (SELECT user_id` + byBytes + ` AS value, count(*) AS n FROM events WHERE ts >= $1 AND ts < $2 AND user_id IS NOT NULL GROUP BY user_id)`
	selectStats = `
WITH part AS (
    SELECT event_type, severity, processed, event_name, count(*) AS n FROM events WHERE ts >= $1 AND ts < $2 GROUP BY 1, 2, 3, 4
),` + fieldsOf + statsOf + `, ` + rawUsers + selectSums + ` UNION ALL ` + usersOf + byKind
	selectUsers = `WITH` + rawUsers + usersOf + byKind
)

type statsRow struct {
	Kind  string `db:"kind"`
	Value string `db:"value"`
	N     int64  `db:"n"`
}

func (st *Stats) add(rows []statsRow) {
	for _, r := range rows {
		switch r.Kind {
		case "type":
			st.TotalEvents += r.N
			st.ByType[r.Value] = r.N
		case "severity":
			st.BySeverity[r.Value] = r.N
		case "processed":
			if r.Value == "true" {
				st.ProcessedEvents = r.N
			}
		case "users":
			st.UniqueUsers = r.N
		case "user":
			st.TopUsers = append(st.TopUsers, Count{r.Value, r.N})
		case "name":
			st.TopEvents = append(st.TopEvents, Count{r.Value, r.N})
		}
	}
	st.UnprocessedEvents = st.TotalEvents - st.ProcessedEvents
}

// Stats counts the events in [start, end) in one consistent view. From roll-ups, users are
// estimated where there are more than Config.FewEvents events; all else is exact.
func (s *Store) Stats(ctx context.Context, start, end time.Time) (Stats, error) {
	st := Stats{ByType: map[string]int64{}, BySeverity: map[string]int64{}}
	start, end = micro(start), micro(end)
	err := s.query(ctx, "SELECT events", func(ctx context.Context, db *sqlx.DB) error {
		if ok, err := s.statsFromRollups(ctx, db, &st, start, end); err != nil || ok {
			return err
		}
		var rows []statsRow
		if err := db.SelectContext(ctx, &rows, selectStats, start, end); err != nil {
			return err
		}
		st.add(rows)
		var err error
		st.CompleteFrom, err = completeFrom(ctx, db, start)
		return err
	})
	return st, err
}

// statsFromRollups is false where roll-ups cannot answer; nothing is added to the statistics then.
func (s *Store) statsFromRollups(ctx context.Context, db *sqlx.DB, st *Stats, start, end time.Time) (ok bool, err error) {
	var state rollupState
	tx, done, err := s.snapshot(ctx, db, func(tx *sqlx.Tx) error { return tx.GetContext(ctx, &state, selectState, start, end) })
	if err != nil {
		return false, err
	}
	defer done()
	if state.Missing {
		return false, nil
	}
	counts := pieces(start, end, countLevels, &state.floors)
	users := pieces(start, end, idLevels, &state.floors)
	if !hasBuckets(counts) {
		return false, nil
	}
	counts = cut(counts, countLevels, &state.floors, s.cfg.Now())
	var args arguments
	var rows []statsRow
	if err := tx.SelectContext(ctx, &rows, compileStats(counts, &args), args...); err != nil {
		return false, err
	}
	st.add(rows)
	st.CompleteFrom = lacks(slices.Concat(counts, users), &state.floors)
	if hasBuckets(users) && (st.TotalEvents > int64(s.cfg.FewEvents) || start.Before(state.Events)) {
		sketched, wide, err := s.addingUp(ctx, tx, users, idLevels, &state.floors, wideIDs)
		if err != nil {
			return false, err
		}
		if err := s.sketchedUsers(ctx, tx, st, sketched, wide); err != nil {
			return false, err
		}
		return true, s.usersFromRollups(ctx, tx, st, cut(users, idLevels, &state.floors, s.cfg.Now()))
	}
	rows = nil
	if err := tx.SelectContext(ctx, &rows, selectUsers, start, end); err != nil {
		return false, err
	}
	st.add(rows)
	if start.Before(state.Events) {
		st.CompleteFrom = since(start, state.Events)
	}
	return true, nil
}

// compileStats makes the statement that counts pieces.
func compileStats(list []piece, args *arguments) string {
	columns := []question.Column{"event_type", "severity", "processed", question.EventName}
	query := "WITH part AS (SELECT event_type, severity, processed, event_name, sum(n) AS n FROM " +
		unionAll(countsOf(list, columns, false, args)) + " GROUP BY 1, 2, 3, 4 HAVING sum(n) <> 0)," + fieldsOf
	for _, p := range list {
		if hasTotals(p.width) {
			query += " UNION ALL SELECT field, value, events FROM rollup_totals WHERE field IN (1, 2, 3, 5) AND " + p.buckets(args)
		}
	}
	return query + statsOf + selectSums + byKind
}

// sketchedUsers estimates the number of users. Users that were deleted of late and are still in the
// sketches make its bound wider.
func (s *Store) sketchedUsers(ctx context.Context, tx *sqlx.Tx, st *Stats, list []piece, wide []wideBucket) error {
	users := &measurement{metric: question.Metric{Measure: question.Users}}
	cells, _, err := s.idsFromRollups(ctx, tx, users, list, wide, nil, false)
	if err != nil {
		return err
	}
	for _, r := range cells { // one, or none where there are no rows
		if n := r.Value.Float64; n > 0 {
			st.UniqueUsers, st.UsersBound = int64(n), rollup.IDsBound+float64(r.Lost)/n
		}
	}
	return nil
}

// usersFromRollups finds the users with the most events, among those that the buckets keep.
func (*Store) usersFromRollups(ctx context.Context, tx *sqlx.Tx, st *Stats, list []piece) error {
	var args arguments
	parts := make([]string, len(list))
	for i, p := range list {
		from, to := args.bind(p.from), args.bind(p.to)
		switch {
		case p.width > 0:
			parts[i] = "SELECT user_id, events FROM rollup_users WHERE width = " + strconv.Itoa(int(p.width/time.Second)) +
				" AND bucket >= " + from + " AND bucket < " + to
		case p.negative:
			parts[i] = "SELECT user_id, -1::bigint FROM events WHERE user_id IS NOT NULL AND ts >= " + from + " AND ts < " + to
		default:
			parts[i] = "SELECT user_id, 1::bigint FROM events WHERE user_id IS NOT NULL AND ts >= " + from + " AND ts < " + to
		}
	}
	query := "WITH users AS (SELECT user_id" + byBytes + " AS value, sum(events)::bigint AS n FROM (" + strings.Join(parts, " UNION ALL ") +
		") AS rows (user_id, events) GROUP BY user_id)" + `
SELECT 'folded' AS kind, '' AS value, n FROM users WHERE value IS NULL
UNION ALL SELECT 'user', value, n
FROM (SELECT value, n FROM users WHERE value IS NOT NULL AND n > 0 ORDER BY n DESC, value LIMIT 10) AS top_users` + byKind
	var rows []statsRow
	if err := tx.SelectContext(ctx, &rows, query, args...); err != nil {
		return err
	}
	for _, r := range rows {
		if r.Kind == "folded" {
			st.TopUsersMore = r.N
		}
	}
	st.add(rows)
	return nil
}
