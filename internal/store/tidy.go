package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
)

const (
	tidyEvery      = 5 * time.Second
	tidyAfterError = time.Minute
	// A bucket with many fresh rows is tidied at once, all others now and then: what is still
	// written to would be written anew each time.
	tidyMany    = 2_000
	tidyAllEach = 12 // looks
	// While batches of so many events are stored, more of them wait: who tidies leaves them the
	// most of the time.
	largeBatch = 1_000
	restOfLoad = 4 // times as long as a step took
)

// KeepRollups fills and tidies roll-ups in the background until ctx ends. Every replica may: one at
// a time works.
func (s *Store) KeepRollups(ctx context.Context) {
	for look := 0; ; look++ {
		wait, least := tidyEvery, tidyMany
		if look%tidyAllEach == 0 {
			least = 1
		}
		if err := s.tidyRollups(ctx, least, true); err != nil && ctx.Err() == nil {
			s.cfg.Logger.Warn("tidying roll-ups", "cause", err)
			wait = tidyAfterError
		}
		if !rest(ctx, wait) {
			return
		}
	}
}

// rest is false when ctx has ended.
func rest(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// TidyRollups puts the rows of roll-ups together and fills what they lack, in steps of a bounded
// size, until nothing is left to do. Answers are the same before and after.
func (s *Store) TidyRollups(ctx context.Context) error { return s.tidyRollups(ctx, 1, false) }

// tidyRollups leaves buckets alone with fewer fresh rows than least. With rests it works at most
// half of the time, or a fifth while much is stored, so that those who store find their turn.
func (s *Store) tidyRollups(ctx context.Context, least int, rests bool) error {
	type step func(context.Context, session, *floors, int) (bool, error)
	stored := s.largeBatches.Load()
	// Tidying comes first: a day that cannot be filled must not keep rows from being put together.
	for _, do := range []step{s.raise, s.tidyCounts, s.tidySketches, s.tidyUsers, s.tidyMarks, s.declare, s.tidyDeclared, s.fill, s.fillMarks, s.fillWide, s.fillDeclared, s.fillWideNumbers, s.dropDeclared} {
		for more := true; more; {
			var began time.Time
			before := stored
			err := s.transact(ctx, "INSERT rollups", func(ctx context.Context, ses session) error {
				began, stored = time.Now(), s.largeBatches.Load() // now that those who store had their turn
				from, err := s.lockFloors(ctx, ses)
				if err != nil {
					return err
				}
				if more = from != nil; !more {
					return nil // another process is at it
				}
				more, err = do(ctx, ses, from, least)
				return err
			})
			if err != nil {
				return err
			}
			pause := time.Since(began)
			if stored > before {
				pause *= restOfLoad
			}
			if rests && !rest(ctx, pause) {
				return ctx.Err()
			}
		}
	}
	return nil
}

// lockFloors keeps all others from tidying until the transaction ends, and from deleting events for
// their age; nil where another is at it. It comes first, so that each statement after it sees all
// that the one before has done.
func (s *Store) lockFloors(ctx context.Context, ses session) (*floors, error) {
	query := selectFloors
	if lock := s.d.forUpdate(); lock != "" {
		query += lock + " SKIP LOCKED"
	}
	var found []floors
	if err := ses.SelectContext(ctx, &found, query); err != nil || len(found) == 0 {
		return nil, err
	}
	if err := s.upToDate(ctx, ses); err != nil {
		return nil, err
	}
	s.known.Store(&found[0])
	return &found[0], nil
}

// read adds rows to the buckets of the widths that into names, and closes them.
func (m rollupCounts) read(rows *sql.Rows, into func(rollupKey) []time.Duration) error {
	defer rows.Close()
	for rows.Next() {
		var key rollupKey
		var n rollupCount
		if err := rows.Scan(&key.bucket, &key.processed, &key.kind, &key.name, &key.severity, &key.source, &n.events, &n.sampled); err != nil {
			return err
		}
		key.bucket = key.bucket.UTC()
		at := key.bucket
		for _, key.width = range into(key) {
			key.bucket = at.Truncate(key.width)
			m.merge(key, n)
		}
	}
	return rows.Err()
}

const (
	nextMissing = `SELECT max(day) FROM rollup_missing`
	fillMissing = `DELETE FROM rollup_missing WHERE day = $1`
	dropCounts  = `
DELETE FROM rollups WHERE width IN (60, 3600, 86400) AND bucket >= $1 AND bucket < $1::timestamptz + interval '1 day'`
	// countsOfDay has the name of a unit between its parts.
	countsOfDay = `
SELECT date_trunc('%s', ts) AS bucket, processed, event_type, event_name, severity, coalesce(source, '') AS source,
    count(*) AS events, count(*) FILTER (WHERE sample_rate < 1) AS sampled
FROM events WHERE ts >= $1 AND ts < $1::timestamptz + interval '1 day' GROUP BY 1, 2, 3, 4, 5, 6`
)

// fill rolls up one missing day, the newest first.
func (s *Store) fill(ctx context.Context, ses session, from *floors, _ int) (more bool, err error) {
	var missing sql.NullTime
	if err := ses.GetContext(ctx, &missing, nextMissing); err != nil || !missing.Valid {
		return false, err
	}
	of, unit := missing.Time.UTC(), "hour"
	if of.Add(day).After(from.Minute) {
		unit = "minute"
	}
	rows, err := s.replacing(ctx, ses, fmt.Sprintf(countsOfDay, unit), []string{fillMissing, dropCounts}, of)
	if err != nil {
		return false, err
	}
	counts := rollupCounts{}
	err = counts.read(rows.Rows, func(key rollupKey) (widths []time.Duration) {
		for _, width := range countLevels {
			if !key.bucket.Before(from.of(width)) && (width != minute || unit == "minute") {
				widths = append(widths, width)
			}
		}
		return widths
	})
	if err != nil {
		return false, err
	}
	if err := s.keepCounts(ctx, ses, counts, false); err != nil {
		return false, err
	}
	for _, width := range countLevels {
		within := func(args *arguments) string {
			return "bucket >= " + args.bind(of) + " AND bucket < " + args.bind(of.Add(day))
		}
		if err := s.total(ctx, ses, width, within); err != nil {
			return false, err
		}
	}
	if err := s.fillUsers(ctx, ses, of, from); err != nil {
		return false, err
	}
	return true, s.resketch(ctx, ses, of, from)
}

// replacing deletes and then asks, all at one moment: the deletions see what the question sees, and
// who stores after it adds rows of its own. All take the same argument.
func (s *Store) replacing(ctx context.Context, ses session, query string, deletions []string, arg any) (*sqlx.Rows, error) {
	if s.d.alone() { // the transaction is of one moment
		for _, deletion := range deletions {
			if _, err := ses.ExecContext(ctx, deletion, arg); err != nil {
				return nil, err
			}
		}
		return ses.QueryxContext(ctx, query, arg)
	}
	var with strings.Builder
	for i, deletion := range deletions {
		fmt.Fprintf(&with, "gone%d AS (%s), ", i, deletion)
	}
	return ses.QueryxContext(ctx, "WITH "+strings.TrimSuffix(with.String(), ", ")+query, arg)
}
