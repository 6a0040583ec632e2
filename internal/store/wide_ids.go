package store

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/tidemark-obs/tidemark/internal/question"
)

// Sketches of many days. Once such a time is over, the sketches of its days are put together, a row
// for all events and one for each name; so a question about months reads some of them instead of a
// sketch a day. They say what the tidy rows of their days say, at every moment: what is added to a
// day is added to them, and when a day is made anew they go, until they are written again. Fresh rows
// count beside them as beside the days. There need not be any.

// wideLevels are the widths of such times, from the widest.
var wideLevels = []time.Duration{32 * day, 8 * day}

// wideGrace is how long after its end a time is written, since most late events are in by then.
const wideGrace = time.Hour

// wideSource begins a statement's conditions on the rows of a table that has such times.
type wideSource string

const wideIDs wideSource = " FROM rollup_ids WHERE"

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
	dropWide    = "DELETE FROM rollup_ids WHERE " + aboutDay
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

// wideOf takes the rows of the wide buckets that days lie in, of the names that they have, and adds
// the days. They are what has yet to be added to those days.
func (s *Store) wideOf(ctx context.Context, ses session, days sketches) (sketches, error) {
	var dates []time.Time
	for key := range days {
		if key.width == day {
			dates = append(dates, key.bucket)
		}
	}
	if len(dates) == 0 {
		return nil, nil
	}
	first, last := slices.MinFunc(dates, time.Time.Compare), slices.MaxFunc(dates, time.Time.Compare)
	there, err := wideIDs.between(ctx, ses, first.Add(-wideLevels[0]), last.Add(day))
	if err != nil || len(there) == 0 {
		return nil, err
	}
	m, names := sketches{}, map[wideBucket][]string{}
	for key, pair := range days {
		for _, w := range wideLevels {
			b := wideBucket{w, key.bucket.Truncate(w)}
			if key.width != day || !slices.Contains(there, b) {
				continue
			}
			names[b] = append(names[b], key.name)
			into := m.at(sketchKey{b.at, b.width, key.named, key.name})
			into.lost += pair.lost
			if err := errors.Join(into.users.union(&pair.users), into.sessions.union(&pair.sessions)); err != nil {
				return nil, err
			}
		}
	}
	for b, list := range names {
		condition := func(args *arguments) string {
			return "NOT fresh AND width = " + args.bind(int32(b.width/time.Second)) + " AND bucket = " + args.bind(b.at) +
				" AND (event_name IS NULL OR event_name IN (SELECT unnest(" + args.bind(s.d.texts(list)) + "::text[])))"
		}
		same := func(time.Time) []time.Duration { return []time.Duration{b.width} }
		if err := s.taking(ctx, ses, "rollup_ids", takenOfIDs, condition, m.taker(same, map[time.Time]bool{})); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// fillWide writes one wide bucket that is over and not there.
func (s *Store) fillWide(ctx context.Context, ses session, from *floors, least int) (more bool, err error) {
	if least > 1 {
		return false, nil // now and then is enough
	}
	b, ok, err := s.lackingWide(ctx, ses, wideIDs, from.Day)
	if err != nil || !ok {
		return false, err
	}
	wide, err := wideIDs.between(ctx, ses, b.at, b.end())
	if err != nil {
		return false, err
	}
	list := widen(nil, []piece{{width: day, from: b.at, to: b.end()}}, wide)
	m := sketches{}
	into := func(time.Time) []time.Duration { return []time.Duration{b.width} }
	for _, p := range list {
		if err := m.copy(ctx, ses, p, into); err != nil {
			return false, err
		}
	}
	return true, s.keepSketches(ctx, ses, m, false)
}

// copy adds the tidy rows of a piece to the buckets of the widths that into names.
func (m sketches) copy(ctx context.Context, ses session, p piece, into func(time.Time) []time.Duration) error {
	const query = "SELECT " + takenOfIDs + " FROM rollup_ids WHERE NOT fresh AND width = $1 AND bucket >= $2 AND bucket < $3"
	rows, err := ses.QueryContext(ctx, query, int32(p.width/time.Second), p.from, p.to)
	if err != nil {
		return err
	}
	defer rows.Close()
	for take := m.taker(into, map[time.Time]bool{}); rows.Next(); {
		if err := take(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// lackingWide is a wide bucket from a moment on that is to be written, a narrow one first: wider ones are made of
// those. Of one day alone it would be the same as the day.
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
