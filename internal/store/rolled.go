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

// cover is how a span is put together: from days, hours about them, and events at both ends. Days
// are empty where dayStart is not before dayEnd.
type cover struct {
	start, hourStart, dayStart, dayEnd, hourEnd, end time.Time
}

// cover is how roll-ups can answer, and false where they cannot.
func (m *measurement) cover() (cover, bool) {
	switch m.metric.Measure {
	case question.Count, question.Weighted:
	case question.Users, question.Sessions:
		if !m.onlyNames() {
			return cover{}, false
		}
	default:
		return cover{}, false
	}
	if !m.by.IsZero() && !rollupFields[m.by.Column] {
		return cover{}, false
	}
	for i := range m.where {
		if !rollupFields[m.where[i].Field.Column] {
			return cover{}, false
		}
	}
	if m.calendar != nil && !aligned(m.calendar, hour) {
		return cover{}, false
	}
	c := cover{start: micro(m.span.Start), end: micro(m.span.End)}
	c.hourStart, c.hourEnd = up(c.start, hour), c.end.Truncate(hour)
	c.dayStart, c.dayEnd = up(c.start, day), c.end.Truncate(day)
	if m.calendar != nil && (m.calendar.Interval == question.Hour || !aligned(m.calendar, day)) || !c.dayStart.Before(c.dayEnd) {
		c.dayStart, c.dayEnd = c.hourEnd, c.hourEnd
	}
	return c, c.hourStart.Before(c.hourEnd)
}

// aligned reports whether no bucket of a calendar begins within a bucket of roll-ups.
func aligned(c *question.Calendar, width time.Duration) bool {
	if c.Interval == question.Minute {
		return false
	}
	for i, o := range c.Offsets {
		if o.Seconds%int64(width/time.Second) != 0 || i > 0 && !o.From.Equal(o.From.Truncate(width)) {
			return false
		}
	}
	return true
}

// up is the first moment of a bucket that is not before t.
func up(t time.Time, width time.Duration) time.Time {
	if floor := t.Truncate(width); floor.Before(t) {
		return floor.Add(width)
	}
	return t
}

// source is a table of counts: roll-ups and, beyond them, events that count for one each. At the
// ends either what belongs to the span is added, or what does not is taken from a whole hour,
// whichever is expected to be less; nothing is expected after now.
func (c cover) source(args *arguments, now time.Time) string {
	const columns = ", event_type, event_name, severity, source, processed, "
	rolled := func(width time.Duration, from, to time.Time) string {
		if !from.Before(to) {
			return ""
		}
		return " UNION ALL SELECT bucket AS ts" + columns + "events AS n, sampled FROM rollups WHERE width = " +
			strconv.Itoa(int(width/time.Second)) + " AND bucket >= " + args.bind(from) + " AND bucket < " + args.bind(to)
	}
	raw := func(sign string, from, to time.Time) string {
		if !from.Before(to) {
			return ""
		}
		return " UNION ALL SELECT ts" + columns + sign + "1::bigint AS n, CASE WHEN sample_rate < 1 THEN " + sign +
			"1::bigint ELSE 0 END AS sampled FROM events WHERE ts >= " + args.bind(from) + " AND ts < " + args.bind(to)
	}
	past := func(from, to time.Time) time.Duration { return earlier(to, now).Sub(earlier(from, now)) }
	edges := ""
	if whole := c.hourStart.Add(-hour); c.start.Before(c.hourStart) && past(whole, c.start) < past(c.start, c.hourStart) {
		edges += raw("-", whole, c.start)
		c.hourStart = whole
	} else {
		edges += raw("", c.start, c.hourStart)
	}
	if whole := c.hourEnd.Add(hour); c.hourEnd.Before(c.end) && past(c.end, whole) < past(c.hourEnd, c.end) {
		edges += raw("-", c.end, whole)
		c.hourEnd = whole
	} else {
		edges += raw("", c.hourEnd, c.end)
	}
	parts := rolled(day, c.dayStart, c.dayEnd)
	if parts == "" {
		parts = rolled(hour, c.hourStart, c.hourEnd)
	} else {
		parts += rolled(hour, c.hourStart, c.dayStart) + rolled(hour, c.dayEnd, c.hourEnd)
	}
	return "(" + (parts + edges)[len(" UNION ALL "):] + ") AS rolled"
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// fromRollups answers a measurement from roll-ups; ok is false where they cannot.
func (s *Store) fromRollups(ctx context.Context, db *sqlx.DB, m *measurement) (rows []cellRow, ok bool, err error) {
	cover, ok := m.cover()
	if !ok {
		return nil, false, nil
	}
	if ok, err := s.d.rolledUp(ctx, db, cover.hourStart.Add(-hour), cover.hourEnd.Add(hour)); err != nil || !ok {
		return nil, false, err
	}
	if m.distinct() {
		return s.idsFromRollups(ctx, db, m, cover)
	}
	c := newCompiler(s.d)
	query := m.compileRolled(c, cover.source(&c.args, s.cfg.Now()))
	if err := db.SelectContext(ctx, &rows, query, c.args...); err != nil {
		return nil, false, err
	}
	if m.metric.Measure == question.Weighted && slices.ContainsFunc(rows, func(r cellRow) bool { return r.Sampled > 0 }) {
		return nil, false, nil // each sampled event counts for more than one
	}
	return rows, true, nil
}

// compileRolled makes the statement that counts a source, in the form of compile. Rows that cancel
// each other are no group.
func (m *measurement) compileRolled(c *compiler, source string) string {
	const merge = "coalesce(sum(n), 0)"
	bucket, number, key := m.grouping(c)
	where := strings.Join(append([]string{"true"}, c.where(m.where)...), " AND ")
	top, ranked, joined := m.ranking(c, merge)
	return "WITH part AS (SELECT " + bucket + " AS b, " + key + " AS k, sum(n) AS n, sum(sampled) AS sampled FROM " + source +
		" WHERE " + where + " GROUP BY 1, 2 HAVING sum(n) <> 0)" + top +
		", cells AS (" + ranked + ", (" + merge + ")::double precision AS value, sum(sampled)::bigint AS sampled FROM part" + joined +
		" GROUP BY 1, 2, 3) SELECT " + number + " AS number, rank, k, value, sampled FROM cells"
}
