package store

import (
	"context"
	"errors"
	"slices"
	"time"
)

// Sketches of many days, see wide.go.

const (
	wideIDs  wideSource = " FROM rollup_ids WHERE"
	dropWide            = "DELETE FROM rollup_ids WHERE " + aboutDay
)

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
			if err := errors.Join(into.users.Union(&pair.users), into.sessions.Union(&pair.sessions)); err != nil {
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
