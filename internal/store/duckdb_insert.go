package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"strings"
	"time"

	"github.com/duckdb/duckdb-go/v2"

	"github.com/tidemark-obs/tidemark/internal/event"
)

// insert appends the events that are new. The filter names the ids that may not be; the tables say
// which of those really are not.
func (d *duck) insert(ctx context.Context, ses session, events []event.Event, now time.Time) (stored []int, dup duplicates, err error) {
	if d.seen == nil {
		if err := d.recall(ctx, ses); err != nil {
			return nil, dup, err
		}
	}
	if err := d.acquaint(ctx, ses); err != nil {
		return nil, dup, err
	}
	suspects, since := d.suspects(events, now)
	gone := map[string]bool{} // every id known to exist: true when only its tombstone does
	if len(suspects) > 0 {
		if err := d.existing(ctx, ses, suspects, since, gone); err != nil {
			return nil, dup, err
		}
	}
	suspect := make(map[string]bool, len(suspects))
	for _, id := range suspects {
		suspect[id] = true
	}
	own := d.own.columns()
	columns := own.appended()
	err = appending(ses, "events", columns, func(a *duckdb.Appender) error {
		var m members
		values := make([]driver.Value, len(columns))
		for i := range events {
			id := events[i].ID
			if suspect[id] {
				if isGone, known := gone[id]; known {
					dup.all = append(dup.all, id)
					if isGone {
						dup.gone = append(dup.gone, id)
					}
					continue
				}
				gone[id] = false // a second one in this batch is a duplicate
				d.seen.renew(id, events[i].ReceivedAt)
			}
			if err := appendEvent(a, values, &events[i], own, &m); err != nil {
				return err
			}
			stored = append(stored, i)
		}
		return nil
	})
	return stored, dup, err
}

// suspects are the ids that may be in the database or twice in the batch, and how far back they
// are to be looked for. They stay in the filter whatever becomes of the transaction: an id too many
// costs a look, an id too few a duplicate.
//
// An event received before the window was moved here from another database, and may be moved again
// at any time: its id is looked for among all there are.
func (d *duck) suspects(events []event.Event, now time.Time) (list []string, since time.Time) {
	window := now.Add(-Window)
	all := !d.seen.complete(window)
	since = window
	if d.seen.dropped.Before(since) {
		since = d.seen.dropped
	}
	for i := range events {
		e := &events[i]
		moved := e.ReceivedAt.Before(window)
		if d.seen.add(e.ID, e.ReceivedAt) || all || moved && !d.seen.dropped.IsZero() {
			list = append(list, e.ID)
			if moved {
				since = time.Time{}
			}
		}
	}
	return list, since
}

const existingIDs = `
SELECT event_id, bool_and(gone) FROM (
    SELECT event_id, false AS gone FROM events
    WHERE event_id IN (SELECT unnest($1::text[])) AND received_at >= $2
    UNION ALL
    SELECT event_id, true FROM tombstones
    WHERE event_id IN (SELECT unnest($1::text[])))
GROUP BY event_id`

// existing finds which ids the tables have.
func (*duck) existing(ctx context.Context, ses session, ids []string, since time.Time, gone map[string]bool) error {
	rows, err := ses.QueryContext(ctx, existingIDs, ids, since)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		var isGone bool
		if err := rows.Scan(&id, &isGone); err != nil {
			return err
		}
		gone[id] = isGone
	}
	return rows.Err()
}

func appendEvent(a *duckdb.Appender, v []driver.Value, e *event.Event, own owned, m *members) error {
	tags, err := tagsText(e.Tags)
	if err != nil {
		return err
	}
	v[0], v[1], v[2] = micro(e.Timestamp), micro(e.ReceivedAt), nullTime(e.ProcessedAt)
	v[3], v[4] = e.SampleRate, e.Processed
	v[5], v[6], v[7], v[8] = e.ID, e.Name, string(e.Type), string(e.Severity)
	v[9], v[10], v[11] = nullText(e.UserID), nullText(e.AnonymousID), nullText(e.SessionID)
	v[12], v[13], v[14] = nullText(e.Source), nullText(e.UserAgent), nullText(e.IPAddress)
	v[15], v[16] = nullText(e.Referrer), nullText(e.Timezone)
	v[17], v[18], v[19] = nullBytes(e.Properties), nullBytes(e.Metadata), tags
	v[20] = userMark(e.UserID)
	own.read(m, e, v[21:])
	return a.AppendRow(v...)
}

// userMark is what the rows of one user, and of hardly another, have in common; 0 of no user.
func userMark(id string) uint32 {
	if id == "" {
		return 0
	}
	return userHash(id)
}

func nullText(s string) driver.Value {
	if s == "" {
		return nil
	}
	return s
}

func nullBytes(b []byte) driver.Value {
	if b == nil {
		return nil
	}
	return b
}

const (
	lastRow = `SELECT coalesce(max(rowid), -1) FROM events`
	// The ids of a slice of the table come as one text, which is several times faster than a row
	// each. None of them has a NUL.
	sliceOfIDs    = `SELECT string_agg(event_id, chr(0)), max(received_at) FROM events WHERE rowid >= $1 AND rowid < $2`
	idsPerSlice   = 100_000
	newestBefore  = `SELECT max(received_at) FROM events WHERE rowid < $1`
	tombstonedIDs = `SELECT string_agg(event_id, chr(0)), max(noted_at) FROM tombstones`
)

// recall builds the filter from the newest rows of the table, as many as its bound has room for.
func (d *duck) recall(ctx context.Context, ses session) error {
	f := newSeen(d.cfg.MaxRecentIDs)
	var last int64
	if err := ses.QueryRowContext(ctx, lastRow).Scan(&last); err != nil {
		return err
	}
	from := max(0, last+1-int64(d.cfg.MaxRecentIDs))
	if from > 0 {
		var newest sql.NullTime
		if err := ses.QueryRowContext(ctx, newestBefore, from).Scan(&newest); err != nil {
			return err
		}
		f.dropped = utc(newest)
	}
	for ; from <= last; from += idsPerSlice {
		if err := f.read(ctx, ses, sliceOfIDs, from, from+idsPerSlice); err != nil {
			return err
		}
	}
	if err := f.read(ctx, ses, tombstonedIDs); err != nil {
		return err
	}
	d.seen = f
	return nil
}

// read adds the ids of one row, each as if it had been received with the newest.
func (f *seen) read(ctx context.Context, ses session, query string, args ...any) error {
	var ids sql.NullString
	var newest sql.NullTime
	if err := ses.QueryRowContext(ctx, query, args...).Scan(&ids, &newest); err != nil {
		return fmt.Errorf("read ids: %w", err)
	}
	if !ids.Valid {
		return nil
	}
	for id := range strings.SplitSeq(ids.String, "\x00") {
		f.addNew(id, newest.Time)
	}
	return nil
}
