package store

import (
	"context"
	"database/sql"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"github.com/tidemark-obs/tidemark/internal/event"
)

// Roll-ups on PostgreSQL. Every transaction that changes events adds rows that say so, so in any
// snapshot the roll-ups of a bucket add up to the events in it: over crashes, retries and writers
// at the same time. Nobody updates a row, so nobody waits.

// The widths of buckets, in UTC.
const (
	hour = time.Hour
	day  = 24 * time.Hour
)

var rollupColumns = []string{
	"bucket", "events", "sampled", "width", "processed", "fresh", "event_type", "event_name", "severity", "source",
}

// rollupKey is what events are counted by.
type rollupKey struct {
	bucket                       time.Time
	width                        time.Duration
	processed                    bool
	kind, name, severity, source string
}

type rollupCount struct{ events, sampled int64 }

// rollUp adds the events of a batch that were stored, given as their places in it.
func (d *postgres) rollUp(ctx context.Context, ses session, events []event.Event, stored []int) error {
	counts := map[rollupKey]rollupCount{}
	for _, i := range stored {
		e := &events[i]
		key := rollupKey{processed: e.Processed, kind: string(e.Type), name: e.Name, severity: string(e.Severity), source: e.Source}
		for _, key.width = range []time.Duration{hour, day} {
			key.bucket = e.Timestamp.UTC().Truncate(key.width)
			n := counts[key]
			n.events++
			if e.SampleRate < 1 {
				n.sampled++
			}
			counts[key] = n
		}
	}
	rows := make([][]any, 0, len(counts))
	for key, n := range counts {
		var source any
		if key.source != "" {
			source = key.source
		}
		rows = append(rows, []any{key.bucket, n.events, n.sampled, int(key.width / time.Second), key.processed, true,
			key.kind, key.name, key.severity, source})
	}
	return d.load(ctx, ses, "rollups", rollupColumns, rows)
}

const (
	lockEvents = `SELECT event_id FROM events WHERE event_id IN (SELECT unnest($1::text[])) ORDER BY event_id FOR UPDATE`

	// addRollups counts events; after it come the conditions. $1 is 1, or -1 for what goes; $2 says whether there may be other rows of the same.
	addRollups = `
INSERT INTO rollups (bucket, width, fresh, processed, event_type, event_name, severity, source, events, sampled)
SELECT date_bin(width * interval '1 second', ts, '0001-01-01 00:00:00+00'::timestamptz), width, $2::boolean,
    processed, event_type, event_name, severity, source, $1::bigint * count(*), $1::bigint * count(*) FILTER (WHERE sample_rate < 1)
FROM events, (VALUES (3600), (86400)) AS widths (width)`
	byRollupKey = ` GROUP BY 1, 2, 3, 4, 5, 6, 7, 8`
	rollUpIDs   = addRollups + ` WHERE event_id IN (SELECT unnest($3::text[]))` + byRollupKey
)

// uncount takes events out of the roll-ups as they are now, and keeps others from changing them
// until the transaction ends.
func (*postgres) uncount(ctx context.Context, ses session, ids []string) error {
	if _, err := ses.ExecContext(ctx, lockEvents, pq.Array(ids)); err != nil {
		return err
	}
	_, err := ses.ExecContext(ctx, rollUpIDs, -1, true, pq.Array(ids))
	return err
}

// recount adds events to the roll-ups as they are now.
func (*postgres) recount(ctx context.Context, ses session, ids []string) error {
	_, err := ses.ExecContext(ctx, rollUpIDs, 1, true, pq.Array(ids))
	return err
}

const (
	// tidyLock is an arbitrary number, of this purpose only in a database of Tidemark.
	tidyLock    = `SELECT pg_try_advisory_xact_lock(7306930284637)`
	nextMissing = `SELECT max(day) FROM rollup_missing`
	// fillDay is one statement and so sees one moment: all events of it, and all rows that other
	// transactions have added for them. Those that it does not see add theirs after it.
	fillDay = `
WITH known AS (DELETE FROM rollup_missing WHERE day = $3),
gone AS (DELETE FROM rollups WHERE bucket >= $3 AND bucket < $3::timestamptz + interval '1 day' AND width IN (3600, 86400))` +
		addRollups + ` WHERE ts >= $3 AND ts < $3::timestamptz + interval '1 day'` + byRollupKey

	tidyAtOnce = 50
	untidy     = `SELECT DISTINCT width, bucket FROM rollups WHERE fresh ORDER BY width, bucket LIMIT $1`
	tidyBucket = `
WITH gone AS (DELETE FROM rollups WHERE width = $1 AND bucket = $2 RETURNING *)
INSERT INTO rollups (bucket, width, fresh, processed, event_type, event_name, severity, source, events, sampled)
SELECT bucket, width, false, processed, event_type, event_name, severity, source, sum(events), sum(sampled)
FROM gone GROUP BY 1, 2, 3, 4, 5, 6, 7, 8 HAVING sum(events) <> 0`
)

// tidy puts the rows of some buckets together. Only one process at a time works on roll-ups: the
// lock comes first, so that each statement after it sees all that the one before has done.
func (d *postgres) tidy(ctx context.Context, ses session) (more bool, err error) {
	var mine bool
	if err := ses.GetContext(ctx, &mine, tidyLock); err != nil || !mine {
		return false, err
	}
	var buckets []struct {
		Width  int       `db:"width"`
		Bucket time.Time `db:"bucket"`
	}
	if err := ses.SelectContext(ctx, &buckets, untidy, tidyAtOnce); err != nil {
		return false, err
	}
	for _, b := range buckets {
		if _, err := ses.ExecContext(ctx, tidyBucket, b.Width, b.Bucket); err != nil {
			return false, err
		}
	}
	merged, err := d.tidySketches(ctx, ses)
	return len(buckets) == tidyAtOnce || merged, err
}

// fill rolls up one missing day, the newest first.
func (d *postgres) fill(ctx context.Context, ses session) (more bool, err error) {
	var mine bool
	if err := ses.GetContext(ctx, &mine, tidyLock); err != nil || !mine {
		return false, err
	}
	var missing sql.NullTime
	if err := ses.GetContext(ctx, &missing, nextMissing); err != nil || !missing.Valid {
		return false, err
	}
	if _, err = ses.ExecContext(ctx, fillDay, 1, false, missing.Time); err != nil {
		return false, err
	}
	if err := d.resketch(ctx, ses, missing.Time, day); err != nil {
		return false, err
	}
	for at := missing.Time; at.Before(missing.Time.Add(day)); at = at.Add(hour) {
		if err := d.resketch(ctx, ses, at, hour); err != nil {
			return false, err
		}
	}
	return true, nil
}

const anyMissing = `SELECT EXISTS (SELECT 1 FROM rollup_missing WHERE day > $1::timestamptz - interval '1 day' AND day < $2)`

// rolledUp reports whether the roll-ups of a range are whole. Once they are they stay so.
func (*postgres) rolledUp(ctx context.Context, db *sqlx.DB, start, end time.Time) (bool, error) {
	var missing bool
	err := db.GetContext(ctx, &missing, anyMissing, micro(start), micro(end))
	return !missing, err
}
