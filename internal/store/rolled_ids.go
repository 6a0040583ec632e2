package store

import (
	"cmp"
	"context"
	"database/sql"
	"slices"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/tidemark-obs/tidemark/internal/question"
)

// onlyNames reports whether a measurement divides and selects by event_name only.
func (m *measurement) onlyNames() bool {
	other := func(q question.Condition) bool { return q.Field.Column != question.EventName }
	return (m.by.IsZero() || m.by.Column == question.EventName) && !slices.ContainsFunc(m.where, other)
}

// idsRow is a sketch of a bucket, or the one id of an event outside of whole buckets.
type idsRow struct {
	TS   time.Time      `db:"ts"`
	K    string         `db:"k"`
	IDs  []byte         `db:"ids"`
	ID   sql.NullString `db:"id"`
	Lost int64          `db:"lost"`
}

// idColumns are what a measurement reads: of rollup_ids the sketches, how many ids they have and which
// rows; of events the id; of both the group's key, where the conditions hold.
type idColumns struct{ ids, n, id, key, rows, where string }

func (m *measurement) idColumns(c *compiler) idColumns {
	of := idColumns{ids: "users", n: "users_n", id: "user_id", key: "''", rows: " AND event_name IS NULL"}
	if m.metric.Measure == question.Sessions {
		of.ids, of.n, of.id = "sessions", "sessions_n", "session_id"
	}
	if !m.by.IsZero() {
		of.key = "event_name"
	}
	if !m.by.IsZero() || len(m.where) > 0 {
		of.rows = " AND event_name IS NOT NULL"
	}
	of.where = strings.Join(append([]string{""}, c.where(m.where)...), " AND ")
	return of
}

// compileIDs makes the statement that finds the sketches of a span and, at its ends, the ids; only of
// some buckets, where they are not nil.
func (s *Store) compileIDs(c *compiler, m *measurement, list []piece, only []time.Time) string {
	of := m.idColumns(c)
	var parts []string
	for _, condition := range rolledRows(list, &c.args) {
		if only != nil {
			condition += " AND " + within(only, s, &c.args)
		}
		parts = append(parts, "SELECT bucket AS ts, "+of.key+" AS k, "+of.ids+" AS ids, NULL::text AS id, lost FROM rollup_ids WHERE "+
			condition+of.rows+of.where)
	}
	for _, p := range list {
		if p.width == 0 {
			// No calendar that sketches can answer divides an hour.
			parts = append(parts, "SELECT DISTINCT date_trunc('hour', events.ts) AS ts, "+of.key+" AS k, NULL::bytea AS ids, "+of.id+
				" AS id, 0::bigint AS lost FROM events WHERE events.ts >= "+c.args.bind(p.from)+" AND events.ts < "+c.args.bind(p.to)+of.where)
		}
	}
	return strings.Join(parts, " UNION ALL ")
}

// idsFromRollups counts users or sessions; ok is false where some were deleted and the events, which
// are whole, know how many are left.
func (s *Store) idsFromRollups(ctx context.Context, tx *sqlx.Tx, m *measurement, list []piece, whole bool) (cells []cellRow, ok bool, err error) {
	if list, err = widen(ctx, tx, m.calendar, list); err != nil {
		return nil, false, err
	}
	var only []time.Time
	if m.calendar != nil && m.by.IsZero() {
		if cells, only, err = s.countedIDs(ctx, tx, m, list); err != nil {
			return nil, false, err
		}
		if whole && slices.ContainsFunc(cells, func(r cellRow) bool { return r.Lost > 0 }) {
			return nil, false, nil
		}
		if len(only) == 0 { // no sketches, but events at the ends
			list = slices.DeleteFunc(slices.Clone(list), func(p piece) bool { return p.width > 0 })
		}
		if len(list) == 0 {
			return cells, true, nil
		}
	}
	more, ok, err := s.idsFromSketches(ctx, tx, m, list, only, whole)
	return append(cells, more...), ok, err
}

// countedIDs answers the cells of a line of which one row is all there is: how many ids it has is
// written beside its sketch. Of the others it returns the buckets.
func (s *Store) countedIDs(ctx context.Context, tx *sqlx.Tx, m *measurement, list []piece) (cells []cellRow, only []time.Time, err error) {
	type row struct {
		TS   time.Time     `db:"ts"`
		N    sql.NullInt64 `db:"n"`
		Lost int64         `db:"lost"`
	}
	c := newCompiler(s.d)
	of := m.idColumns(c)
	var parts []string
	for _, condition := range rolledRows(list, &c.args) {
		parts = append(parts, "SELECT bucket AS ts, "+of.n+" AS n, lost FROM rollup_ids WHERE "+condition+of.rows+of.where)
	}
	var found []row
	if err := tx.SelectContext(ctx, &found, strings.Join(parts, " UNION ALL "), c.args...); err != nil {
		return nil, nil, err
	}
	rows := map[int64]int{}
	for _, r := range found {
		rows[m.calendar.Number(r.TS)]++
	}
	for _, p := range list {
		for at := p.from; p.width == 0 && at.Before(p.to); at = at.Truncate(hour).Add(hour) {
			rows[m.calendar.Number(at)]++
		}
	}
	for _, r := range found {
		if cell := m.calendar.Number(r.TS); rows[cell] > 1 || !r.N.Valid {
			only = append(only, r.TS.UTC())
		} else {
			cells = append(cells, cellRow{Number: cell, Value: sql.NullFloat64{Float64: float64(r.N.Int64), Valid: true}, Lost: r.Lost})
		}
	}
	slices.SortFunc(only, time.Time.Compare)
	return cells, slices.Compact(only), nil
}

func (s *Store) idsFromSketches(ctx context.Context, tx *sqlx.Tx, m *measurement, list []piece, only []time.Time, whole bool) (cells []cellRow, ok bool, err error) {
	c := newCompiler(s.d)
	rows, err := tx.QueryxContext(ctx, s.compileIDs(c, m, list, only), c.args...)
	if err != nil {
		return nil, false, err
	}
	defer rows.Close()
	sets := idSets{m: m, cells: map[idCell]*sketch{}, totals: map[string]*sketch{}}
	for rows.Next() {
		var r idsRow
		if err := rows.StructScan(&r); err != nil {
			return nil, false, err
		}
		if r.Lost > 0 && whole {
			return nil, false, nil
		}
		if err := sets.add(&r); err != nil {
			return nil, false, err
		}
	}
	if err := rows.Err(); err != nil {
		return nil, false, err
	}
	cells, err = sets.answer()
	return cells, err == nil, err
}

// idCell is one bucket of one group.
type idCell struct {
	bucket int64
	k      string
}

// idSets are the ids of a measurement by bucket and group, and by group.
type idSets struct {
	m      *measurement
	cells  map[idCell]*sketch
	totals map[string]*sketch // where it is grouped
}

func (s *idSets) add(r *idsRow) error {
	cell := idCell{k: r.K}
	if s.m.calendar != nil {
		cell.bucket = s.m.calendar.Number(r.TS)
	}
	into := []*sketch{set(s.cells, cell)}
	if !s.m.by.IsZero() && s.m.calendar != nil {
		into = append(into, set(s.totals, r.K))
	} else if !s.m.by.IsZero() {
		s.totals[r.K] = into[0] // one bucket
	}
	for _, ids := range into {
		ids.lost += r.Lost
		if r.ID.Valid {
			ids.add(hashID(r.ID.String))
		}
		if err := ids.merge(r.IDs); err != nil {
			return err
		}
	}
	return nil
}

func set[K comparable](sets map[K]*sketch, key K) *sketch {
	if sets[key] == nil {
		sets[key] = &sketch{wide: true}
	}
	return sets[key]
}

// answer ranks the groups as compile does and puts together those without a rank.
func (s *idSets) answer() ([]cellRow, error) {
	rank, err := s.ranks()
	if err != nil {
		return nil, err
	}
	rest := map[int64]*sketch{}
	var rows []cellRow
	row := func(bucket int64, rank int, k string, ids *sketch) error {
		n, err := ids.estimate()
		rows = append(rows, cellRow{Number: bucket, Rank: rank, K: k, Value: sql.NullFloat64{Float64: float64(n), Valid: true}, Lost: ids.lost})
		return err
	}
	for cell, ids := range s.cells {
		if at := rank[cell.k]; at > 0 {
			if err := row(cell.bucket, at, cell.k, ids); err != nil {
				return nil, err
			}
		} else if err := set(rest, cell.bucket).union(ids); err != nil {
			return nil, err
		}
	}
	for bucket, ids := range rest {
		if err := row(bucket, 0, "", ids); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

func (s *idSets) ranks() (map[string]int, error) {
	type group struct {
		k string
		n int64
	}
	groups := make([]group, 0, len(s.totals))
	for k, ids := range s.totals {
		n, err := ids.estimate()
		if err != nil {
			return nil, err
		}
		groups = append(groups, group{k, n})
	}
	slices.SortFunc(groups, func(a, b group) int { return cmp.Or(cmp.Compare(b.n, a.n), cmp.Compare(a.k, b.k)) })
	ranks := map[string]int{}
	for i := range min(len(groups), s.m.groups) {
		ranks[groups[i].k] = i + 1
	}
	return ranks, nil
}
