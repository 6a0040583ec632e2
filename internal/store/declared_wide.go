package store

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"time"
)

// Declared numbers of many days, see wide.go. Dimensions have none: a value that one day puts away for
// its budget another keeps.

// wideNumbers is where those of a declaration are.
func wideNumbers(d *declaration) wideSource {
	return wideSource(" FROM rollup_values WHERE declaration = " + strconv.FormatInt(d.ID, 10) + " AND")
}

// mergeWide adds what is added to days to the wide buckets that there are of them.
func (s *Store) mergeWide(ctx context.Context, ses session, all *declarations, days portions) error {
	if len(days) == 0 {
		return nil
	}
	dates := slices.SortedFunc(maps.Keys(days), time.Time.Compare)
	first, end := dates[0], dates[len(dates)-1].Add(day)
	deltas := map[time.Duration]portions{}
	for i := range all.list {
		if !all.list[i].spec.Number {
			continue
		}
		there, err := wideNumbers(&all.list[i]).between(ctx, ses, first.Add(-wideLevels[0]), end)
		if err != nil {
			return err
		}
		for _, b := range there {
			if deltas[b.width] == nil {
				deltas[b.width] = portions{}
			}
			if err := days.into(b, i, all, deltas[b.width]); err != nil {
				return err
			}
		}
	}
	for width, of := range deltas {
		if err := s.mergeDeclared(ctx, ses, all, width, of); err != nil {
			return err
		}
	}
	return nil
}

// into puts what there is in a bucket of one of the numbers together.
func (p portions) into(b wideBucket, number int, all *declarations, sums portions) error {
	for at, list := range p {
		if at.Before(b.at) || !at.Before(b.end()) {
			continue
		}
		for name, x := range list[number] {
			if err := sums.at(b.at, all)[number].at(name, true).join(x); err != nil {
				return err
			}
		}
	}
	return nil
}

// fillWideNumbers writes one wide bucket of a number that is over and not there.
func (s *Store) fillWideNumbers(ctx context.Context, ses session, from *floors, least int) (more bool, err error) {
	if least > 1 {
		return false, nil // now and then is enough
	}
	all, err := s.declarations(ctx, ses)
	if err != nil {
		return false, err
	}
	for i := range all.list {
		d := &all.list[i]
		if !d.spec.Number {
			continue
		}
		b, ok, err := s.lackingWide(ctx, ses, wideNumbers(d), slices.MaxFunc([]time.Time{from.Day, d.Since}, time.Time.Compare))
		if err != nil {
			return false, err
		}
		if ok {
			return true, s.writeWide(ctx, ses, all, i, b)
		}
	}
	return false, nil
}

// writeWide makes a wide bucket of one of the numbers, of narrower ones where those are there.
func (s *Store) writeWide(ctx context.Context, ses session, all *declarations, number int, b wideBucket) error {
	of := wideNumbers(&all.list[number])
	wide, err := of.between(ctx, ses, b.at, b.end())
	if err != nil {
		return err
	}
	parts := portions{}
	for _, p := range widen(nil, []piece{{width: day, from: b.at, to: b.end()}}, wide) {
		var args arguments
		rows, err := ses.QueryContext(ctx, "SELECT bucket, declaration, coalesce(event_name, ''), data"+string(of)+" "+p.tidyRows(&args), args...)
		if err != nil {
			return err
		}
		if err := parts.read(rows, all); err != nil {
			return err
		}
	}
	sum := portions{}
	if err := parts.into(b, number, all, sum); err != nil {
		return err
	}
	return s.keepDeclared(ctx, ses, all, b.width, sum)
}
