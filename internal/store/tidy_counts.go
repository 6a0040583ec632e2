package store

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"time"
)

// untidyBucket is one that rows were added to.
type untidyBucket struct {
	Width  int       `db:"width"`
	Bucket time.Time `db:"bucket"`
	Fresh  int       `db:"fresh"`
	Lost   int64     `db:"lost"`
}

func (b *untidyBucket) width() time.Duration { return time.Duration(b.Width) * time.Second }

// step are the first of some buckets in the order of their widths: as many of one width as have so
// many fresh rows together, but one at least.
func step(buckets []untidyBucket, rows int) (width time.Duration, at []time.Time) {
	for i := range buckets {
		b := &buckets[i]
		if rows -= b.Fresh; i > 0 && (rows < 0 || b.Width != buckets[0].Width) {
			break
		}
		width, at = b.width(), append(at, b.Bucket.UTC())
	}
	return width, at
}

// truncated are the buckets of a width that others lie in, in order.
func truncated(buckets []time.Time, width time.Duration) (wider []time.Time) {
	for _, at := range buckets {
		wider = append(wider, at.Truncate(width))
	}
	slices.SortFunc(wider, time.Time.Compare)
	return slices.Compact(wider)
}

// within is the condition that a row's bucket is one of some, in order. The ends say it again, since
// DuckDB passes over parts of a table by them.
func within(buckets []time.Time, s *Store, args *arguments) string {
	return "bucket >= " + args.bind(buckets[0]) + " AND bucket <= " + args.bind(buckets[len(buckets)-1]) +
		" AND bucket IN (SELECT unnest(" + args.bind(s.d.texts(stamps(buckets))) + "::text[])::timestamptz)"
}

// taking reads rows of a table and deletes them, all at one moment. The condition binds its own
// arguments.
func (s *Store) taking(ctx context.Context, ses session, table, columns string, condition func(*arguments) string, each func(*sql.Rows) error) error {
	var args arguments
	where := " FROM " + table + " WHERE " + condition(&args)
	query := "DELETE" + where + " RETURNING " + columns
	if s.d.alone() { // the transaction is of one moment, and what a deletion returns is read row by row
		query = "SELECT " + columns + where
	}
	rows, err := ses.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := each(rows); err != nil {
			return err
		}
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil || !s.d.alone() {
		return err
	}
	_, err = ses.ExecContext(ctx, "DELETE"+where, args...)
	return err
}

const (
	// untidyAtOnce is how many buckets a step looks at, and countsAtOnce how many rows it takes.
	untidyAtOnce = 1_000
	countsAtOnce = 100_000
	untidyCounts = `
SELECT width, bucket, count(*) AS fresh FROM rollups WHERE fresh GROUP BY width, bucket HAVING count(*) >= $1
ORDER BY width, bucket LIMIT $2`

	// sumCounts has the rows between its parts, and behind it the widths that each is put into.
	sumCounts = `
SELECT date_trunc(level.unit, part.bucket), sum(events)::bigint, sum(sampled)::bigint, level.width, processed, false,
    event_type, event_name, severity, source FROM (`
	intoLevels = `) AS part
JOIN (VALUES (60, 'minute', $1::timestamptz), (3600, 'hour', $2::timestamptz), (86400, 'day', $3::timestamptz)) AS level (width, unit, since)
    ON part.fresh AND level.width >= part.width AND part.bucket >= level.since OR NOT part.fresh AND level.width = part.width
GROUP BY 1, 4, 5, 7, 8, 9, 10 HAVING sum(events) <> 0 OR sum(sampled) <> 0
ORDER BY 4, 1` // side by side what is read together

	lastOfCounts = `SELECT coalesce(max(rowid), -1) FROM rollups`
)

// tidyCounts puts the fresh rows of some buckets into the buckets of all widths. The database does
// it all: the rows are many and small.
func (s *Store) tidyCounts(ctx context.Context, ses session, from *floors, least int) (more bool, err error) {
	var buckets []untidyBucket
	if err := ses.SelectContext(ctx, &buckets, untidyCounts, least, untidyAtOnce); err != nil || len(buckets) == 0 {
		return false, err
	}
	width, list := step(buckets, countsAtOnce)
	rows := []func(args *arguments) string{func(args *arguments) string {
		return "fresh AND width = " + args.bind(int32(width/time.Second)) + " AND " + within(list, s, args)
	}}
	for _, w := range countLevels {
		if w < width {
			continue
		}
		rows = append(rows, func(args *arguments) string {
			return "NOT fresh AND width = " + args.bind(int32(w/time.Second)) + " AND " + within(truncated(list, w), s, args)
		})
	}
	if err := s.sumCounts(ctx, ses, from, rows); err != nil {
		return false, err
	}
	for _, w := range countLevels {
		if w < width {
			continue
		}
		if err := s.total(ctx, ses, w, func(args *arguments) string { return within(truncated(list, w), s, args) }); err != nil {
			return false, err
		}
	}
	return len(list) < len(buckets) || len(buckets) == untidyAtOnce, nil
}

// sumCounts replaces rows by their sums. They are given by conditions that exclude each other, the
// fresh ones and the tidy ones that these are added to.
func (s *Store) sumCounts(ctx context.Context, ses session, from *floors, rows []func(*arguments) string) error {
	args := arguments{from.Minute, from.Hour, from.Day}
	insert := "INSERT INTO rollups (" + strings.Join(rollupColumns, ", ") + ") "
	if !s.d.alone() { // one statement, so that it sums what it deletes
		with, parts := make([]string, len(rows)), make([]string, len(rows))
		for i, condition := range rows {
			name := "gone" + string(rune('0'+i))
			with[i] = name + " AS (DELETE FROM rollups WHERE " + condition(&args) + " RETURNING *)"
			parts[i] = "SELECT * FROM " + name
		}
		_, err := ses.ExecContext(ctx, "WITH "+strings.Join(with, ", ")+" "+insert+sumCounts+strings.Join(parts, " UNION ALL ")+intoLevels, args...)
		return err
	}
	var last int64
	if err := ses.GetContext(ctx, &last, lastOfCounts); err != nil {
		return err
	}
	parts := make([]string, len(rows))
	for i, condition := range rows {
		parts[i] = "SELECT * FROM rollups WHERE " + condition(&args)
	}
	if _, err := ses.ExecContext(ctx, insert+sumCounts+strings.Join(parts, " UNION ALL ")+intoLevels, args...); err != nil {
		return err
	}
	for _, condition := range rows {
		args := arguments{last}
		if _, err := ses.ExecContext(ctx, "DELETE FROM rollups WHERE rowid <= $1 AND "+condition(&args), args...); err != nil {
			return err
		}
	}
	return nil
}
