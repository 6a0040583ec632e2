package store

import (
	"context"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/tidemark-obs/tidemark/internal/question"
)

// Retention answers how many users came back, by when they came first.
func (s *Store) Retention(ctx context.Context, q *question.Retention) (question.RetentionAnswer, error) {
	c := newCompiler(s.d)
	query := compileRetention(c, q)
	var rows []struct {
		Cohort int64 `db:"cohort"`
		After  int64 `db:"after"`
		Users  int64 `db:"users"`
	}
	var lack *time.Time
	err := s.ask(ctx, func(ctx context.Context, db *sqlx.DB) (err error) {
		if err = db.SelectContext(ctx, &rows, query, c.args...); err == nil {
			lack, err = completeFrom(ctx, db, q.Span.Start)
		}
		return err
	})
	if err != nil {
		return question.RetentionAnswer{}, err
	}
	came := make([]question.Came, len(rows))
	for i, r := range rows {
		came[i] = question.Came{Cohort: r.Cohort, After: r.After, Users: r.Users}
	}
	a := q.Answer(came)
	a.CompleteFrom = lack
	return a, nil
}

// compileRetention finds each user's first event (firsts), and of each period the user's last
// event (periods): one that is later than the first is a return.
func compileRetention(c *compiler, q *question.Retention) string {
	const user = "user_id IS NOT NULL"
	group, number := c.bucket(question.NewCalendar(q.Span, q.Period))
	first := c.where(q.First.Conditions())
	returning := c.where(q.Returning.Conditions())
	// The first event's time is called ts, for the bucket's expression.
	return "WITH firsts AS (SELECT user_id, min(ts) AS ts" + c.from(q.Span, append(first, user)...) + " GROUP BY user_id)" +
		", cohorts AS (SELECT user_id, ts, " + number + " AS cohort FROM (SELECT user_id, ts, " + group + " AS b FROM firsts) AS f)" +
		", periods AS (SELECT user_id, " + group + " AS b, max(ts) AS last" + c.from(q.Span, append(returning, user)...) + " GROUP BY 1, 2)" +
		" SELECT cohort, -1 AS after, count(*) AS users FROM cohorts GROUP BY cohort" +
		" UNION ALL SELECT cohort, " + number + " - cohort, count(*) FROM cohorts JOIN periods USING (user_id)" +
		// Where clocks were set back over midnight a later moment may lie in the day before.
		" WHERE last > ts AND " + number + " >= cohort GROUP BY 1, 2"
}
