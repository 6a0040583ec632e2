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

// compileIDs makes the statement that finds the sketches of a span and, at its ends, the ids.
func (m *measurement) compileIDs(c *compiler, list []piece) string {
	sketches, id := "users", "user_id"
	if m.metric.Measure == question.Sessions {
		sketches, id = "sessions", "session_id"
	}
	key, named := "''", "event_name IS NULL"
	if !m.by.IsZero() || len(m.where) > 0 {
		named = "event_name IS NOT NULL"
	}
	if !m.by.IsZero() {
		key = "event_name"
	}
	where := strings.Join(append([]string{""}, c.where(m.where)...), " AND ")
	var parts []string
	for _, condition := range rolledRows(list, &c.args) {
		parts = append(parts, "SELECT bucket AS ts, "+key+" AS k, "+sketches+" AS ids, NULL::text AS id, lost FROM rollup_ids WHERE "+
			condition+" AND "+named+where)
	}
	for _, p := range list {
		if p.width == 0 {
			// No calendar that sketches can answer divides an hour.
			parts = append(parts, "SELECT DISTINCT date_trunc('hour', events.ts) AS ts, "+key+" AS k, NULL::bytea AS ids, "+id+
				" AS id, 0::bigint AS lost FROM events WHERE events.ts >= "+c.args.bind(p.from)+" AND events.ts < "+c.args.bind(p.to)+where)
		}
	}
	return strings.Join(parts, " UNION ALL ")
}

// idsFromRollups counts users or sessions; ok is false where some were deleted and the events, which
// are whole, know how many are left.
func (s *Store) idsFromRollups(ctx context.Context, tx *sqlx.Tx, m *measurement, list []piece, whole bool) (cells []cellRow, ok bool, err error) {
	c := newCompiler(s.d)
	rows, err := tx.QueryxContext(ctx, m.compileIDs(c, list), c.args...)
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
