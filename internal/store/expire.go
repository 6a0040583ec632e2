package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/tidemark-obs/tidemark/internal/errs"
)

const (
	raiseFloors = `UPDATE rollup_state SET minute_from = $1, hour_from = $2, day_from = $3`
	raiseEvents = `UPDATE rollup_state SET events_from = $1`
	// firstMissing is the oldest day whose events are not in roll-ups yet.
	firstMissing = `SELECT min(day) FROM rollup_missing`
)

// raise moves the floors of roll-ups on with the time, an hour at a time.
func (s *Store) raise(ctx context.Context, ses session, from *floors, _ int) (more bool, err error) {
	if s.cfg.Guest {
		return false, nil
	}
	now := micro(s.cfg.Now()).UTC()
	raised := func(floor time.Time, age time.Duration) time.Time {
		if at := now.Add(-age).Truncate(hour); age > 0 && at.After(floor) {
			return at
		}
		return floor
	}
	keep := s.cfg.Keep
	to := floors{Minute: raised(from.Minute, keep.Minute), Hour: raised(from.Hour, keep.Hour), Day: raised(from.Day, keep.Day)}
	if to.Minute.Equal(from.Minute) && to.Hour.Equal(from.Hour) && to.Day.Equal(from.Day) {
		return false, nil
	}
	_, err = ses.ExecContext(ctx, raiseFloors, to.Minute, to.Hour, to.Day)
	return false, err
}

// Expire deletes the oldest events, at most limit of them and none from before on, and returns how
// many. Events received within Window stay whatever their time: their ids must not become new.
// Roll-ups go on counting what it deletes, so it deletes nothing that is not rolled up yet.
// A step takes no lock that others wait for longer than it lasts.
func (s *Store) Expire(ctx context.Context, before time.Time, limit int) (n int64, err error) {
	if limit < 1 {
		return 0, errs.New(errs.Internal, "a step needs a limit")
	}
	now := micro(s.cfg.Now())
	err = s.transact(ctx, "DELETE events", func(ctx context.Context, ses session) error {
		// Nothing makes roll-ups anew from the events meanwhile.
		var from floors
		if err := ses.GetContext(ctx, &from, selectFloors+s.d.forUpdate()); err != nil {
			return err
		}
		if err := s.upToDate(ctx, ses); err != nil {
			return err
		}
		var missing sql.NullTime
		if err := ses.GetContext(ctx, &missing, firstMissing); err != nil {
			return err
		}
		if missing.Valid {
			before = earlier(before, missing.Time)
		}
		var gone []time.Time
		if err := ses.SelectContext(ctx, &gone, s.d.expire()+" RETURNING ts", micro(before), now.Add(-Window), limit); err != nil {
			return err
		}
		n = int64(len(gone))
		floor := from.Events
		for _, ts := range gone {
			if !ts.Before(floor) {
				floor = ts.Add(time.Microsecond)
			}
		}
		if floor.Equal(from.Events) {
			return nil
		}
		_, err := ses.ExecContext(ctx, raiseEvents, floor)
		return err
	})
	return n, err
}

// agedTables are those with a width and a bucket, the widths that they have, and which of their rows
// grow old. Fresh rows count for wider buckets too.
var agedTables = []struct {
	table  string
	widths []time.Duration
	rows   string
}{{"rollups", countLevels, "NOT fresh"}, {"rollup_totals", idLevels, "field BETWEEN 1 AND 5"},
	{"rollup_ids", slices.Concat(wideLevels, idLevels), "NOT fresh"}, {"rollup_users", idLevels, "NOT fresh"}}

const (
	bucketsAtOnce = 200
	// deleteAged has the name of a table and a condition on its rows twice.
	deleteAged = `
DELETE FROM %[1]s WHERE %[2]s AND width = $1 AND bucket IN (
    SELECT DISTINCT bucket FROM %[1]s WHERE %[2]s AND width = $1 AND bucket < $2 ORDER BY bucket LIMIT $3)`
)

// ExpireRollups deletes the oldest buckets that are older than Config.Keep lets them become, some at
// a time, and returns how many rows they had; 0 when nothing is left to delete.
func (s *Store) ExpireRollups(ctx context.Context) (n int64, err error) {
	err = s.transact(ctx, "DELETE rollups", func(ctx context.Context, ses session) error {
		from, err := s.lockFloors(ctx, ses)
		if err != nil || from == nil {
			return err
		}
		for _, aged := range agedTables {
			for _, width := range aged.widths {
				result, err := ses.ExecContext(ctx, fmt.Sprintf(deleteAged, aged.table, aged.rows), int32(width/time.Second), from.of(width), bucketsAtOnce)
				if err != nil {
					return err
				}
				gone, err := result.RowsAffected()
				if err != nil {
					return err
				}
				n += gone
			}
		}
		return nil
	})
	return n, err
}

const eventsFrom = `SELECT events_from FROM rollup_state`

// completeFrom is from when on all events are there, nil where they are from start on. It is read
// after the events: what was deleted before they were read is known.
func completeFrom(ctx context.Context, q sqlx.QueryerContext, start time.Time) (*time.Time, error) {
	var from time.Time
	if err := sqlx.GetContext(ctx, q, &from, eventsFrom); err != nil {
		return nil, err
	}
	return since(start, from), nil
}

// since is from, where that is after start.
func since(start, from time.Time) *time.Time {
	if !start.Before(from) {
		return nil
	}
	utc := from.UTC()
	return &utc
}

// lacks is from when on pieces of a span are complete, nil where they all are.
func lacks(list []piece, from *floors) (moment *time.Time) {
	for _, p := range list {
		if p.width > 0 || !p.from.Before(from.Events) {
			continue
		}
		if end := earlier(p.to, from.Events).UTC(); moment == nil || end.After(*moment) {
			moment = &end
		}
	}
	return moment
}
