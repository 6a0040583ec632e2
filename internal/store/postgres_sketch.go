package store

import (
	"context"
	"database/sql"
	"time"

	"github.com/lib/pq"

	"github.com/tidemark-obs/tidemark/internal/event"
)

// sketchKey is whose ids a pair of sketches holds; without a name, those of all events.
type sketchKey struct {
	bucket time.Time
	width  time.Duration
	named  bool
	name   string
}

type sketchPair struct{ users, sessions sketch }

type sketches map[sketchKey]*sketchPair

func (m sketches) at(key sketchKey) *sketchPair {
	pair := m[key]
	if pair == nil {
		pair = &sketchPair{}
		m[key] = pair
	}
	return pair
}

// add puts the ids of an event into the sketches of a bucket.
func (m sketches) add(bucket time.Time, width time.Duration, name, user, session string) {
	var u, s uint64
	if user != "" {
		u = hashID(user)
	}
	if session != "" {
		s = hashID(session)
	}
	for _, key := range [...]sketchKey{{bucket, width, false, ""}, {bucket, width, true, name}} {
		pair := m.at(key)
		if user != "" {
			pair.users.add(u)
		}
		if session != "" {
			pair.sessions.add(s)
		}
	}
}

var sketchColumns = []string{"bucket", "width", "fresh", "shrunk", "event_name", "users", "sessions"}

// keep stores the sketches as rows of their buckets.
func (d *postgres) keep(ctx context.Context, ses session, m sketches, fresh bool) error {
	rows := make([][]any, 0, len(m))
	for key, pair := range m {
		users, err := pair.users.bytes()
		if err != nil {
			return err
		}
		sessions, err := pair.sessions.bytes()
		if err != nil {
			return err
		}
		var name any
		if key.named {
			name = key.name
		}
		rows = append(rows, []any{key.bucket, int(key.width / time.Second), fresh, false, name, users, sessions})
	}
	return d.load(ctx, ses, "rollup_ids", sketchColumns, rows)
}

// sketch adds the ids of a batch's events that were stored.
func (d *postgres) sketch(ctx context.Context, ses session, events []event.Event, stored []int) error {
	m := sketches{}
	for _, i := range stored {
		e := &events[i]
		at := e.Timestamp.UTC()
		m.add(at.Truncate(hour), hour, e.Name, e.UserID, e.SessionID)
		m.add(at.Truncate(day), day, e.Name, e.UserID, e.SessionID)
	}
	return d.keep(ctx, ses, m, true)
}

// shrinkIDs says of the buckets of events that their sketches count too much.
const shrinkIDs = `
INSERT INTO rollup_ids (bucket, width, fresh, shrunk, event_name, users, sessions)
SELECT DISTINCT date_bin(width * interval '1 second', ts, '0001-01-01 00:00:00+00'::timestamptz), width, true, true,
    CASE WHEN named THEN event_name END, ''::bytea, ''::bytea
FROM events, (VALUES (3600), (86400)) AS widths (width), (VALUES (false), (true)) AS names (named)
WHERE event_id IN (SELECT unnest($1::text[]))`

// forget takes events out of the roll-ups that are about to be deleted.
func (d *postgres) forget(ctx context.Context, ses session, ids []string) error {
	if err := d.uncount(ctx, ses, ids); err != nil {
		return err
	}
	_, err := ses.ExecContext(ctx, shrinkIDs, pq.Array(ids))
	return err
}

const (
	sketchesAtOnce  = 20
	untidySketches  = `SELECT width, bucket, bool_or(shrunk) AS shrunk FROM rollup_ids WHERE fresh GROUP BY 1, 2 ORDER BY 1, 2 LIMIT $1`
	takeSketches    = `DELETE FROM rollup_ids WHERE width = $1 AND bucket = $2 RETURNING event_name, users, sessions, shrunk`
	sketchesFromRaw = `
WITH gone AS (DELETE FROM rollup_ids WHERE width = $1 AND bucket = $2)
SELECT DISTINCT event_name, coalesce(user_id, '') AS user_id, coalesce(session_id, '') AS session_id
FROM events WHERE ts >= $2 AND ts < $2::timestamptz + $1 * interval '1 second'`
)

// tidySketches merges the sketches of some buckets, or makes them anew where events were deleted.
func (d *postgres) tidySketches(ctx context.Context, ses session) (more bool, err error) {
	var buckets []struct {
		Width  int       `db:"width"`
		Bucket time.Time `db:"bucket"`
		Shrunk bool      `db:"shrunk"`
	}
	if err := ses.SelectContext(ctx, &buckets, untidySketches, sketchesAtOnce); err != nil {
		return false, err
	}
	for _, b := range buckets {
		width := time.Duration(b.Width) * time.Second
		if !b.Shrunk {
			b.Shrunk, err = d.mergeSketches(ctx, ses, b.Bucket.UTC(), width)
		}
		if err == nil && b.Shrunk {
			err = d.resketch(ctx, ses, b.Bucket.UTC(), width)
		}
		if err != nil {
			return false, err
		}
	}
	return len(buckets) == sketchesAtOnce, nil
}

// mergeSketches reports whether the bucket has shrunk since it was looked at.
func (d *postgres) mergeSketches(ctx context.Context, ses session, bucket time.Time, width time.Duration) (shrunk bool, err error) {
	rows, err := ses.QueryContext(ctx, takeSketches, int(width/time.Second), bucket)
	if err != nil {
		return false, err
	}
	defer rows.Close()
	m := sketches{}
	for rows.Next() {
		var name sql.NullString
		var users, sessions []byte
		var gone bool
		if err := rows.Scan(&name, &users, &sessions, &gone); err != nil {
			return false, err
		}
		shrunk = shrunk || gone
		pair := m.at(sketchKey{bucket, width, name.Valid, name.String})
		if err := pair.users.merge(users); err != nil {
			return false, err
		}
		if err := pair.sessions.merge(sessions); err != nil {
			return false, err
		}
	}
	if err := rows.Err(); err != nil {
		return false, err
	}
	return shrunk, d.keep(ctx, ses, m, false)
}

// resketch makes the sketches of a bucket anew. It takes the old rows away and reads the events in
// one statement, and so at one moment: who stores or deletes after it adds rows of its own.
func (d *postgres) resketch(ctx context.Context, ses session, bucket time.Time, width time.Duration) error {
	rows, err := ses.QueryContext(ctx, sketchesFromRaw, int(width/time.Second), bucket)
	if err != nil {
		return err
	}
	defer rows.Close()
	m := sketches{}
	for rows.Next() {
		var name, user, session string
		if err := rows.Scan(&name, &user, &session); err != nil {
			return err
		}
		m.add(bucket.UTC(), width, name, user, session)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	return d.keep(ctx, ses, m, false)
}
