package store

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/tidemark-obs/tidemark/internal/question"
)

// Rows of many days. Once such a time is over, the rows of its days are put together, one for all events
// and one for each name; so a question about months reads some of them instead of a row a day. They
// say what the tidy rows of their days say, at every moment: what is added to a day is added to them, and
// when a day is made anew they go, until they are written again. Fresh rows count beside them as beside
// the days. There need not be any. Sketches of ids have them (wide_ids.go), and declared numbers
// (declared_wide.go).

// wideLevels are the widths of such times, from the widest.
var wideLevels = []time.Duration{32 * day, 8 * day}

// wideGrace is how long after its end a time is written, since most late events are in by then.
const wideGrace = time.Hour

// wideSource begins a statement's conditions on the rows of a table that has such times.
type wideSource string

// buckets are the wide ones from a moment on that follows, by the row that each has for all events.
func (of wideSource) buckets() string {
	return string(of) + " width IN (691200, 2764800) AND NOT fresh AND event_name IS NULL AND bucket >= "
}

// days are those that $1 and $2 are the ends of.
func (of wideSource) days() string {
	return "SELECT bucket" + string(of) + " width = 86400 AND NOT fresh AND event_name IS NULL AND bucket >= $1 AND bucket < $2"
}

// wideBucket is one that there is.
type wideBucket struct {
	width time.Duration
	at    time.Time
}

func (b wideBucket) end() time.Time { return b.at.Add(b.width) }

const (
	// aboutDay are the wide buckets that the day $1 lies in.
	aboutDay = `(width = 691200 AND bucket > $1::timestamptz - interval '8 days' AND bucket <= $1
    OR width = 2764800 AND bucket > $1::timestamptz - interval '32 days' AND bucket <= $1)`
	missingDays = `SELECT day FROM rollup_missing`
)

// selecter is a session or a transaction that only reads.
type selecter interface {
	SelectContext(ctx context.Context, dest any, query string, args ...any) error
}

// between are those that begin in a time, from the widest.
func (of wideSource) between(ctx context.Context, db selecter, from, to time.Time) ([]wideBucket, error) {
	var rows []untidyBucket
	query := "SELECT width, bucket" + of.buckets() + "$1 AND bucket < $2 ORDER BY width DESC, bucket"
	if err := db.SelectContext(ctx, &rows, query, from, to); err != nil {
		return nil, err
	}
	list := make([]wideBucket, len(rows))
	for i := range rows {
		list[i] = wideBucket{rows[i].width(), rows[i].Bucket.UTC()}
	}
	return list, nil
}

// widen puts wide buckets, of which there may be others, too, in the place of days, where they lie within
// one bucket of a calendar.
func widen(c *question.Calendar, list []piece, wide []wideBucket) []piece {
	if c != nil {
		wide = slices.DeleteFunc(slices.Clone(wide), func(b wideBucket) bool { return c.Number(b.at) != c.Number(b.end().Add(-1)) })
	}
	var parts []piece
	for _, p := range list {
		if p.width == day {
			parts = append(parts, covered(p, wide)...)
		} else {
			parts = append(parts, p)
		}
	}
	return parts
}

// covered divides a piece of days into those of the buckets, from the widest, that lie in it and
// overlap no other, and into days about them.
func covered(p piece, wide []wideBucket) []piece {
	parts := []piece{p}
	for _, b := range wide {
		i := slices.IndexFunc(parts, func(p piece) bool { return p.width == day && !b.at.Before(p.from) && !b.end().After(p.to) })
		if i < 0 {
			continue
		}
		of := parts[i]
		parts = slices.Replace(parts, i, i+1, piece{width: day, from: of.from, to: b.at},
			piece{width: b.width, from: b.at, to: b.end()}, piece{width: day, from: b.end(), to: of.to})
	}
	parts = slices.DeleteFunc(parts, func(p piece) bool { return !p.from.Before(p.to) })
	joined := parts[:1]
	for _, p := range parts[1:] {
		if last := &joined[len(joined)-1]; last.width == p.width {
			last.to = p.to
		} else {
			joined = append(joined, p)
		}
	}
	return joined
}

// lackingWide is a wide bucket from a moment on that is to be written, a narrow one first: wider ones
// are made of those. Of one day alone it would be the same as the day.
func (s *Store) lackingWide(ctx context.Context, ses session, of wideSource, from time.Time) (next wideBucket, ok bool, err error) {
	over := micro(s.cfg.Now().Add(-wideGrace))
	var days, missing []time.Time
	if err := errors.Join(ses.SelectContext(ctx, &days, of.days(), from, over), ses.SelectContext(ctx, &missing, missingDays)); err != nil || len(days) < 2 {
		return next, false, err
	}
	there, err := of.between(ctx, ses, from, over)
	if err != nil {
		return next, false, err
	}
	for _, w := range slices.Backward(wideLevels) {
		count := map[wideBucket]int{}
		for _, at := range days {
			count[wideBucket{w, at.UTC().Truncate(w)}]++
		}
		for _, at := range missing {
			delete(count, wideBucket{w, at.UTC().Truncate(w)})
		}
		for _, b := range there {
			delete(count, b)
		}
		for b, n := range count {
			if n > 1 && !b.end().After(over) && !b.at.Before(from) && b.at.After(next.at) {
				next, ok = b, true
			}
		}
		if ok {
			break
		}
	}
	return next, ok, nil
}
