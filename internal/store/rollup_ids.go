package store

import (
	"context"
	"database/sql"
	"errors"
	"maps"
	"time"

	"github.com/tidemark-obs/tidemark/internal/rollup"
)

// sketchKey is whose ids a pair of sketches holds; without a name, those of all events.
type sketchKey struct {
	bucket time.Time
	width  time.Duration
	named  bool
	name   string
}

// sketchPair also knows how many ids were lost, of users or of sessions, whichever are more: the
// sketches may count so many too much.
type sketchPair struct {
	users, sessions rollup.IDs
	lost            int64
}

type sketches map[sketchKey]*sketchPair

func (m sketches) at(key sketchKey) *sketchPair {
	pair := m[key]
	if pair == nil {
		pair = &sketchPair{}
		m[key] = pair
	}
	return pair
}

// add puts the ids of an event into the sketches of its buckets of a width.
func (m sketches) add(e *counted, width time.Duration) {
	var u, s uint64
	if e.user != "" {
		u = rollup.HashID(e.user)
	}
	if e.session != "" {
		s = rollup.HashID(e.session)
	}
	bucket := e.at.Truncate(width)
	for _, key := range [...]sketchKey{{bucket, width, false, ""}, {bucket, width, true, e.name}} {
		pair := m.at(key)
		if e.user != "" {
			pair.users.Add(u)
		}
		if e.session != "" {
			pair.sessions.Add(s)
		}
	}
}

// sketchColumns are in the table's order.
var sketchColumns = []string{"bucket", "width", "fresh", "lost", "event_name", "users", "sessions", "users_n", "sessions_n"}

// keepSketches stores sketches as rows of their buckets. Fresh ones may have others beside them.
func (s *Store) keepSketches(ctx context.Context, ses session, m sketches, fresh bool) error {
	rows, err := m.rows(fresh)
	if err != nil {
		return err
	}
	return s.d.load(ctx, ses, "rollup_ids", sketchColumns, rows)
}

func (m sketches) rows(fresh bool) ([][]any, error) {
	rows := make([][]any, 0, len(m))
	for key, pair := range m {
		most := rollup.ListMost
		if key.width > day {
			most = rollup.FastMost // larger ones are only read to be put into registers, which halves of bytes are much faster
		}
		users, usersN, err := pair.users.Bytes(most)
		if err != nil {
			return nil, err
		}
		sessions, sessionsN, err := pair.sessions.Bytes(most)
		if err != nil {
			return nil, err
		}
		var name any
		if key.named {
			name = key.name
		}
		rows = append(rows, []any{key.bucket, int32(key.width / time.Second), fresh, pair.lost, name, users, sessions, usersN, sessionsN})
	}
	return rows, nil
}

// losses are the ids that are deleted, by the sketches that hold them.
type losses map[sketchKey]*lossPair

type lossPair struct{ users, sessions map[string]bool }

func (m losses) add(e *counted, from *floors) {
	width, ok := from.narrowest(e.at, idLevels)
	if !ok {
		return
	}
	bucket := e.at.Truncate(width)
	for _, key := range [...]sketchKey{{bucket, width, false, ""}, {bucket, width, true, e.name}} {
		if m[key] == nil {
			m[key] = &lossPair{map[string]bool{}, map[string]bool{}}
		}
		if e.user != "" {
			m[key].users[e.user] = true
		}
		if e.session != "" {
			m[key].sessions[e.session] = true
		}
	}
}

// keepLosses says of the sketches of deleted events that they count too much.
func (s *Store) keepLosses(ctx context.Context, ses session, lost losses) error {
	m := make(sketches, len(lost))
	for key, ids := range lost {
		if n := max(len(ids.users), len(ids.sessions)); n > 0 {
			m[key] = &sketchPair{lost: int64(n)}
		}
	}
	return s.keepSketches(ctx, ses, m, true)
}

const (
	takenOfIDs = "bucket, event_name, users, sessions, lost"
	// sketchesAtOnce are the rows that a step takes; each may have some 10,000 bytes.
	sketchesAtOnce = 4_000
	untidySketches = `
SELECT width, bucket, count(*) AS fresh, sum(lost)::bigint AS lost FROM rollup_ids WHERE fresh GROUP BY width, bucket
HAVING count(*) >= $1 OR sum(lost) > 0 ORDER BY width, bucket LIMIT $2`
	dropSketches = `
DELETE FROM rollup_ids WHERE width IN (3600, 86400) AND bucket >= $1 AND bucket < $1::timestamptz + interval '1 day'`
	idsOfDay = `
SELECT DISTINCT date_trunc('hour', ts) AS bucket, event_name, coalesce(user_id, '') AS user_id, coalesce(session_id, '') AS session_id
FROM events WHERE ts >= $1 AND ts < $1::timestamptz + interval '1 day'`
)

// tidySketches puts the fresh sketches of some buckets into the buckets of all widths, and makes those
// of a day anew where events were deleted.
func (s *Store) tidySketches(ctx context.Context, ses session, from *floors, least int) (more bool, err error) {
	var buckets []untidyBucket
	if err := ses.SelectContext(ctx, &buckets, untidySketches, least, untidyAtOnce); err != nil || len(buckets) == 0 {
		return false, err
	}
	width, list := step(buckets, sketchesAtOnce)
	m, lost := sketches{}, map[time.Time]bool{}
	into := func(at time.Time) []time.Duration { return from.reached(at, width, idLevels) }
	if err := m.take(ctx, s, ses, "fresh", width, list, into, lost); err != nil {
		return false, err
	}
	wide, err := s.wideOf(ctx, ses, m)
	if err != nil {
		return false, err
	}
	for _, w := range idLevels {
		same := func(time.Time) []time.Duration { return []time.Duration{w} }
		if w < width || !m.have(w) {
			continue
		}
		if err := m.take(ctx, s, ses, "NOT fresh", w, truncated(list, w), same, lost); err != nil {
			return false, err
		}
	}
	maps.Copy(m, wide)
	if err := s.keepSketches(ctx, ses, m, false); err != nil {
		return false, err
	}
	for of := range lost {
		// Where events are gone for their age the rest of them would count too few.
		if !of.Before(from.Events) {
			if err := s.resketch(ctx, ses, of, from); err != nil {
				return false, err
			}
		}
	}
	return len(list) < len(buckets) || len(buckets) == untidyAtOnce, nil
}

// have reports whether there are sketches of a width.
func (m sketches) have(width time.Duration) bool {
	for key := range m {
		if key.width == width {
			return true
		}
	}
	return false
}

// take deletes the rows of some buckets of a width, those that are fresh or not, adds them to the
// buckets of the widths that into names, and notes the days that have lost ids.
func (m sketches) take(ctx context.Context, s *Store, ses session, which string, width time.Duration, buckets []time.Time,
	into func(time.Time) []time.Duration, lost map[time.Time]bool,
) error {
	condition := func(args *arguments) string {
		return which + " AND width = " + args.bind(int32(width/time.Second)) + " AND " + within(buckets, s, args)
	}
	return s.taking(ctx, ses, "rollup_ids", takenOfIDs, condition, m.taker(into, lost))
}

// taker reads rows with the columns takenOfIDs and adds them to the buckets of the widths that into
// names; it notes the days that have lost ids.
func (m sketches) taker(into func(time.Time) []time.Duration, lost map[time.Time]bool) func(*sql.Rows) error {
	return func(rows *sql.Rows) error {
		var at time.Time
		var name sql.NullString
		var users, sessions []byte
		var gone int64
		if err := rows.Scan(&at, &name, &users, &sessions, &gone); err != nil {
			return err
		}
		at = at.UTC()
		if gone > 0 {
			lost[at.Truncate(day)] = true
		}
		for _, w := range into(at) {
			pair := m.at(sketchKey{at.Truncate(w), w, name.Valid, name.String})
			pair.lost += gone
			if err := errors.Join(pair.users.Merge(users), pair.sessions.Merge(sessions)); err != nil {
				return err
			}
		}
		return nil
	}
}

// resketch makes the sketches of a day and its hours anew from the events.
func (s *Store) resketch(ctx context.Context, ses session, of time.Time, from *floors) error {
	rows, err := s.replacing(ctx, ses, idsOfDay, []string{dropSketches, dropWide}, of)
	if err != nil {
		return err
	}
	defer rows.Close()
	m := sketches{}
	for rows.Next() {
		var e counted
		if err := rows.Scan(&e.at, &e.name, &e.user, &e.session); err != nil {
			return err
		}
		e.at = e.at.UTC()
		for _, width := range from.reached(e.at, 0, idLevels) {
			m.add(&e, width)
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	return s.keepSketches(ctx, ses, m, false)
}
