package store

import (
	"context"
	"strconv"

	"github.com/jmoiron/sqlx"

	"github.com/tidemark-obs/tidemark/internal/question"
)

// visitor is whose events make a session by their times.
const visitor = "coalesce(user_id, anonymous_id, session_id)"

// visitPart is how many events one part of the visitors may have: their times fit into the memory
// of the embedded database beside what else is under way there.
const visitPart = 2_500_000

// Visits answers how many sessions there were, cut where an actor was silent for longer than a gap.
// The database gathers each actor's times, and this process cuts them as they come by. As for a
// funnel, the actors are divided where these lists could not fit into memory.
func (s *Store) Visits(ctx context.Context, q *question.Visits) (question.VisitsAnswer, error) {
	var answer question.VisitsAnswer
	err := s.ask(ctx, func(ctx context.Context, db *sqlx.DB) error {
		parts, err := s.visitParts(ctx, db, q)
		if err != nil {
			return err
		}
		return s.inParts(parts, func(parts int) error {
			tally := question.NewVisitTally(q)
			for part := range parts {
				if err := s.readVisits(ctx, db, q, tally, parts, part); err != nil {
					return err
				}
			}
			answer = tally.Answer()
			answer.CompleteFrom, err = completeFrom(ctx, db, q.Span.Start)
			return err
		})
	})
	return answer, err
}

// visitParts is into how many parts the visitors are divided at first. PostgreSQL moves lists to the
// disk by itself.
func (s *Store) visitParts(ctx context.Context, db *sqlx.DB, q *question.Visits) (int, error) {
	if !s.d.columnar() {
		return 1, nil
	}
	c := newCompiler(s.d)
	query := "SELECT count(*)" + c.from(q.Span, c.where(q.Where)...)
	var n int64
	err := db.GetContext(ctx, &n, query, c.args...)
	return int(min(1+n/visitPart, maxParts)), err
}

// readVisits adds the times of the visitors in one part.
func (s *Store) readVisits(ctx context.Context, db *sqlx.DB, q *question.Visits, tally *question.VisitTally, parts, part int) error {
	c := newCompiler(s.d)
	query := compileVisits(c, q, parts, part)
	rows, err := db.QueryxContext(ctx, query, c.args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	var times []int64
	for rows.Next() {
		var list any
		if err := rows.Scan(&list); err != nil {
			return err
		}
		times = times[:0]
		if err := s.d.collected(list, func(us int64) { times = append(times, us) }); err != nil {
			return err
		}
		if err := tally.Add(times); err != nil {
			return err
		}
	}
	return rows.Err()
}

func compileVisits(c *compiler, q *question.Visits, parts, part int) string {
	conditions := append(c.where(q.Where), visitor+" IS NOT NULL")
	if parts > 1 {
		conditions = append(conditions, c.d.spread(visitor, parts)+" = "+strconv.Itoa(part))
	}
	return "SELECT " + c.d.collect("us") + " AS times FROM (SELECT " + visitor + " AS actor, " + c.d.microseconds("ts") + " AS us" +
		c.from(q.Span, conditions...) + ") AS moments GROUP BY actor"
}
