package store

import (
	"context"
	"database/sql"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/tidemark-obs/tidemark/internal/declared"
	"github.com/tidemark-obs/tidemark/internal/question"
	"github.com/tidemark-obs/tidemark/internal/rollup"
)

// asking is how a measurement is answered from what is declared.
type asking struct {
	m     *measurement
	d     *declaration
	field question.Field
	named bool                 // from the rows of names, else from those of all events
	names []question.Condition // on the names
	where []question.Condition // on the dimension

	name    map[string]bool // whether a name meets the conditions on it
	portion map[declaredCell]*portion
}

// declaredCell is one bucket of one event's name, where it is grouped by that.
type declaredCell struct {
	bucket int64
	name   string
}

// ofNumber reports whether the metric is about a number.
func (m *measurement) ofNumber() bool { return !m.metric.Field.IsZero() }

// asking finds a declaration that knows all that is asked, nil where there is none.
func (m *measurement) asking(all *declarations) *asking {
	if m.distinct() {
		return nil
	}
	var best *asking
	for i := range all.list {
		a := m.askingOf(&all.list[i])
		if a != nil && (best == nil || a.d.Since.Before(best.d.Since)) {
			best = a
		}
	}
	return best
}

func (m *measurement) askingOf(d *declaration) *asking {
	a := &asking{m: m, d: d, field: m.metric.Field, name: map[string]bool{}, portion: map[declaredCell]*portion{}}
	if d.spec.Number != m.ofNumber() || d.spec.Number && a.field.String() != d.spec.Property {
		return nil
	}
	known := func(f question.Field) bool { return !d.spec.Number && f.String() == d.spec.Property }
	for _, c := range m.where {
		switch {
		case c.Field.Column == question.EventName:
			a.names = append(a.names, c)
		case known(c.Field) && c.Op != question.Exists: // what is no scalar is counted as missing
			a.where = append(a.where, c)
			a.field = c.Field
		default:
			return nil
		}
	}
	switch {
	case known(m.by):
		a.field = m.by
	case m.by.Column == question.EventName, m.by.IsZero():
	default:
		return nil
	}
	if a.field.IsZero() || !d.covers(namesOf(a.names)) {
		return nil
	}
	a.named = len(a.names) > 0 || m.by.Column == question.EventName
	return a
}

// namesOf are all that meet the conditions; nil where they do not name them.
func namesOf(where []question.Condition) []string {
	for _, c := range where {
		list := c.List
		switch c.Op {
		case question.Equal:
			list = []question.Value{c.Value}
		case question.In:
		default:
			continue
		}
		names := make([]string, len(list))
		for i := range list {
			names[i] = list[i].Text
		}
		return names
	}
	return nil
}

// declaredState is a declaration, and what must be known of roll-ups.
type declaredState struct {
	declaration
	floors
}

const selectDeclaredState = `
SELECT d.id, spec, budget, since, events_from, minute_from, hour_from, day_from FROM declarations d CROSS JOIN rollup_state ORDER BY d.id`

var declaredLevels = []time.Duration{day, hour}

// fromDeclared answers a measurement from what is declared; ok is false where that cannot. It sees
// one moment.
func (s *Store) fromDeclared(ctx context.Context, db *sqlx.DB, m *measurement) (cells []question.Cell, lack *time.Time, ok bool, err error) {
	var levels []time.Duration
	for _, width := range declaredLevels {
		if m.calendar == nil || aligned(m.calendar, width) {
			levels = append(levels, width)
		}
	}
	if len(levels) == 0 {
		return nil, nil, false, nil
	}
	var found []declaredState
	tx, done, err := s.snapshot(ctx, db, func(tx *sqlx.Tx) error { return tx.SelectContext(ctx, &found, selectDeclaredState) })
	if err != nil {
		return nil, nil, false, err
	}
	defer done()
	if len(found) == 0 {
		return nil, nil, false, nil
	}
	stand := make([]declaration, len(found))
	for i := range found {
		stand[i] = found[i].declaration
	}
	all, err := s.asDeclared(stand)
	if err != nil {
		return nil, nil, false, err
	}
	a := m.asking(all)
	if a == nil {
		return nil, nil, false, nil
	}
	list, lack, ok, err := s.declaredPieces(ctx, tx, a, levels, &found[0].floors)
	if err != nil || !ok {
		return nil, nil, false, err
	}
	if ok, err = a.readRows(ctx, tx, s.d, list); err != nil || !ok {
		return nil, nil, false, err
	}
	if err := a.readEnds(ctx, tx, s.d, all, list); err != nil {
		return nil, nil, false, err
	}
	if a.d.spec.Number {
		cells, ok, err = a.numberCells()
		return cells, lack, ok, err
	}
	cells, ok = a.valueCells()
	return cells, lack, ok, nil
}

// declaredPieces are the parts of a span, and before when events may be missing from them; ok is
// false where none is of roll-ups, or some of these are not filled.
func (s *Store) declaredPieces(ctx context.Context, tx *sqlx.Tx, a *asking, levels []time.Duration, from *floors) (list []piece, lack *time.Time, ok bool, err error) {
	list = pieces(micro(a.m.span.Start), micro(a.m.span.End), levels, from)
	if !a.d.spec.Number {
		list = cut(list, levels, from, s.cfg.Now())
	} else { // numbers cannot be taken away
		var wide []wideBucket
		if list, wide, err = s.addingUp(ctx, tx, list, levels, from, wideNumbers(a.d)); err != nil {
			return nil, nil, false, err
		}
		list = widen(a.m.calendar, list, wide)
	}
	rolled := false
	for _, p := range list {
		if p.width > 0 && p.from.Before(a.d.Since) {
			return nil, nil, false, nil
		}
		rolled = rolled || p.width > 0
	}
	return list, lacks(list, from), rolled, nil
}

// readRows reads the roll-ups; ok is false where some have yet to be made anew.
func (a *asking) readRows(ctx context.Context, tx *sqlx.Tx, d dialect, list []piece) (ok bool, err error) {
	c := newCompiler(d)
	of := " FROM rollup_values WHERE declaration = " + strconv.FormatInt(a.d.ID, 10)
	names := " AND event_name IS NULL"
	if a.named {
		names = strings.Join(append([]string{" AND event_name IS NOT NULL"}, c.where(a.names)...), " AND ")
	}
	var parts []string
	for _, p := range list {
		if p.width > 0 {
			parts = append(parts, "SELECT bucket, coalesce(event_name, ''), fresh, shrunk, data"+of+" AND "+p.tidyRows(&c.args)+names)
		}
	}
	if condition := freshRows(list, &c.args); condition != "" {
		parts = append(parts, "SELECT bucket, '', fresh, shrunk, data"+of+" AND "+condition)
	}
	rows, err := tx.QueryContext(ctx, strings.Join(parts, " UNION ALL "), c.args...)
	if err != nil {
		return false, err
	}
	defer rows.Close()
	for rows.Next() {
		var at time.Time
		var name string
		var fresh, shrunk bool
		var data sql.RawBytes
		if err := rows.Scan(&at, &name, &fresh, &shrunk, &data); err != nil {
			return false, err
		}
		if shrunk {
			return false, nil
		}
		if !fresh {
			err = a.at(at, name).merge(data, a.m.metric.Measure == question.Percentile)
		} else {
			err = rollup.Parts(data, func(name string, part []byte) error {
				if !a.meets(name) {
					return nil
				}
				return a.at(at, name).merge(part, a.m.metric.Measure == question.Percentile)
			})
		}
		if err != nil {
			return false, err
		}
	}
	return true, rows.Err()
}

// meets reports whether the conditions on names hold.
func (a *asking) meets(name string) bool {
	met, known := a.name[name]
	if !known {
		met = meetsAll(name, a.names)
		a.name[name] = met
	}
	return met
}

// at is what there is of the bucket that a moment lies in and of a name.
func (a *asking) at(t time.Time, name string) *portion {
	var cell declaredCell
	if a.m.calendar != nil {
		cell.bucket = a.m.calendar.Number(t)
	}
	if a.m.by.Column == question.EventName {
		cell.name = name
	}
	p := a.portion[cell]
	if p == nil {
		p = newPortion(a.d.spec.Number)
		a.portion[cell] = p
	}
	return p
}

// readEnds reads the parts of the span that are not of whole hours.
func (a *asking) readEnds(ctx context.Context, tx *sqlx.Tx, d dialect, all *declarations, list []piece) error {
	read := a.readEvents
	if !d.columnar() {
		only, err := all.only(func(of *declaration) bool { return of.ID == a.d.ID })
		if err != nil {
			return err
		}
		read = func(ctx context.Context, tx *sqlx.Tx, d dialect, p piece) error {
			return a.countEvents(ctx, tx, d, only, p)
		}
	}
	for _, p := range list {
		if p.width == 0 {
			if err := read(ctx, tx, d, p); err != nil {
				return err
			}
		}
	}
	return nil
}

// countEvents is readEvents where all of an event's JSON is read for one property of it: to find that
// here takes a fraction of the database's time.
func (a *asking) countEvents(ctx context.Context, tx *sqlx.Tx, d dialect, only *declarations, p piece) error {
	c := newCompiler(d)
	rows, err := tx.QueryContext(ctx, declaredFields+c.from(question.Span{Start: p.from, End: p.to}, c.where(a.names)...), c.args...)
	if err != nil {
		return err
	}
	n := int64(1)
	if p.negative {
		n = -1
	}
	counted := only.counting()
	if err := counted.read(rows, n); err != nil {
		return err
	}
	for at, names := range counted.hours {
		for name, list := range names {
			if list[0] == nil {
				continue
			}
			if err := a.at(at, name).join(list[0]); err != nil {
				return err
			}
		}
	}
	return nil
}

// readEvents reads a part of the span that is not of whole hours. No bucket begins within an hour.
func (a *asking) readEvents(ctx context.Context, tx *sqlx.Tx, d dialect, p piece) error {
	c := newCompiler(d)
	name, value := "''", ""
	if a.named {
		name = "event_name"
	}
	if a.d.spec.Number {
		value = c.number(a.field)
	} else {
		value = c.key(a.field)
	}
	columns := "SELECT date_trunc('hour', ts) AS bucket, " + name + " AS name, " + value +
		" AS value, count(*) AS n, count(*) FILTER (WHERE sample_rate < 1) AS sampled"
	from := c.from(question.Span{Start: p.from, End: p.to}, c.where(a.names)...)
	rows, err := tx.QueryContext(ctx, columns+from+" GROUP BY 1, 2, 3", c.args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	sign := int64(1)
	if p.negative {
		sign = -1
	}
	for rows.Next() {
		var at time.Time
		var name string
		var value any
		var n, sampled int64
		if err := rows.Scan(&at, &name, &value, &n, &sampled); err != nil {
			return err
		}
		if err := a.addEvents(a.at(at, name), value, sign*n, sign*sampled); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (a *asking) addEvents(to *portion, value any, n, sampled int64) error {
	if a.d.spec.Number {
		f, ok := value.(float64)
		if !ok {
			f = math.NaN()
		}
		return to.numbers.Add(f, n)
	}
	v, err := groupValue(a.field, value)
	if err != nil {
		return err
	}
	to.values.Add(declared.Of(v), n)
	to.values.Sampled += sampled
	return nil
}
