package store

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/tidemark-obs/tidemark/internal/question"
)

// Paths answers which events follow an event, or lead up to it, most often.
func (s *Store) Paths(ctx context.Context, q *question.Paths) (question.PathsAnswer, error) {
	c := newCompiler(s.d)
	query := compilePaths(c, q)
	var top []question.Steps
	total := int64(0)
	var lack *time.Time
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
		if err := rows.Err(); err != nil {
			return err
		}
		lack, err = completeFrom(ctx, db, q.Span.Start)
		return err
	})
	if err != nil {
		return question.PathsAnswer{}, err
	}
	a := q.Answer(top, total)
	a.CompleteFrom = lack
	return a, nil
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
