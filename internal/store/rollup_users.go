package store

import (
	"cmp"
	"context"
	"database/sql"
	"maps"
	"slices"
	"time"
)

// How many users of a bucket are kept: of one that is over, of a batch in it, and of one that is
// still being written to, which is folded when it is over.
const (
	usersOfHour  = 100
	usersOfDay   = 200
	usersOfBatch = 200
	usersOfOpen  = 1_000
	// examplesOfFolded is how many stay when more have equally many.
	examplesOfFolded = 20
)

// userBucket is a bucket whose users are counted.
type userBucket struct {
	at    time.Time
	width time.Duration
}

// open reports whether events are expected yet.
func (b userBucket) open(now time.Time) bool { return now.Before(b.at.Add(b.width + hour)) }

// keeps is how many users the bucket has in the end.
func (b userBucket) keeps() int {
	if b.width == day {
		return usersOfDay
	}
	return usersOfHour
}

// topUsers are the events of some users of a bucket. Each user may have up to folded more, also one
// that is not there.
type topUsers struct {
	events map[string]int64
	folded int64
}

// fold keeps the users with the most events. What one that goes had at most, all may have more. So
// of those with as many as that nobody needs to stay, but a few do, as examples.
func (t *topUsers) fold(keep int) {
	if len(t.events) <= keep {
		return
	}
	most := make([]int64, 0, len(t.events))
	for _, n := range t.events {
		most = append(most, n)
	}
	slices.SortFunc(most, func(a, b int64) int { return cmp.Compare(b, a) })
	least := most[keep]
	above, _ := slices.BinarySearchFunc(most, least, func(n, least int64) int { return cmp.Compare(least, n) })
	room := min(keep, examplesOfFolded) - above
	var examples []string
	for id, n := range t.events {
		if n == least && room > 0 {
			at, _ := slices.BinarySearch(examples, id)
			if examples = slices.Insert(examples, at, id); len(examples) > room {
				examples = examples[:room]
			}
		}
		if n <= least {
			delete(t.events, id)
		}
	}
	for _, id := range examples {
		t.events[id] = least
	}
	t.folded += max(0, least)
}

// foldAgain is fold for what may be folded many times. What the first that goes had is taken from
// all that stay, as Misra and Gries do: so all foldings of a bucket with n events together leave
// out no more than n/(keep+1) of any user's.
func (t *topUsers) foldAgain(keep int) {
	before := t.folded
	t.fold(keep)
	for id, n := range t.events {
		if left := n - (t.folded - before); left > 0 {
			t.events[id] = left
		} else {
			delete(t.events, id)
		}
	}
}

type userCounts map[userBucket]*topUsers

func (m userCounts) at(b userBucket) *topUsers {
	t := m[b]
	if t == nil {
		t = &topUsers{events: map[string]int64{}}
		m[b] = t
	}
	return t
}

// add counts an event in its hour, whose day follows from it; see days.
func (m userCounts) add(e *counted, n int64, from *floors) {
	if e.user == "" {
		return
	}
	switch {
	case !e.at.Before(from.Hour):
		m.at(userBucket{e.at.Truncate(hour), hour}).events[e.user] += n
	case !e.at.Before(from.Day):
		m.at(userBucket{e.at.Truncate(day), day}).events[e.user] += n
	}
}

// days adds the hours to their days, before they are folded.
func (m userCounts) days(from *floors) {
	hours := make(userCounts, len(m))
	for b, t := range m {
		if b.width == hour && !b.at.Before(from.Day) {
			hours[b] = t
		}
	}
	for b, t := range hours {
		of := m.at(userBucket{b.at.Truncate(day), day})
		if len(of.events) == 0 {
			of.events = maps.Clone(t.events)
			continue
		}
		for id, n := range t.events {
			of.events[id] += n
		}
	}
}

// userColumns are in the table's order.
var userColumns = []string{"bucket", "events", "width", "fresh", "user_id"}

// keepUsers stores the rows of buckets. Fresh ones are looked at again.
func (s *Store) keepUsers(ctx context.Context, ses session, m userCounts, fresh func(userBucket, *topUsers) bool) error {
	return s.d.load(ctx, ses, "rollup_users", userColumns, m.rows(fresh))
}

func (m userCounts) rows(fresh func(userBucket, *topUsers) bool) (rows [][]any) {
	for b, t := range m {
		row := func(n int64, id any) {
			if n != 0 {
				rows = append(rows, []any{b.at, n, int32(b.width / time.Second), fresh(b, t), id})
			}
		}
		row(t.folded, nil)
		for id, n := range t.events {
			row(n, id)
		}
	}
	return rows
}

func always(userBucket, *topUsers) bool { return true }
func never(userBucket, *topUsers) bool  { return false }

// uncountUsers stores what deletions take away. It is not folded: a user that goes from a negative
// count would have more than it has.
func (s *Store) uncountUsers(ctx context.Context, ses session, m userCounts, from *floors) error {
	m.days(from)
	return s.keepUsers(ctx, ses, m, always)
}

const eraseUserCounts = `DELETE FROM rollup_users WHERE user_id = $1`

// eraseFromUsers takes a person out of the counts. Who tidies meanwhile would write the person anew,
// so it must not: the transaction has waited for its end before it came here.
func (*Store) eraseFromUsers(ctx context.Context, ses session, userID string) error {
	_, err := ses.ExecContext(ctx, eraseUserCounts, userID)
	return err
}

const (
	// usersAtOnce are the fresh rows that a step takes.
	usersAtOnce = 50_000
	untidyUsers = `
SELECT width, bucket, count(*) AS fresh FROM rollup_users WHERE fresh GROUP BY width, bucket HAVING count(*) >= $1
ORDER BY width, bucket LIMIT $2`
	dropUsers = `
DELETE FROM rollup_users WHERE width IN (3600, 86400) AND bucket >= $1 AND bucket < $1::timestamptz + interval '1 day'`
	usersOfMissing = `
SELECT date_trunc('hour', ts) AS bucket, user_id, count(*) AS events
FROM events WHERE ts >= $1 AND ts < $1::timestamptz + interval '1 day' AND user_id IS NOT NULL GROUP BY 1, 2`
)

// tidyUsers puts the rows of some buckets together and folds those of buckets that are over. Open
// ones stay fresh, so that they are when they are.
func (s *Store) tidyUsers(ctx context.Context, ses session, _ *floors, least int) (more bool, err error) {
	var buckets []untidyBucket
	if err := ses.SelectContext(ctx, &buckets, untidyUsers, least, untidyAtOnce); err != nil || len(buckets) == 0 {
		return false, err
	}
	m, left := userCounts{}, len(buckets)
	for _, width := range idLevels {
		_, list := step(slices.DeleteFunc(slices.Clone(buckets), func(b untidyBucket) bool { return b.width() != width }), usersAtOnce)
		if len(list) == 0 {
			continue
		}
		if err := m.take(ctx, s, ses, width, list); err != nil {
			return false, err
		}
		left -= len(list)
	}
	now, tidied := s.cfg.Now(), 0
	for at, t := range m {
		for id, n := range t.events {
			if n <= 0 { // none has fewer than no events
				delete(t.events, id)
			}
		}
		if !at.open(now) || len(t.events) > usersOfOpen {
			t.foldAgain(at.keeps())
		}
		if len(t.events) <= at.keeps() {
			tidied++
		}
	}
	err = s.keepUsers(ctx, ses, m, func(b userBucket, t *topUsers) bool { return len(t.events) > b.keeps() })
	return (left > 0 || len(buckets) == untidyAtOnce) && tidied > 0, err
}

// take reads the rows of some buckets of a width and deletes them.
func (m userCounts) take(ctx context.Context, s *Store, ses session, width time.Duration, buckets []time.Time) error {
	condition := func(args *arguments) string {
		return "width = " + args.bind(int32(width/time.Second)) + " AND " + within(buckets, s, args)
	}
	return s.taking(ctx, ses, "rollup_users", "bucket, user_id, events", condition, func(rows *sql.Rows) error {
		var at time.Time
		var id sql.NullString
		var n int64
		if err := rows.Scan(&at, &id, &n); err != nil {
			return err
		}
		t := m.at(userBucket{at.UTC(), width})
		if id.Valid {
			t.events[id.String] += n
		} else {
			t.folded += n
		}
		return nil
	})
}

// fillUsers counts the users of a day anew from the events.
func (s *Store) fillUsers(ctx context.Context, ses session, of time.Time, from *floors) error {
	rows, err := s.replacing(ctx, ses, usersOfMissing, []string{dropUsers}, of)
	if err != nil {
		return err
	}
	defer rows.Close()
	m := userCounts{}
	for rows.Next() {
		var e counted
		var n int64
		if err := rows.Scan(&e.at, &e.user, &n); err != nil {
			return err
		}
		e.at = e.at.UTC()
		m.add(&e, n, from)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	m.days(from)
	for b, t := range m {
		t.fold(b.keeps())
	}
	return s.keepUsers(ctx, ses, m, never)
}
