package store

import (
	"context"
	"strconv"
	"strings"

	"github.com/jmoiron/sqlx"

	"github.com/tidemark-obs/tidemark/internal/question"
)

// Funnel answers how many actors took a series of steps. The database gathers the events that
// match a step, one list of numbers for each actor, and this process finds the chains in them as
// they come by: one pass over the events, whatever the number of steps.
//
// The embedded database cannot move such lists to the disk. Where they do not fit into its memory,
// the actors are divided, and each part costs a pass of its own.
func (s *Store) Funnel(ctx context.Context, q *question.Funnel) (question.FunnelAnswer, error) {
	var answer question.FunnelAnswer
	err := s.ask(ctx, func(ctx context.Context, db *sqlx.DB) error {
		return s.inParts(1, func(parts int) error {
			f := funnelReader{d: s.d, q: q, tally: question.NewTally(q)}
			err := f.read(ctx, db, parts)
			if err != nil {
				return err
			}
			answer = f.tally.Answer()
			answer.CompleteFrom, err = completeFrom(ctx, db, q.Span.Start)
			return err
		})
	})
	return answer, err
}

// maxParts is into how many parts the actors of a question are divided at most.
const maxParts = 64

// inParts has a question read with its actors divided into so many parts, and into more where one
// does not fit into memory.
func (s *Store) inParts(parts int, read func(parts int) error) error {
	for ; ; parts = min(parts*8, maxParts) {
		if err := read(parts); err == nil || parts == maxParts || !s.d.tooLarge(err) {
			return err
		}
	}
}

// compileFunnel selects each actor's hits. With a breakdown there is a row for each value that the
// actor's first steps have, and one for all its other hits; an actor's rows follow each other.
func compileFunnel(c *compiler, q *question.Funnel, parts, part int) string {
	mask, any := "0", make([]string, len(q.Steps))
	value := ""
	for i := range q.Steps {
		any[i] = "(" + strings.Join(c.where(q.Steps[i].Conditions()), " AND ") + ")"
		mask += " + CASE WHEN " + any[i] + " THEN " + strconv.FormatInt(question.Bit(i), 10) + " ELSE 0 END"
	}
	if !q.Breakdown.IsZero() {
		value = ", CASE WHEN " + any[0] + " THEN " + c.key(q.Breakdown) + " END AS k"
	}
	actor := c.column(question.Field{Column: q.By.Column()})
	hit := "(" + c.d.microseconds("ts") + " - " + c.args.bind(micro(q.Span.Start).UnixMicro()) + "::bigint) * " +
		strconv.Itoa(question.Shift) + " + " + strconv.Itoa(question.Low) + " - (" + mask + ")"
	conditions := []string{actor + " IS NOT NULL", "(" + strings.Join(any, " OR ") + ")"}
	if parts > 1 {
		conditions = append(conditions, c.d.spread(actor, parts)+" = "+strconv.Itoa(part))
	}
	hits := "SELECT " + actor + " AS actor, " + hit + " AS hit" + value + c.from(q.Span, conditions...)
	if value == "" {
		return "SELECT " + c.d.collect("hit") + " AS hits FROM (" + hits + ") AS matched GROUP BY actor"
	}
	return "SELECT " + c.d.collect("hit") + " AS hits, actor, k FROM (" + hits + ") AS matched GROUP BY actor, k ORDER BY actor"
}

// funnelReader puts an actor's rows together.
type funnelReader struct {
	d      dialect
	q      *question.Funnel
	tally  *question.Tally
	actor  string
	hits   []question.Hit
	begins []question.Begin
}

// read counts all actors, part by part.
func (f *funnelReader) read(ctx context.Context, db *sqlx.DB, parts int) error {
	for part := range parts {
		c := newCompiler(f.d)
		query := compileFunnel(c, f.q, parts, part)
		if err := f.rows(ctx, db, query, c.args); err != nil {
			return err
		}
	}
	return nil
}

func (f *funnelReader) rows(ctx context.Context, db *sqlx.DB, query string, args []any) error {
	rows, err := db.QueryxContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := f.row(rows); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	return f.flush()
}

func (f *funnelReader) row(rows *sqlx.Rows) error {
	var list, key any
	var actor string
	if f.q.Breakdown.IsZero() {
		if err := rows.Scan(&list); err != nil {
			return err
		}
		if err := f.flush(); err != nil {
			return err
		}
	} else {
		if err := rows.Scan(&list, &actor, &key); err != nil {
			return err
		}
		if actor != f.actor {
			if err := f.flush(); err != nil {
				return err
			}
		}
	}
	f.actor = actor
	first := len(f.hits)
	if err := f.d.collected(list, func(n int64) { f.hits = append(f.hits, question.Hit(n)) }); err != nil {
		return err
	}
	if key == nil {
		return nil
	}
	value, err := groupValue(f.q.Breakdown, key)
	for _, h := range f.hits[first:] {
		f.begins = append(f.begins, question.Begin{Hit: h, Value: value})
	}
	return err
}

// flush counts the actor whose rows are complete.
func (f *funnelReader) flush() error {
	if len(f.hits) == 0 {
		return nil
	}
	err := f.tally.Add(f.hits, f.begins)
	f.hits, f.begins = f.hits[:0], f.begins[:0]
	return err
}
