package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/lib/pq"

	"github.com/tidemark-obs/tidemark/internal/event"
)

// createBatch makes the session's table for bulk loading. Its columns are text-compatible with
// those of events and in the same order; nothing in it outlives a transaction.
const createBatch = `
CREATE TEMP TABLE IF NOT EXISTS batch (
    ts timestamptz, received_at timestamptz, processed_at timestamptz, sample_rate double precision,
    processed boolean, event_id text COLLATE "C", event_name text, event_type text, severity text,
    user_id text, anonymous_id text, session_id text, source text, user_agent text, ip_address text,
    referrer text, timezone text, properties json, metadata json, tags jsonb
) ON COMMIT DELETE ROWS`

const (
	copyBatch   = `COPY pg_temp.batch FROM STDIN`
	insertBatch = `INSERT INTO events (` + eventColumns + `) SELECT ` + eventColumns + ` FROM pg_temp.batch ON CONFLICT DO NOTHING`

	// notInserted are the ids of the batch whose row is not of this transaction.
	notInserted = `
SELECT b.event_id FROM pg_temp.batch b LEFT JOIN events e USING (event_id)
WHERE e.event_id IS NULL OR e.xmin <> pg_current_xact_id()::xid`

	deletedBefore  = `SELECT DISTINCT event_id FROM pg_temp.batch JOIN tombstones USING (event_id)`
	takeBack       = `DELETE FROM events WHERE event_id IN (SELECT unnest($1::text[])) AND xmin = pg_current_xact_id()::xid`
	copyChunkBytes = 256 << 10
)

// observe has nothing to learn: no property is kept twice.
func (*postgres) observe(context.Context, *Store, []event.Event) error { return nil }

// insert copies the events into a temporary table and inserts from there what the primary key has
// not got. Rows go in by id, so that two replicas with the same ids wait for each other and never
// in a circle.
//
// Tombstones are looked up after the insert, not before: an insert that had to wait for the
// deletion of the very same event sees its tombstone only then.
func (d *postgres) insert(ctx context.Context, ses session, events []event.Event, _ time.Time) (stored []int, dup duplicates, err error) {
	order, dup := byID(events)
	if _, err := ses.ExecContext(ctx, createBatch); err != nil {
		return nil, dup, err
	}
	if err := copyEvents(ses, events, order); err != nil {
		return nil, dup, err
	}
	result, err := ses.ExecContext(ctx, insertBatch)
	if err != nil {
		return nil, dup, err
	}
	inserted, err := result.RowsAffected()
	if err != nil {
		return nil, dup, err
	}
	var there []string
	if int(inserted) < len(order) {
		if err := ses.SelectContext(ctx, &there, notInserted); err != nil {
			return nil, dup, err
		}
	}
	var deleted []string
	if err := ses.SelectContext(ctx, &deleted, deletedBefore); err != nil {
		return nil, dup, err
	}
	dup.all = append(dup.all, there...)
	if len(deleted) > 0 {
		if _, err := ses.ExecContext(ctx, takeBack, pq.Array(deleted)); err != nil {
			return nil, dup, err
		}
	}
	dup.gone = deleted
	for _, id := range deleted {
		if !slices.Contains(there, id) {
			dup.all = append(dup.all, id)
		}
	}
	return without(events, order, there, deleted), dup, nil
}

// without are the places of events whose id is in none of the lists.
func without(events []event.Event, places []int, lists ...[]string) []int {
	ids := map[string]bool{}
	for _, list := range lists {
		for _, id := range list {
			ids[id] = true
		}
	}
	if len(ids) == 0 {
		return places
	}
	return slices.DeleteFunc(places, func(i int) bool { return ids[events[i].ID] })
}

// byID is the order of the events by id, the first of each id only; the others are duplicates.
func byID(events []event.Event) (order []int, dup duplicates) {
	order = make([]int, len(events))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return strings.Compare(events[a].ID, events[b].ID) })
	n := 0
	for _, i := range order {
		if n > 0 && events[order[n-1]].ID == events[i].ID {
			dup.all = append(dup.all, events[i].ID)
			continue
		}
		order[n] = i
		n++
	}
	return order[:n], dup
}

// copyIn is what lib/pq's statement for COPY can do beyond database/sql: take many rows at once.
type copyIn interface {
	driver.Stmt
	CopyData(ctx context.Context, line string) (driver.Result, error)
}

// copyEvents streams the events in COPY's text format. It goes below database/sql because a call a
// row, with its values boxed, costs more than all the rest of the client's work.
func copyEvents(ses session, events []event.Event, order []int) error {
	return ses.raw(func(conn any) (err error) {
		stmt, err := conn.(driver.Conn).Prepare(copyBatch)
		if err != nil {
			return err
		}
		in := stmt.(copyIn)
		defer func() { err = errors.Join(err, in.Close()) }()
		buf := make([]byte, 0, copyChunkBytes+64<<10)
		for n, i := range order {
			event.Turn(n)
			if buf, err = appendCopyRow(buf, &events[i]); err != nil {
				return err
			}
			if len(buf) < copyChunkBytes && n < len(order)-1 {
				buf = append(buf, '\n')
				continue
			}
			// The context is not passed: with one, each call would start a goroutine.
			if _, err := in.CopyData(context.Background(), string(buf)); err != nil {
				return err
			}
			buf = buf[:0]
		}
		return nil
	})
}

// appendCopyRow appends one event in COPY's text format, without the newline.
func appendCopyRow(b []byte, e *event.Event) ([]byte, error) {
	b = appendCopyTime(b, e.Timestamp)
	b = append(appendCopyTime(append(b, '\t'), e.ReceivedAt), '\t')
	if e.ProcessedAt.IsZero() {
		b = append(b, `\N`...)
	} else {
		b = appendCopyTime(b, e.ProcessedAt)
	}
	b = appendFloat(append(b, '\t'), e.SampleRate)
	if e.Processed {
		b = append(b, "\tt"...)
	} else {
		b = append(b, "\tf"...)
	}
	for _, s := range [...]string{e.ID, e.Name, string(e.Type), string(e.Severity)} {
		b = appendCopyText(append(b, '\t'), s)
	}
	for _, s := range [...]string{
		e.UserID, e.AnonymousID, e.SessionID, e.Source, e.UserAgent, e.IPAddress, e.Referrer, e.Timezone,
	} {
		b = append(b, '\t')
		if s == "" {
			b = append(b, `\N`...)
		} else {
			b = appendCopyText(b, s)
		}
	}
	for _, o := range [...]event.Object{e.Properties, e.Metadata} {
		b = append(b, '\t')
		if o == nil {
			b = append(b, `\N`...)
		} else {
			b = appendCopyText(b, o)
		}
	}
	b = append(b, '\t')
	if len(e.Tags) == 0 {
		return append(b, `\N`...), nil
	}
	tags, err := appendTags(nil, e.Tags)
	return appendCopyText(b, tags), err
}
