package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/tidemark-obs/tidemark/internal/question"
	"github.com/tidemark-obs/tidemark/internal/rollup"
)

// onlyNames reports whether a measurement divides and selects by event_name only.
func (m *measurement) onlyNames() bool {
	other := func(q question.Condition) bool { return q.Field.Column != question.EventName }
	return (m.by.IsZero() || m.by.Column == question.EventName) && !slices.ContainsFunc(m.where, other)
}

// idsRow is a sketch of a bucket, or a list of ids of events outside of whole buckets. Its bytes are
// there until the next row is.
type idsRow struct {
	TS   time.Time
	K    string
	IDs  sql.RawBytes
	N    sql.NullInt64 // how many ids the sketch has, where that is asked for instead of it
	List any           // as collect gathers it
	Lost int64
	Wide bool // it only says which groups are the first
}

// idColumns are what a measurement reads: of rollup_ids the sketches, how many ids they have, where that
// is read instead, and which rows; of events the id; of both the group's key, where the conditions hold.
type idColumns struct{ ids, n, known, id, key, rows, where string }

func (m *measurement) idColumns(c *compiler) idColumns {
	of := idColumns{ids: "users", n: "users_n", known: "NULL::bigint", id: "user_id", key: "''", rows: " AND event_name IS NULL"}
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

// sketches makes a part of a statement that returns rows as idsRow has them: the sketches of roll-ups
// where a condition holds.
func (of *idColumns) sketches(condition string, wide bool) string {
	return "SELECT bucket AS ts, " + of.key + " AS k, " + of.ids + " AS ids, " + of.known + " AS n, NULL::text[] AS list, lost, " +
		strconv.FormatBool(wide) + " AS wide FROM rollup_ids WHERE " + condition + of.rows + of.where
}

// events makes such a part of the ids of events, gathered: what a row costs is more than an id. No
// calendar that sketches can answer divides an hour.
func (of *idColumns) events(d dialect, p piece, args *arguments) string {
	ids := "SELECT DISTINCT date_trunc('hour', events.ts) AS ts, " + of.key + " AS k, " + of.id + " AS id FROM events WHERE events.ts >= " +
		args.bind(p.from) + " AND events.ts < " + args.bind(p.to) + of.where
	return "SELECT ts, k, NULL::bytea AS ids, NULL::bigint AS n, " + d.collect("id") +
		" FILTER (WHERE id IS NOT NULL) AS list, 0::bigint AS lost, false AS wide FROM (" + ids + ") AS found GROUP BY ts, k"
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
		parts = append(parts, of.sketches(condition, false))
	}
	for _, p := range list {
		if p.width == 0 {
			parts = append(parts, of.events(s.d, p, &c.args))
		}
	}
	return strings.Join(parts, " UNION ALL ")
}

// eachIDs reads what such a statement finds.
func eachIDs(ctx context.Context, tx *sqlx.Tx, query string, args arguments, do func(*idsRow) error) error {
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	var r idsRow
	for rows.Next() {
		if err := rows.Scan(&r.TS, &r.K, &r.IDs, &r.N, &r.List, &r.Lost, &r.Wide); err != nil {
			return err
		}
		if err := do(&r); err != nil {
			return err
		}
	}
	return rows.Err()
}

// errLost says that of some ids that were deleted the events know more than the sketches.
var errLost = errors.New("sketches have ids that were deleted")

// idsFromRollups counts users or sessions; ok is false where some were deleted and the events, which
// are whole, know how many are left.
func (s *Store) idsFromRollups(ctx context.Context, tx *sqlx.Tx, m *measurement, list []piece, wide []wideBucket, from *floors, whole bool) (cells []cellRow, ok bool, err error) {
	list = widen(m.calendar, list, wide)
	sets := idSets{d: s.d, m: m, whole: whole, cells: map[idCell]*rollup.IDs{}, totals: map[string]*rollup.IDs{}}
	switch {
	case m.calendar == nil:
		cells, err = s.idsFromSketches(ctx, tx, &sets, list, nil)
	case m.by.IsZero():
		cells, err = s.lineOfIDs(ctx, tx, &sets, list)
	default:
		cells, err = s.linesOfIDs(ctx, tx, &sets, list, wide, from)
	}
	if errors.Is(err, errLost) {
		return nil, false, nil
	}
	return cells, err == nil, err
}

// lineOfIDs answers without groups.
func (s *Store) lineOfIDs(ctx context.Context, tx *sqlx.Tx, sets *idSets, list []piece) ([]cellRow, error) {
	cells, only, err := s.countedIDs(ctx, tx, sets.m, list)
	if err != nil {
		return nil, err
	}
	if sets.whole && slices.ContainsFunc(cells, func(r cellRow) bool { return r.Lost > 0 }) {
		return nil, errLost
	}
	if len(only) == 0 { // no sketches, but events at the ends
		list = slices.DeleteFunc(slices.Clone(list), func(p piece) bool { return p.width > 0 })
	}
	if len(list) == 0 {
		return cells, nil
	}
	more, err := s.idsFromSketches(ctx, tx, sets, list, only)
	return append(cells, more...), err
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

func (s *Store) idsFromSketches(ctx context.Context, tx *sqlx.Tx, sets *idSets, list []piece, only []time.Time) ([]cellRow, error) {
	c := newCompiler(s.d)
	query := s.compileIDs(c, sets.m, list, only)
	if err := eachIDs(ctx, tx, query, c.args, sets.add); err != nil {
		return nil, err
	}
	rank, err := sets.ranks()
	if err != nil {
		return nil, err
	}
	return sets.answer(rank)
}

// idCell is one bucket of one group.
type idCell struct {
	bucket int64
	k      string
}

// idSets are the ids of a measurement by bucket and group, and by group. Those of groups that are not
// among the first may be in rest at once.
type idSets struct {
	d      dialect
	m      *measurement
	whole  bool // the events are
	cells  map[idCell]*rollup.IDs
	totals map[string]*rollup.IDs // where it is grouped
	rest   map[int64]*rollup.IDs
}

func (s *idSets) cellOf(r *idsRow) idCell {
	cell := idCell{k: r.K}
	if s.m.calendar != nil {
		cell.bucket = s.m.calendar.Number(r.TS)
	}
	return cell
}

// add puts a row into the sets that it belongs to.
func (s *idSets) add(r *idsRow) error {
	var into []*rollup.IDs
	if !r.Wide {
		into = append(into, set(s.cells, s.cellOf(r)))
	}
	switch {
	case s.m.by.IsZero():
	case s.m.calendar == nil: // one bucket
		s.totals[r.K] = into[0]
	default:
		into = append(into, set(s.totals, r.K))
	}
	return s.put(r, into...)
}

func (s *idSets) put(r *idsRow, into ...*rollup.IDs) error {
	if r.Lost > 0 && s.whole {
		return errLost
	}
	for _, ids := range into {
		ids.Lost += r.Lost
		if r.List != nil {
			if err := s.d.collectedTexts(r.List, func(id string) { ids.Add(rollup.HashID(id)) }); err != nil {
				return err
			}
		}
		if err := ids.MergeCopy(r.IDs); err != nil {
			return err
		}
	}
	return nil
}

func set[K comparable](sets map[K]*rollup.IDs, key K) *rollup.IDs {
	if sets[key] == nil {
		sets[key] = &rollup.IDs{Counted: true}
	}
	return sets[key]
}

// answer puts together the groups without a rank.
func (s *idSets) answer(rank map[string]int) ([]cellRow, error) {
	rows := make([]cellRow, 0, len(s.cells)+len(s.rest))
	if s.rest == nil {
		s.rest = map[int64]*rollup.IDs{}
	}
	row := func(bucket int64, rank int, k string, ids *rollup.IDs) error {
		n, err := ids.Count()
		rows = append(rows, cellRow{Number: bucket, Rank: rank, K: k, Value: sql.NullFloat64{Float64: float64(n), Valid: true}, Lost: ids.Lost})
		return err
	}
	for cell, ids := range s.cells {
		if at := rank[cell.k]; at > 0 {
			if err := row(cell.bucket, at, cell.k, ids); err != nil {
				return nil, err
			}
		} else if err := set(s.rest, cell.bucket).Union(ids); err != nil {
			return nil, err
		}
	}
	for bucket, ids := range s.rest {
		if err := row(bucket, 0, "", ids); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

// ranks are those of the first groups, as compile has them.
func (s *idSets) ranks() (map[string]int, error) {
	type group struct {
		k string
		n int64
	}
	groups := make([]group, 0, len(s.totals))
	for k, ids := range s.totals {
		n, err := ids.Count()
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
