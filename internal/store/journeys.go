package store

import (
	"context"
	"database/sql"
	"strconv"
	"strings"

	"github.com/jmoiron/sqlx"

	"github.com/tidemark-obs/tidemark/internal/question"
)

// visitor is whose events make a session by their times.
const visitor = "coalesce(user_id, anonymous_id, session_id)"

// Visits answers how many sessions there were, cut where an actor was silent for longer than a gap.
func (s *Store) Visits(ctx context.Context, q *question.Visits) (question.VisitsAnswer, error) {
	c := newCompiler(s.d)
	query := compileVisits(c, q)
	var row struct {
		Sessions int64           `db:"sessions"`
		Median   sql.NullFloat64 `db:"median"`
		Events   sql.NullFloat64 `db:"events"`
		Bounced  sql.NullFloat64 `db:"bounced"`
	}
	err := s.ask(ctx, func(ctx context.Context, db *sqlx.DB) error {
		return db.GetContext(ctx, &row, query, c.args...)
	})
	if err != nil {
		return question.VisitsAnswer{}, err
	}
	return q.Answer(question.VisitsAnswer{
		Sessions: row.Sessions, MedianSeconds: number(row.Median), EventsPerSession: number(row.Events), BounceRate: number(row.Bounced),
	}), nil
}

func number(n sql.NullFloat64) *float64 {
	if !n.Valid {
		return nil
	}
	return &n.Float64
}

// compileVisits marks the events that begin a session, numbers each actor's sessions by counting
// the marks, and measures the sessions.
func compileVisits(c *compiler, q *question.Visits) string {
	conditions := append(c.where(q.Where), visitor+" IS NOT NULL")
	return "WITH moments AS (SELECT " + visitor + " AS actor, " + c.d.microseconds("ts") + " AS us" + c.from(q.Span, conditions...) + ")" +
		", marked AS (SELECT actor, us, CASE WHEN us - lag(us) OVER (PARTITION BY actor ORDER BY us) <= " +
		c.args.bind(q.Gap.Microseconds()) + "::bigint THEN 0 ELSE 1 END AS begins FROM moments)" +
		", numbered AS (SELECT actor, us, sum(begins) OVER (PARTITION BY actor ORDER BY us ROWS UNBOUNDED PRECEDING) AS n FROM marked)" +
		", visits AS (SELECT count(*) AS events, max(us) - min(us) AS length FROM numbered GROUP BY actor, n)" +
		" SELECT count(*) AS sessions, (" + c.d.quantile(50, "length::double precision") + ") / 1000000 AS median," +
		" avg(events)::double precision AS events, avg(CASE WHEN events = 1 THEN 1 ELSE 0 END)::double precision AS bounced FROM visits"
}

// Paths answers which events follow an event, or lead up to it, most often.
func (s *Store) Paths(ctx context.Context, q *question.Paths) (question.PathsAnswer, error) {
	c := newCompiler(s.d)
	query := compilePaths(c, q)
	var top []question.Steps
	total := int64(0)
	err := s.ask(ctx, func(ctx context.Context, db *sqlx.DB) error {
		rows, err := db.QueryxContext(ctx, query, c.args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			names := make([]string, q.Depth)
			into := make([]any, 0, q.Depth+2)
			for i := range names {
				into = append(into, &names[i])
			}
			var count int64
			if err := rows.Scan(append(into, &count, &total)...); err != nil {
				return err
			}
			for len(names) > 0 && names[len(names)-1] == "" { // the actor's events ended
				names = names[:len(names)-1]
			}
			top = append(top, question.Steps{Names: names, Count: count})
		}
		return rows.Err()
	})
	if err != nil {
		return question.PathsAnswer{}, err
	}
	return q.Answer(top, total), nil
}

// compilePaths looks from every anchor at the next events of its actor. Actors without an anchor
// are left out first: ordering events is the work.
func compilePaths(c *compiler, q *question.Paths) string {
	actor := c.column(question.Field{Column: q.By.Column()})
	conditions := append(c.where(q.Where), actor+" IS NOT NULL")
	from := c.from(q.Span, conditions...)
	anchor := "event_name = " + c.args.bind(q.Anchor)
	order := "ts, event_name" + byBytes
	if q.Before {
		order = "ts DESC, event_name" + byBytes + " DESC"
	}
	var steps, names, sort []string
	for i := 1; i <= q.Depth; i++ {
		n := strconv.Itoa(i)
		steps = append(steps, "coalesce(lead(event_name, "+n+") OVER w, '') AS p"+n)
		names = append(names, "p"+n)
		sort = append(sort, "p"+n+byBytes)
	}
	list := strings.Join(names, ", ")
	return "WITH anchored AS (SELECT DISTINCT " + actor + " AS actor" + from + " AND " + anchor + ")" +
		", own AS (SELECT " + actor + " AS actor, ts, event_name" + from + " AND " + actor + " IN (SELECT actor FROM anchored))" +
		", steps AS (SELECT event_name, " + strings.Join(steps, ", ") + " FROM own WINDOW w AS (PARTITION BY actor ORDER BY " + order + "))" +
		" SELECT " + list + ", count(*) AS n, (sum(count(*)) OVER ())::bigint AS total FROM steps WHERE " + anchor +
		" GROUP BY " + list + " ORDER BY n DESC, " + strings.Join(sort, ", ") + " LIMIT " + c.args.bind(q.Groups)
}
