package store

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/tidemark-obs/tidemark/internal/question"
)

// rollupFields are what roll-ups know of an event.
var rollupFields = map[question.Column]bool{
	"event_type": true, question.EventName: true, "severity": true, "source": true, "processed": true,
}

// piece is a part of a span: whole buckets of a width, or events where that is zero. A negative one
// takes away what another has too much.
type piece struct {
	width    time.Duration
	from, to time.Time
	negative bool
}

// levels are the widths that can answer a measurement, from the widest; none where it asks for what
// roll-ups do not know.
func (m *measurement) levels() (usable []time.Duration) {
	levels := countLevels
	switch m.metric.Measure {
	case question.Count, question.Weighted:
	case question.Users, question.Sessions:
		if levels = idLevels; !m.onlyNames() {
			return nil
		}
	default:
		return nil
	}
	if !m.by.IsZero() && !rollupFields[m.by.Column] {
		return nil
	}
	for i := range m.where {
		if !rollupFields[m.where[i].Field.Column] {
			return nil
		}
	}
	for _, width := range levels {
		if m.calendar == nil || aligned(m.calendar, width) {
			usable = append(usable, width)
		}
	}
	return usable
}

// columns are those that a measurement divides and selects by.
func (m *measurement) columns() (list []question.Column) {
	if !m.by.IsZero() {
		list = append(list, m.by.Column)
	}
	for i := range m.where {
		if c := m.where[i].Field.Column; !slices.Contains(list, c) {
			list = append(list, c)
		}
	}
	return list
}

// aligned reports whether no bucket of a calendar begins within a bucket of roll-ups.
func aligned(c *question.Calendar, width time.Duration) bool {
	if c.Interval == question.Minute && width > minute || c.Interval == question.Hour && width > hour {
		return false
	}
	for i, o := range c.Offsets {
		if o.Seconds%int64(width/time.Second) != 0 || i > 0 && !o.From.Equal(o.From.Truncate(width)) {
			return false
		}
	}
	return true
}

// pieces put a span together from the widest buckets that lie in it and narrower ones about them.
func pieces(start, end time.Time, levels []time.Duration, floors *floors) []piece {
	if !start.Before(end) {
		return nil
	}
	if len(levels) == 0 {
		return []piece{{from: start, to: end}}
	}
	width := levels[0]
	from, to := up(start, width), end.Truncate(width)
	if floor := up(floors.of(width), width); from.Before(floor) {
		from = floor
	}
	if !from.Before(to) {
		return pieces(start, end, levels[1:], floors)
	}
	left, right := pieces(start, from, levels[1:], floors), pieces(to, end, levels[1:], floors)
	return append(append(left, piece{width: width, from: from, to: to}), right...)
}

// hasBuckets reports whether roll-ups answer for some of a span.
func hasBuckets(list []piece) bool {
	return slices.ContainsFunc(list, func(p piece) bool { return p.width > 0 })
}

// cut reads fewer events at both ends of a span: where less is expected in what does not belong to
// it, that is taken from a whole bucket. Nothing is expected after now.
func cut(list []piece, levels []time.Duration, floors *floors, now time.Time) []piece {
	last := len(list) - 1
	for _, at := range []int{0, last} {
		raw := list[at]
		for i := len(levels) - 1; i >= 0 && raw.width == 0; i-- {
			whole := piece{width: levels[i], from: raw.to.Add(-levels[i]), to: raw.to}
			rest := piece{from: whole.from, to: raw.from, negative: true}
			if at == last {
				whole.from, whole.to = raw.from, raw.from.Add(levels[i])
				rest.from, rest.to = raw.to, whole.to
			}
			if whole.from.Before(floors.of(levels[i])) || !whole.from.Equal(whole.from.Truncate(levels[i])) {
				continue // the next wider one
			}
			if rest.from.Before(rest.to) && !rest.from.Before(floors.Events) && (rest.until(now) < raw.until(now) || raw.from.Before(floors.Events)) {
				list[at] = whole
				list = append(list, rest)
			}
			break
		}
	}
	return list
}

// addingUp cuts pieces of what cannot be taken away, such as sketches: an end of the span is part of
// a whole bucket only where nothing else is in that. Mostly so is the end of a span that ends now,
// behind which there are all events that come in; then the day is one bucket instead of its hours. Of a
// span of many days it finds the wide buckets of a source, too, where there is one.
func (s *Store) addingUp(ctx context.Context, tx *sqlx.Tx, whole []piece, levels []time.Duration, from *floors, of wideSource) (list []piece, wide []wideBucket, err error) {
	list = cut(slices.Clone(whole), levels, from, s.cfg.Now())
	kept, rests := slices.Clone(list[:len(whole)]), list[len(whole):]
	today, behind, ends := lastDay(whole, levels, from, s.cfg.Now())
	if ends {
		rests = append(rests, behind)
	}
	query, args := aroundOf(whole, rests, of)
	if query == "" {
		return kept, nil, nil
	}
	var found []struct {
		untidyBucket
		Holds bool `db:"holds"`
	}
	if err := tx.SelectContext(ctx, &found, query, args...); err != nil {
		return nil, nil, err
	}
	for i := range found {
		f := &found[i]
		if f.Width > 0 {
			wide = append(wide, wideBucket{f.width(), f.Bucket.UTC()})
			continue
		}
		if !f.Holds {
			continue
		}
		p := rests[-f.Width]
		if p == behind {
			ends = false
			continue
		}
		for _, at := range [...]int{0, len(whole) - 1} {
			if kept[at].from.Compare(p.from) <= 0 && kept[at].to.Compare(p.to) >= 0 {
				kept[at] = whole[at]
			}
		}
	}
	if ends {
		kept = endWith(kept, today)
	}
	return kept, wide, nil
}

// lastDay is the day that a span ends in, and what of it lies behind the span; ok is false where that
// is no bucket, begins before the span, or more is expected behind its end than before.
func lastDay(span []piece, levels []time.Duration, from *floors, now time.Time) (today, behind piece, ok bool) {
	end := span[len(span)-1].to
	today = piece{width: day, from: end.Truncate(day), to: end.Truncate(day).Add(day)}
	behind = piece{from: end, to: today.to}
	within := piece{from: today.from, to: end}
	ok = slices.Contains(levels, day) && today.from.Before(end) && !today.from.Before(span[0].from) &&
		!today.from.Before(from.Day) && !end.Before(from.Events) && behind.until(now) < within.until(now)
	return today, behind, ok
}

// endWith puts a bucket in the place of what pieces have from its beginning on.
func endWith(list []piece, last piece) []piece {
	list = slices.DeleteFunc(list, func(p piece) bool { return !p.from.Before(last.from) })
	if n := len(list) - 1; n >= 0 {
		list[n].to = earlier(list[n].to, last.from)
		if list[n].width == last.width {
			list[n].to = last.to
			return list
		}
	}
	return append(list, last)
}

// aroundOf makes the statement that says which of some pieces have events, by their number with a
// minus, and which wide buckets begin in a span, from the widest; empty where there is nothing to ask.
func aroundOf(span, rests []piece, of wideSource) (query string, args arguments) {
	var parts []string
	for i, p := range rests {
		at := args.bind(p.from)
		parts = append(parts, "SELECT "+strconv.Itoa(-i)+" AS width, "+at+"::timestamptz AS bucket, EXISTS (SELECT 1 FROM events WHERE ts >= "+at+
			" AND ts < "+args.bind(p.to)+") AS holds")
	}
	if first, last := span[0].from, span[len(span)-1].to; of != "" && last.Sub(first) >= wideLevels[len(wideLevels)-1] {
		parts = append(parts, "SELECT width, bucket, true AS holds"+of.buckets()+args.bind(first)+" AND bucket < "+args.bind(last))
	}
	if len(parts) == 0 {
		return "", nil
	}
	return strings.Join(parts, " UNION ALL ") + " ORDER BY width DESC, bucket", args
}

// until is how much of a piece has passed.
func (p piece) until(now time.Time) time.Duration {
	return earlier(p.to, now).Sub(earlier(p.from, now))
}

// up is the first moment of a bucket that is not before t.
func up(t time.Time, width time.Duration) time.Time {
	if floor := t.Truncate(width); floor.Before(t) {
		return floor.Add(width)
	}
	return t
}

// source is a table of counts by some columns: of roll-ups, and of events that count for one each.
// Totals answer where they can.
func source(list []piece, columns []question.Column, args *arguments) string {
	if len(columns) > 1 {
		return unionAll(countsOf(list, columns, true, args))
	}
	return unionAll(append(totalsOf(list, columns, args), countsOf(list, columns, false, args)...))
}

func unionAll(parts []string) string { return "(" + strings.Join(parts, " UNION ALL ") + ") AS rolled" }

// countsOf are the parts of a source that are no totals: rows of roll-ups, without those that totals
// have as well or all of them, and events.
func countsOf(list []piece, columns []question.Column, all bool, args *arguments) (parts []string) {
	named := ""
	for _, c := range columns {
		named += ", " + string(c)
	}
	rows := func(condition string) {
		parts = append(parts, "SELECT bucket AS ts"+named+", events AS n, sampled FROM rollups WHERE "+condition)
	}
	for _, p := range list {
		one := "1::bigint"
		if p.negative {
			one = "-1::bigint"
		}
		switch {
		case p.width == 0:
			parts = append(parts, "SELECT ts"+named+", "+one+" AS n, CASE WHEN sample_rate < 1 THEN "+one+
				" ELSE 0 END AS sampled FROM events WHERE ts >= "+args.bind(p.from)+" AND ts < "+args.bind(p.to))
		case all || !hasTotals(p.width):
			rows(p.tidyRows(args))
		}
	}
	if condition := freshRows(list, args); condition != "" {
		rows(condition)
	}
	return parts
}

// rolledRows are conditions on the rows of roll-ups that whole buckets are made of.
func rolledRows(list []piece, args *arguments) (conditions []string) {
	for _, p := range list {
		if p.width > 0 {
			conditions = append(conditions, p.tidyRows(args))
		}
	}
	if condition := freshRows(list, args); condition != "" {
		conditions = append(conditions, condition)
	}
	return conditions
}

// tidyRows is a condition on the rows of a piece's buckets that were put together.
func (p piece) tidyRows(args *arguments) string { return "NOT fresh AND " + p.buckets(args) }

// buckets is a condition on rows that have a width and a bucket.
func (p piece) buckets(args *arguments) string {
	return "width = " + strconv.Itoa(int(p.width/time.Second)) + " AND bucket >= " + args.bind(p.from) + " AND bucket < " + args.bind(p.to)
}

// freshRows is a condition on the fresh rows of all pieces, empty where none is of buckets. A fresh row
// that begins in one of these is no wider. They follow each other without a gap, but for the day that
// hours are kept from: of its beginning events are read.
func freshRows(list []piece, args *arguments) string {
	var times []piece
	for _, p := range list {
		last := len(times) - 1
		switch {
		case p.width == 0:
		case last >= 0 && times[last].to.Equal(p.from):
			times[last].to = p.to
		default:
			times = append(times, p)
		}
	}
	if len(times) == 0 {
		return ""
	}
	conditions := make([]string, len(times))
	for i, p := range times {
		conditions[i] = "bucket >= " + args.bind(p.from) + " AND bucket < " + args.bind(p.to)
	}
	return "fresh AND width IN (60, 3600, 86400) AND (" + strings.Join(conditions, " OR ") + ")"
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// rollupState is what a question must know of roll-ups.
type rollupState struct {
	floors
	Missing bool
}

// selectState asks whether some of a span is not rolled up yet, or of what lies within a day of it.
const selectState = `
SELECT events_from, minute_from, hour_from, day_from, EXISTS (SELECT 1 FROM rollup_missing
    WHERE day > $1::timestamptz - interval '2 days' AND day < $2::timestamptz + interval '1 day') AS missing
FROM rollup_state`

// fromRollups answers a measurement from roll-ups; ok is false where they cannot. It sees one
// moment: what is deleted for its age meanwhile is either all there or known to be gone.
func (s *Store) fromRollups(ctx context.Context, db *sqlx.DB, m *measurement) (rows []cellRow, lack *time.Time, ok bool, err error) {
	levels := m.levels()
	if len(levels) == 0 {
		return nil, nil, false, nil
	}
	var state rollupState
	start, end := micro(m.span.Start), micro(m.span.End)
	tx, done, err := s.snapshot(ctx, db, func(tx *sqlx.Tx) error { return tx.GetContext(ctx, &state, selectState, start, end) })
	if err != nil {
		return nil, nil, false, err
	}
	defer done()
	if state.Missing {
		return nil, nil, false, nil
	}
	list := pieces(start, end, levels, &state.floors)
	if !hasBuckets(list) {
		return nil, nil, false, nil
	}
	if m.distinct() {
		list, wide, err := s.addingUp(ctx, tx, list, levels, &state.floors, wideIDs)
		if err != nil {
			return nil, nil, false, err
		}
		rows, ok, err = s.idsFromRollups(ctx, tx, m, list, wide, &state.floors, !start.Before(state.Events))
		return rows, lacks(list, &state.floors), ok, err
	}
	list = cut(list, levels, &state.floors, s.cfg.Now())
	c := newCompiler(s.d)
	query := m.compileRolled(c, source(list, m.columns(), &c.args))
	if err := tx.SelectContext(ctx, &rows, query, c.args...); err != nil {
		return nil, nil, false, err
	}
	if m.metric.Measure == question.Weighted && slices.ContainsFunc(rows, func(r cellRow) bool { return r.Sampled > 0 }) {
		return nil, nil, false, nil // each sampled event counts for more than one
	}
	return rows, lacks(list, &state.floors), true, nil
}

// compileRolled makes the statement that counts a source, in the form of compile. Rows that cancel
// each other are no group.
func (m *measurement) compileRolled(c *compiler, source string) string {
	// Sums of integers would be numerics here, which take PostgreSQL several times as long.
	const merge, counted = "coalesce(sum(n), 0)", "sum(n::double precision)"
	bucket, number, key := m.grouping(c)
	where := strings.Join(append([]string{"true"}, c.where(m.where)...), " AND ")
	top, ranked, joined := m.ranking(c, merge)
	return "WITH part AS (SELECT " + bucket + " AS b, " + key + " AS k, " + counted + " AS n, sum(sampled::double precision) AS sampled FROM " + source +
		" WHERE " + where + " GROUP BY 1, 2 HAVING " + counted + " <> 0)" + top +
		", cells AS (" + ranked + ", " + merge + " AS value, sum(sampled)::bigint AS sampled FROM part" + joined +
		" GROUP BY 1, 2, 3) SELECT " + number + " AS number, rank, k, value, sampled FROM cells"
}
