package store

import (
	"context"
	"database/sql"
	"time"

	"github.com/lib/pq"
)

const (
	// marksTogether are the sets of a size that are put together, marksAtOnce how many marks about.
	marksTogether = 4
	marksAtOnce   = 1 << 20

	// untidyMarks hides the limit from the planner: for the order it would read all rows of marks, by
	// another index than the small one of sets.
	untidyMarks = `
SELECT day, node, sets FROM (
    SELECT day, node, array_agg(set_id) AS sets FROM user_marks WHERE node & (node - 1) = 0 AND node < $1
    GROUP BY day, node HAVING count(*) >= $2 OFFSET 0) AS untidy
ORDER BY node, day LIMIT 1`
	// outlivedMarks are those before every event.
	outlivedMarks = `
DELETE FROM user_marks WHERE day < (SELECT coalesce(date_trunc('day', min(ts)), 'infinity') FROM events)`
)

// tidyMarks puts sets of marks together until few of each size are left of a day.
func (s *Store) tidyMarks(ctx context.Context, ses session, _ *floors, least int) (more bool, err error) {
	if s.d.columnar() {
		return false, nil
	}
	if least == 1 {
		if _, err := ses.ExecContext(ctx, outlivedMarks); err != nil {
			return false, err
		}
	}
	var found []struct {
		Day  time.Time
		Node int
		Sets pq.Int64Array
	}
	if err := ses.SelectContext(ctx, &found, untidyMarks, 1<<markDepth, marksTogether); err != nil || len(found) == 0 {
		return false, err
	}
	of, sets := found[0].Day.UTC(), found[0].Sets
	sets = sets[:min(len(sets), max(marksTogether, marksAtOnce/(2*markRow*found[0].Node)))]
	m := dayMarks{}
	condition := func(args *arguments) string {
		return "day = " + args.bind(of) + " AND set_id = ANY(" + args.bind(sets) + ")"
	}
	err = s.taking(ctx, ses, "user_marks", "marks", condition, func(rows *sql.Rows) error {
		var row sql.RawBytes
		if err := rows.Scan(&row); err != nil {
			return err
		}
		eachMark(row, func(one mark) { m[of] = append(m[of], one) })
		return nil
	})
	if err != nil {
		return false, err
	}
	return true, s.d.load(ctx, ses, "user_marks", markColumns, m.rows(sets[0]))
}

const (
	nextUnmarked = `SELECT max(day) FROM user_marks_missing`
	fillUnmarked = `DELETE FROM user_marks_missing WHERE day = $1`
	usersOfHours = `SELECT user_id, ts FROM events WHERE ts >= $1 AND ts < $2 AND user_id IS NOT NULL`
)

// fillMarks adds the marks of a day whose events were stored before there were any, the newest first.
// Some of the day's may have one already, from then on; that makes no difference.
func (s *Store) fillMarks(ctx context.Context, ses session, _ *floors, _ int) (more bool, err error) {
	if s.d.columnar() {
		return false, nil
	}
	var missing sql.NullTime
	if err := ses.GetContext(ctx, &missing, nextUnmarked); err != nil || !missing.Valid {
		return false, err
	}
	of, m := missing.Time.UTC(), dayMarks{}
	keep := func() error {
		err := s.d.load(ctx, ses, "user_marks", markColumns, m.rows(of.UnixMicro()))
		clear(m)
		return err
	}
	for at := of; at.Before(of.Add(day)); at = at.Add(hour) {
		var events []struct {
			User string    `db:"user_id"`
			At   time.Time `db:"ts"`
		}
		if err := ses.SelectContext(ctx, &events, usersOfHours, at, at.Add(hour)); err != nil {
			return false, err
		}
		for _, e := range events {
			m.add(e.User, e.At.UTC())
		}
		if len(m[of]) < markSet {
			continue
		}
		if err := keep(); err != nil {
			return false, err
		}
	}
	if err := keep(); err != nil {
		return false, err
	}
	_, err = ses.ExecContext(ctx, fillUnmarked, of)
	return true, err
}

const usersAt = `SELECT user_id, ts FROM events WHERE ts = ANY($1::timestamptz[]) AND user_id IS NOT NULL`

// eraseMarks takes the marks of a person away whose events are deleted. Those of others with the same
// hash stay. Nobody tidies meanwhile.
func (s *Store) eraseMarks(ctx context.Context, ses session, userID string) error {
	if s.d.columnar() {
		return nil
	}
	user := userHash(userID)
	type stored struct {
		day   time.Time
		set   int64
		node  int32
		marks []byte
	}
	var list []stored
	var times []time.Time
	condition := func(args *arguments) string { return "node = ANY(" + args.bind(pq.Array(markNodes(user))) + ")" }
	err := s.taking(ctx, ses, "user_marks", "day, set_id, node, marks", condition, func(rows *sql.Rows) error {
		var r stored
		if err := rows.Scan(&r.day, &r.set, &r.node, &r.marks); err != nil {
			return err
		}
		r.day = r.day.UTC()
		eachMark(r.marks, func(m mark) {
			if m.user == user {
				times = append(times, markTime(r.day, m))
			}
		})
		list = append(list, r)
		return nil
	})
	if err != nil {
		return err
	}
	others, err := s.others(ctx, ses, user, times)
	if err != nil {
		return err
	}
	rows := make([][]any, len(list))
	for i, r := range list {
		kept := make([]byte, 0, len(r.marks))
		eachMark(r.marks, func(m mark) {
			if m.user != user || others[markTime(r.day, m)] {
				kept = appendMark(kept, m)
			}
		})
		rows[i] = []any{r.day, r.set, r.node, kept}
	}
	return s.d.load(ctx, ses, "user_marks", markColumns, rows)
}

// others are the times, of some, at which there is an event of a user with the hash.
func (s *Store) others(ctx context.Context, ses session, user uint32, times []time.Time) (map[time.Time]bool, error) {
	var events []struct {
		User string    `db:"user_id"`
		At   time.Time `db:"ts"`
	}
	if err := ses.SelectContext(ctx, &events, usersAt, s.d.texts(stamps(times))); err != nil {
		return nil, err
	}
	found := map[time.Time]bool{}
	for _, e := range events {
		if userHash(e.User) == user {
			found[e.At.UTC()] = true
		}
	}
	return found, nil
}
