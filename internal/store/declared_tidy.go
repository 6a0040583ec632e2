package store

import (
	"context"
	"database/sql"
	"slices"
	"time"

	"github.com/tidemark-obs/tidemark/internal/rollup"
)

const (
	// daysAtOnce are those that a step tidies.
	daysAtOnce = 4

	// unfilled is safe beside those who store: what it does not see goes later.
	unfilled = `
DELETE FROM rollup_values WHERE fresh AND EXISTS (
    SELECT 1 FROM declarations d WHERE d.id = rollup_values.declaration AND rollup_values.bucket < d.since)`

	// A row that has shrunk stays where events may be gone of which to make the others anew: who
	// asks for its day is answered from the events that are left. $2 is from when on all are there.
	freshDays = `
SELECT DISTINCT date_trunc('day', bucket) FROM (
    SELECT r.bucket FROM rollup_values r JOIN declarations d ON d.id = r.declaration
    WHERE r.fresh AND r.bucket >= d.since AND NOT (r.shrunk AND date_trunc('day', r.bucket) < $2) GROUP BY r.bucket HAVING count(*) >= $1) AS hours
ORDER BY 1 LIMIT $3`
)

// tidyDeclared puts the fresh rows of some days together with the others of their hours and days.
// Rows of hours that are not filled yet go: all events of these are counted when they are.
func (s *Store) tidyDeclared(ctx context.Context, ses session, from *floors, least int) (more bool, err error) {
	all, err := s.declarations(ctx, ses)
	if err != nil || len(all.list) == 0 {
		return false, err
	}
	if slices.ContainsFunc(all.list, func(d declaration) bool { return d.Since.After(dawn) }) {
		if _, err := ses.ExecContext(ctx, unfilled); err != nil {
			return false, err
		}
	}
	var days []time.Time
	if err := ses.SelectContext(ctx, &days, freshDays, least, from.Events, daysAtOnce+1); err != nil {
		return false, err
	}
	for i, today := range days {
		if i == daysAtOnce {
			break
		}
		if err := s.tidyDay(ctx, ses, all, today.UTC(), from); err != nil {
			return false, err
		}
	}
	return len(days) > daysAtOnce, nil
}

func (s *Store) tidyDay(ctx context.Context, ses session, all *declarations, today time.Time, from *floors) error {
	hours, shrunk, err := s.takeFresh(ctx, ses, all, today, from)
	if err != nil {
		return err
	}
	days, err := hours.days(all)
	if err != nil {
		return err
	}
	if err := s.mergeDeclared(ctx, ses, all, hour, hours.since(from.Hour)); err != nil {
		return err
	}
	days = days.since(from.Day)
	if err := s.mergeDeclared(ctx, ses, all, day, days); err != nil {
		return err
	}
	if err := s.mergeWide(ctx, ses, all, days); err != nil {
		return err
	}
	return s.remake(ctx, ses, all, today, shrunk, from)
}

// takeFresh takes the fresh rows of a day, and says of which hours declarations have shrunk.
func (s *Store) takeFresh(ctx context.Context, ses session, all *declarations, today time.Time, from *floors) (hours portions, shrunk map[time.Time][]int64, err error) {
	condition := func(args *arguments) string {
		first, events := args.bind(today)+"::timestamptz", args.bind(from.Events)
		return "fresh AND bucket >= " + first + " AND bucket < " + first + " + interval '1 day' AND NOT (shrunk AND " + first + " < " + events +
			") AND EXISTS (SELECT 1 FROM declarations d WHERE d.id = rollup_values.declaration AND rollup_values.bucket >= d.since)"
	}
	hours, shrunk = portions{}, map[time.Time][]int64{}
	err = s.taking(ctx, ses, "rollup_values", "bucket, declaration, shrunk, data", condition, func(rows *sql.Rows) error {
		var at time.Time
		var id int64
		var gone bool
		var data sql.RawBytes
		if err := rows.Scan(&at, &id, &gone, &data); err != nil {
			return err
		}
		i := all.place(id)
		if i < 0 {
			return nil
		}
		at = at.UTC()
		if gone && !slices.Contains(shrunk[at], id) {
			shrunk[at] = append(shrunk[at], id)
		}
		m := hours.at(at, all)[i]
		return rollup.Parts(data, func(name string, part []byte) error {
			return m.at(name, all.list[i].spec.Number).merge(part, true)
		})
	})
	if err != nil {
		return nil, nil, err
	}
	return hours, shrunk, hours.total(all)
}

// takeDay takes away what there is of a day, and of the wide buckets that it lies in.
func takeDay(ids string) string {
	return `DELETE FROM rollup_values WHERE declaration IN (` + ids + `) AND NOT fresh AND (width = 86400 AND bucket = $1 OR ` + aboutDay + `)`
}

func hoursOfDay(ids string) string {
	return `
SELECT bucket, declaration, coalesce(event_name, ''), data FROM rollup_values
WHERE declaration IN (` + ids + `) AND width = 3600 AND bucket >= $1 AND bucket < $1::timestamptz + interval '1 day' AND NOT fresh`
}

// remake makes rows anew where something was deleted that cannot be taken out of them: those of
// hours from the events, and those of the day from its hours.
func (s *Store) remake(ctx context.Context, ses session, all *declarations, today time.Time, shrunk map[time.Time][]int64, from *floors) error {
	var touched []int64
	for at, ids := range shrunk {
		some, err := all.only(func(d *declaration) bool { return slices.Contains(ids, d.ID) })
		if err != nil {
			return err
		}
		hours, err := s.recountHours(ctx, ses, some, at, at.Add(hour))
		if err != nil {
			return err
		}
		if err := s.keepDeclared(ctx, ses, some, hour, hours.since(from.Hour)); err != nil {
			return err
		}
		touched = append(touched, ids...)
	}
	if len(touched) == 0 {
		return nil
	}
	some, err := all.only(func(d *declaration) bool { return slices.Contains(touched, d.ID) })
	if err != nil {
		return err
	}
	if _, err := ses.ExecContext(ctx, takeDay(some.ids()), today); err != nil {
		return err
	}
	hours := portions{}
	if today.Before(from.Hour) { // not all of its hours are kept any more
		if hours, err = s.recountHours(ctx, ses, some, today, today.Add(day)); err == nil {
			hours.filled(some)
			err = s.keepDeclared(ctx, ses, some, hour, hours.since(from.Hour))
		}
	} else if rows, asked := ses.QueryContext(ctx, hoursOfDay(some.ids()), today); asked != nil {
		err = asked
	} else {
		err = hours.read(rows, some)
	}
	if err != nil {
		return err
	}
	days, err := hours.days(some)
	if err != nil {
		return err
	}
	return s.keepDeclared(ctx, ses, some, day, days)
}

// settleDeclared takes what was taken away, and texts with it, out of the rows of now. It waits for
// others who tidy.
func (s *Store) settleDeclared(ctx context.Context) error {
	for _, do := range []func(context.Context, session, *floors, int) (bool, error){s.tidyDeclared, s.dropDeclared} {
		for more := true; more; {
			err := s.transact(ctx, "INSERT rollups", func(ctx context.Context, ses session) error {
				var from floors
				if err := ses.GetContext(ctx, &from, selectFloors+s.d.forUpdate()); err != nil {
					return err
				}
				var err error
				more, err = do(ctx, ses, &from, 1)
				return err
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}
