package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/question"
	"github.com/tidemark-obs/tidemark/internal/rollup"
)

// Series answers how a metric went over time.
func (s *Store) Series(ctx context.Context, q *question.Series) (question.SeriesAnswer, error) {
	m := measurement{
		span: q.Span, where: q.Where, metric: q.Metric, by: q.GroupBy, groups: q.Groups,
		calendar: question.NewCalendar(q.Span, q.Interval),
	}
	cells, lack, err := s.measure(ctx, &m)
	if err != nil {
		return question.SeriesAnswer{}, err
	}
	a := q.Answer(cells)
	a.Lacks(lack)
	return a, nil
}

// Breakdown answers how a metric divides among the values of a field.
func (s *Store) Breakdown(ctx context.Context, q *question.Breakdown) (question.BreakdownAnswer, error) {
	m := measurement{span: q.Span, where: q.Where, metric: q.Metric, by: q.By, groups: q.Groups}
	cells, lack, err := s.measure(ctx, &m)
	if err != nil {
		return question.BreakdownAnswer{}, err
	}
	a := q.Answer(cells)
	a.CompleteFrom = lack
	return a, nil
}

// measurement is what a series and a breakdown have in common: a metric by bucket and group.
type measurement struct {
	span     question.Span
	where    []question.Condition
	metric   question.Metric
	calendar *question.Calendar // nil = one bucket
	by       question.Field     // zero = one group
	groups   int
}

// distinct reports whether the metric counts different ids.
func (m *measurement) distinct() bool {
	return m.metric.Measure == question.Users || m.metric.Measure == question.Sessions
}

// cellRow is one question.Cell as a query returns it.
type cellRow struct {
	Number   int64           `db:"number"`
	Rank     int             `db:"rank"`
	K        any             `db:"k"`
	Value    sql.NullFloat64 `db:"value"`
	Variance sql.NullFloat64 `db:"variance"`
	Drawn    sql.NullFloat64 `db:"drawn"`   // the part of the value that the variance is about
	Sampled  int64           `db:"sampled"` // events, where roll-ups answered
	Lost     int64           `db:"lost"`    // ids that a sketch may count too much
}

// measure computes a measurement from roll-ups where they can answer it, else from the events; events
// before lack may be missing.
func (s *Store) measure(ctx context.Context, m *measurement) (cells []question.Cell, lack *time.Time, err error) {
	var rows []cellRow
	var rolled, fromDeclared bool
	err = s.ask(ctx, func(ctx context.Context, db *sqlx.DB) error {
		var err error
		if rows, lack, rolled, err = s.fromRollups(ctx, db, m); err != nil {
			return err
		}
		if !rolled {
			if cells, lack, fromDeclared, err = s.fromDeclared(ctx, db, m); err != nil {
				return err
			}
		}
		s.measured.count(rolled || fromDeclared)
		if rolled || fromDeclared {
			return nil
		}
		if rows, err = s.fromEvents(ctx, db, m); err != nil {
			return err
		}
		lack, err = completeFrom(ctx, db, m.span.Start)
		return err
	})
	if err != nil || fromDeclared {
		return cells, lack, err
	}
	cells = make([]question.Cell, len(rows))
	for i := range rows {
		r := &rows[i]
		group, err := groupValue(m.by, r.K)
		if err != nil {
			return nil, nil, err
		}
		cell := question.Cell{Bucket: r.Number, Rank: r.Rank, Group: group}
		if r.Value.Valid {
			cell.Value = &r.Value.Float64
			cell.Bound = question.SampledBound(r.Value.Float64, r.Drawn.Float64, r.Variance.Float64)
			if rolled && m.distinct() && r.Value.Float64 > 0 {
				cell.Bound = rollup.IDsBound + float64(r.Lost)/r.Value.Float64
			}
		}
		cells[i] = cell
	}
	return cells, lack, nil
}

// fromEvents computes a measurement from the events. What an exact percentile holds the embedded database
// does not count.
func (s *Store) fromEvents(ctx context.Context, db *sqlx.DB, m *measurement) (rows []cellRow, err error) {
	stop := func() {}
	if m.metric.Measure == question.Percentile && s.d.columnar() {
		ctx, stop = s.bounded(ctx)
	}
	defer stop()
	c := newCompiler(s.d)
	query := m.compile(c)
	err = db.SelectContext(ctx, &rows, query, c.args...)
	if err != nil && errors.Is(context.Cause(ctx), errGrown) {
		err = needsMemory(err)
	}
	return rows, err
}

// groupValue reads a group's key as compiler.key wrote it.
func groupValue(by question.Field, key any) (any, error) {
	if b, ok := key.([]byte); ok {
		key = string(b)
	}
	text, ok := key.(string)
	switch {
	case !ok:
		return key, nil
	case text == "":
		return nil, nil
	case by.Kind() == question.Text:
		return text, nil
	}
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		return nil, errs.Wrap(errs.Internal, "a group's key cannot be read", err)
	}
	return v, nil
}

// parts say how a metric comes from smaller sets of events: what is kept of each bucket and group
// (Partial), what makes them smaller still (Distinct), and how several are put together (Merge).
type parts struct {
	partial  []string
	distinct string
	merge    string
}

// parts of a percentile are the values themselves; of users and sessions, the ids.
func (m *measurement) parts(c *compiler) parts {
	switch m.metric.Measure {
	case question.Weighted:
		return parts{partial: []string{"sum(1 / sample_rate) AS n"}, merge: "coalesce(sum(n), 0)"}
	case question.Users:
		return parts{distinct: "user_id", merge: "count(DISTINCT n)"}
	case question.Sessions:
		return parts{distinct: "session_id", merge: "count(DISTINCT n)"}
	case question.Sum:
		return parts{partial: []string{"sum(" + c.number(m.metric.Field) + ") AS n"}, merge: "coalesce(sum(n), 0)"}
	case question.Avg:
		v := c.number(m.metric.Field)
		return parts{partial: []string{"sum(" + v + ") AS n", "count(" + v + ") AS d"}, merge: "sum(n) / nullif(sum(d), 0)"}
	case question.Min:
		return parts{partial: []string{"min(" + c.number(m.metric.Field) + ") AS n"}, merge: "min(n)"}
	case question.Max:
		return parts{partial: []string{"max(" + c.number(m.metric.Field) + ") AS n"}, merge: "max(n)"}
	case question.Percentile:
		return parts{merge: c.d.quantile(m.metric.Percent, "n")}
	default:
		return parts{partial: []string{"count(*) AS n"}, merge: "coalesce(sum(n), 0)"}
	}
}

// compile makes the statement. It reads the events once, into one row for each bucket and group
// (part), finds the groups with the highest metric (top), and merges the others into one:
//
//	part ─▶ top ─▶ cells
//
// Percentiles keep each value and distinct counts each id, so that the rest is computed over its
// own events and not from the metrics of its groups.
func (m *measurement) compile(c *compiler) string {
	group, number, key := m.grouping(c)
	p := m.parts(c)
	kept, grouping := p.partial, " GROUP BY 1, 2"
	switch {
	case p.distinct != "" && m.by.IsZero(): // each id is looked at once anyway
		kept, grouping = []string{p.distinct + " AS n"}, ""
	case p.distinct != "":
		kept, grouping = []string{p.distinct + " AS n"}, " GROUP BY 1, 2, 3"
	case m.metric.Measure == question.Percentile:
		kept, grouping = []string{c.number(m.metric.Field) + " AS n"}, ""
	}
	conditions := c.where(m.where)
	columns := group + " AS b, " + key + " AS k"
	from := c.from(m.span, conditions...)
	part := "SELECT " + columns + ", " + strings.Join(kept, ", ") + from + grouping
	if len(p.partial) > 0 && c.d.groupsJSON() && len(m.by.Path) > 0 {
		// Values as they were sent are grouped first: to bring each into its one form costs more than the rest.
		part = "SELECT sent.*, " + key + " AS k FROM (SELECT " + group + " AS b, " + c.column(m.by) + ", " +
			strings.Join(kept, ", ") + from + grouping + ") AS sent"
	}
	with := "WITH part AS (" + part + ")"
	top, ranked, joined := m.ranking(c, p.merge)
	with += top
	with += ", cells AS (" + ranked + ", (" + p.merge + ")::double precision AS value FROM part" + joined + " GROUP BY 1, 2, 3)"
	if m.metric.Measure != question.Weighted {
		return with + " SELECT " + number + " AS number, rank, k, value FROM cells"
	}
	return with + variance(columns, from, ranked, joined) +
		" SELECT " + number + " AS number, rank, k, value, variance, drawn FROM cells LEFT JOIN spread USING (b, rank)"
}

// grouping is what the events are grouped by, and the number of a bucket.
func (m *measurement) grouping(c *compiler) (bucket, number, key string) {
	bucket, number, key = "0", "0", "''"
	if m.calendar != nil {
		bucket, number = c.bucket(m.calendar)
	}
	if !m.by.IsZero() {
		key = c.key(m.by)
	}
	return bucket, number, key
}

// ranking finds the top groups and gives each part its rank.
func (m *measurement) ranking(c *compiler, merge string) (top, ranked, joined string) {
	if m.by.IsZero() {
		return "", "SELECT b, 0 AS rank, '' AS k", ""
	}
	return ", top AS (" + m.top(c, merge) + ")", "SELECT b, coalesce(top.rank, 0) AS rank, top.k AS k", " LEFT JOIN top USING (k)"
}

// top are the keys of the groups with the highest metric, in a stable order.
func (m *measurement) top(c *compiler, merge string) string {
	return "SELECT k, row_number() OVER (ORDER BY m DESC NULLS LAST, " + c.order(m.by, "k") + ") AS rank FROM (SELECT k, " +
		merge + " AS m FROM part GROUP BY k) AS metrics ORDER BY rank LIMIT " + c.args.bind(m.groups)
}

// variance is that of a weighted count. Sampling decides by person, wholly in or out, so what a
// person's events add is one draw: kept with probability p they count for 1/p each, and the
// variance of the sum is estimated by the sum over persons of (the sum over their events of
// sqrt(1-p)/p) squared. Where a person's events were sampled at different rates this errs on the
// safe side. Beside it is what all these events count for.
func variance(columns, from, ranked, joined string) string {
	return ", sampled AS (SELECT " + columns + ", coalesce(user_id, anonymous_id, session_id, event_id) AS who, " +
		"sum(sqrt(1 - sample_rate) / sample_rate) AS s, sum(1 / sample_rate) AS n" + from + " AND sample_rate < 1 GROUP BY 1, 2, 3)" +
		", persons AS (" + ranked + ", who, sum(s) AS s, sum(n) AS n FROM sampled" + joined + " GROUP BY 1, 2, 3, 4)" +
		", spread AS (SELECT b, rank, sum(s * s) AS variance, sum(n) AS drawn FROM persons GROUP BY b, rank)"
}
