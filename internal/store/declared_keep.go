package store

import (
	"context"
	"database/sql"
	"maps"
	"slices"
	"strconv"
	"time"
)

const (
	// wantEvery is how often a process says that it wants its declarations, and unwantedFor how
	// long one stays that nobody wants: a replica may be down for a while.
	wantEvery   = 5 * time.Minute
	unwantedFor = time.Hour

	selectWanted = `SELECT id, budget, wanted_at FROM declarations`
	newestEvent  = `SELECT max(ts) FROM events`
	insertWanted = `INSERT INTO declarations (id, spec, budget, wanted_at, since) VALUES ($1, $2, $3, $4, $5)`
	updateWanted = `UPDATE declarations SET budget = $2, wanted_at = $3 WHERE id = $1`
	dropUnwanted = `DELETE FROM declarations WHERE id = $1 AND wanted_at = $2`
	rowsOf       = `DELETE FROM rollup_values WHERE declaration = $1`
)

// dawn is before all events.
var dawn = time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)

// wanting is what is to be done about declarations.
type wanting struct {
	added, renewed []declaration
	dropped        []wantedRow
}

type wantedRow struct {
	ID       int64
	Budget   int
	WantedAt time.Time `db:"wanted_at"`
}

func (w *wanting) nothing() bool { return len(w.added)+len(w.renewed)+len(w.dropped) == 0 }

// wanting compares what is declared with what stands in the database.
func (s *Store) wanting(ctx context.Context, ses session, now time.Time) (w wanting, err error) {
	own, err := declarationsOf(s.cfg.Declared)
	if err != nil {
		return w, err
	}
	var rows []wantedRow
	if err := ses.SelectContext(ctx, &rows, selectWanted); err != nil {
		return w, err
	}
	for _, d := range own {
		at := slices.IndexFunc(rows, func(r wantedRow) bool { return r.ID == d.ID })
		switch {
		case at < 0:
			w.added = append(w.added, d)
		case rows[at].Budget != d.Budget || now.Sub(rows[at].WantedAt) >= wantEvery:
			w.renewed = append(w.renewed, d)
		}
	}
	if s.cfg.Guest {
		return w, nil
	}
	for _, r := range rows {
		wanted := slices.ContainsFunc(own, func(d declaration) bool { return d.ID == r.ID })
		if !wanted && (s.d.alone() || now.Sub(r.WantedAt) >= unwantedFor) {
			w.dropped = append(w.dropped, r)
		}
	}
	return w, nil
}

// declare brings what is declared into the database.
func (s *Store) declare(ctx context.Context, ses session, _ *floors, _ int) (more bool, err error) {
	now := micro(s.cfg.Now())
	w, err := s.wanting(ctx, ses, now)
	if err != nil || w.nothing() {
		return false, err
	}
	for _, r := range w.dropped {
		if _, err := ses.ExecContext(ctx, dropUnwanted, r.ID, r.WantedAt); err != nil {
			return false, err
		}
	}
	for _, d := range w.renewed {
		if _, err := ses.ExecContext(ctx, updateWanted, d.ID, d.Budget, now); err != nil {
			return false, err
		}
	}
	if len(w.added) == 0 {
		return false, nil
	}
	// What is being stored at this moment comes to an end first, and counts as stored before.
	if err := s.d.still(ctx, ses); err != nil {
		return false, err
	}
	since, err := s.eventsBefore(ctx, ses, newestEvent)
	if err != nil {
		return false, err
	}
	for _, d := range w.added {
		if _, err := ses.ExecContext(ctx, rowsOf, d.ID); err != nil {
			return false, err
		}
		if _, err := ses.ExecContext(ctx, insertWanted, d.ID, d.Spec, d.Budget, now, since); err != nil {
			return false, err
		}
	}
	return false, nil
}

// eventsBefore is the end of the hour of the newest event that a query finds, or dawn.
func (s *Store) eventsBefore(ctx context.Context, ses session, query string, args ...any) (time.Time, error) {
	var newest sql.NullTime
	if err := ses.GetContext(ctx, &newest, query, args...); err != nil || !newest.Valid {
		return dawn, err
	}
	return newest.Time.UTC().Truncate(hour).Add(hour), nil
}

const (
	newestOlder = `SELECT max(ts) FROM events WHERE ts < $1`
	filledTo    = `UPDATE declarations SET since = $1 WHERE since = $2`
	// fillAtOnce is how many events are counted in one step, unless an hour has more.
	fillAtOnce = 100_000
	countUpTo  = `SELECT count(*) FROM (SELECT 1 FROM events WHERE ts >= $1 AND ts < $2 LIMIT $3) AS found`
)

// declaredFloor is how far back declarations are filled: before it events may be gone.
func declaredFloor(from *floors) time.Time {
	if from.Events.After(dawn) {
		return up(from.Events.UTC(), hour)
	}
	return dawn
}

// fillDeclared counts the events of a day of which declarations do not know yet, or of an hour
// where there are many, the newest first. It takes the rows of the hours away and reads the events
// at one moment: who stores or deletes after it adds rows of its own.
func (s *Store) fillDeclared(ctx context.Context, ses session, from *floors, _ int) (more bool, err error) {
	all, err := s.declarations(ctx, ses)
	if err != nil {
		return false, err
	}
	since, floor := dawn, declaredFloor(from)
	for i := range all.list {
		if d := &all.list[i]; d.Since.After(since) {
			since = d.Since.UTC()
		}
	}
	if !since.After(floor) {
		return false, nil
	}
	end, err := s.eventsBefore(ctx, ses, newestOlder, since)
	if err != nil {
		return false, err
	}
	begin := floor
	if end.After(floor) {
		if begin, err = s.fillingFrom(ctx, ses, end); err != nil {
			return false, err
		}
		if begin.Before(floor) {
			begin = floor
		}
	}
	due, err := all.only(func(d *declaration) bool { return d.Since.Equal(since) })
	if err != nil {
		return false, err
	}
	// Hours without events too: what deletions took away of them was never added.
	hours, err := s.recountHours(ctx, ses, due, begin, since)
	if err != nil {
		return false, err
	}
	days, err := hours.days(due) // before values of the hours are put away
	if err != nil {
		return false, err
	}
	if err := s.keepDeclared(ctx, ses, due, hour, hours.since(from.Hour)); err != nil {
		return false, err
	}
	if err := s.mergeDeclared(ctx, ses, due, day, days.since(from.Day)); err != nil {
		return false, err
	}
	_, err = ses.ExecContext(ctx, filledTo, begin, since)
	return true, err
}

// fillingFrom is where the step begins that ends at an hour's end.
func (s *Store) fillingFrom(ctx context.Context, ses session, end time.Time) (time.Time, error) {
	last := end.Add(-hour)
	var events int
	err := ses.GetContext(ctx, &events, countUpTo, last.Truncate(day), end, fillAtOnce+1)
	if err != nil || events > fillAtOnce {
		return last, err
	}
	return last.Truncate(day), nil
}

// portions are what there is in buckets, of each declaration in the order of the list.
type portions map[time.Time][]byName

func (p portions) at(t time.Time, all *declarations) []byName {
	list := p[t]
	if list == nil {
		list = make([]byName, len(all.list))
		for i := range list {
			list[i] = byName{}
		}
		p[t] = list
	}
	return list
}

// since leaves out what is older.
func (p portions) since(from time.Time) portions {
	kept := portions{}
	for at, list := range p {
		if !at.Before(from) {
			kept[at] = list
		}
	}
	return kept
}

// filled leaves out of hours what is added to their days when declarations have come to them.
func (p portions) filled(all *declarations) {
	for at, list := range p {
		for i := range list {
			if at.Before(all.list[i].Since) {
				list[i] = byName{}
			}
		}
	}
}

// days puts hours together.
func (p portions) days(all *declarations) (portions, error) {
	days := portions{}
	for at, list := range p {
		whole := days.at(at.Truncate(day), all)
		for i, m := range list {
			for name, x := range m {
				if err := whole[i].at(name, all.list[i].spec.Number).join(x); err != nil {
					return nil, err
				}
			}
		}
	}
	return days, nil
}

// total adds what all names have together.
func (p portions) total(all *declarations) error {
	for _, list := range p {
		for i, m := range list {
			if len(m) == 0 {
				continue
			}
			sum := newPortion(all.list[i].spec.Number)
			for _, x := range m {
				if err := sum.join(x); err != nil {
					return err
				}
			}
			m[""] = sum
		}
	}
	return nil
}

// recountHours takes the rows of some hours away and counts what their events have.
func (s *Store) recountHours(ctx context.Context, ses session, all *declarations, from, to time.Time) (portions, error) {
	// replacing has one argument; the other is a number of our own making.
	end := "to_timestamp(" + strconv.FormatInt(to.Unix(), 10) + ")"
	taken := `DELETE FROM rollup_values WHERE declaration IN (` + all.ids() + `) AND width = 3600 AND bucket >= $1 AND bucket < ` + end
	query := ` SELECT ts, event_name, sample_rate, properties, metadata FROM events WHERE ts >= $1 AND ts < ` + end
	rows, err := s.replacing(ctx, ses, query, []string{taken}, from)
	if err != nil {
		return nil, err
	}
	c := all.counting()
	if err := c.read(rows.Rows, 1); err != nil {
		return nil, err
	}
	hours := portions{}
	for at, names := range c.hours {
		list := hours.at(at, all)
		for name, of := range names {
			for i, x := range of {
				if x != nil {
					list[i][name] = x
				}
			}
		}
	}
	return hours, hours.total(all)
}

// keepDeclared stores what there is in buckets of a width as their rows.
func (s *Store) keepDeclared(ctx context.Context, ses session, all *declarations, width time.Duration, of portions) error {
	var rows [][]any
	moments := slices.SortedFunc(maps.Keys(of), time.Time.Compare)
	for i := range all.list { // side by side what is read together
		d := &all.list[i]
		for _, at := range moments {
			for name, x := range of[at][i] {
				if x.settle(d.Budget) {
					rows = append(rows, declaredRow(at, d.ID, width, false, false, name, x.append(nil)))
				}
			}
		}
	}
	return s.d.load(ctx, ses, "rollup_values", declaredColumns, rows)
}

// mergeDeclared adds what there is in buckets of a width to their rows.
func (s *Store) mergeDeclared(ctx context.Context, ses session, all *declarations, width time.Duration, deltas portions) error {
	names, buckets := map[string]bool{}, slices.SortedFunc(maps.Keys(deltas), time.Time.Compare)
	for _, list := range deltas {
		for _, m := range list {
			for name := range m {
				names[name] = true
			}
		}
	}
	if len(buckets) == 0 {
		return nil
	}
	condition := func(args *arguments) string {
		return "declaration IN (" + all.ids() + ") AND width = " + args.bind(int32(width/time.Second)) + " AND NOT fresh AND " +
			within(buckets, s, args) + " AND (event_name IS NULL OR event_name IN (SELECT unnest(" +
			args.bind(s.d.texts(slices.Collect(maps.Keys(names)))) + "::text[])))"
	}
	sums := portions{}
	err := s.taking(ctx, ses, "rollup_values", "bucket, declaration, coalesce(event_name, ''), data", condition, func(rows *sql.Rows) error {
		return sums.scan(rows, all)
	})
	if err != nil {
		return err
	}
	for at, list := range deltas {
		sum := sums.at(at, all)
		for i, m := range list {
			for name, x := range m {
				if err := sum[i].at(name, all.list[i].spec.Number).join(x); err != nil {
					return err
				}
			}
		}
	}
	return s.keepDeclared(ctx, ses, all, width, sums)
}

// read adds rows of bucket, declaration, name and data, and closes them.
func (p portions) read(rows *sql.Rows, all *declarations) error {
	defer rows.Close()
	for rows.Next() {
		if err := p.scan(rows, all); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (p portions) scan(rows *sql.Rows, all *declarations) error {
	var at time.Time
	var id int64
	var name string
	var data sql.RawBytes
	if err := rows.Scan(&at, &id, &name, &data); err != nil {
		return err
	}
	if i := all.place(id); i >= 0 {
		return p.at(at.UTC(), all)[i].at(name, all.list[i].spec.Number).merge(data, true)
	}
	return nil
}

const (
	ownerless = `SELECT declaration FROM rollup_values WHERE declaration NOT IN (SELECT id FROM declarations) LIMIT 1`
	outdated  = `DELETE FROM rollup_values WHERE NOT fresh AND (width = 3600 AND bucket < $1 OR width >= 86400 AND bucket < $2)`
)

// dropDeclared deletes the rows of a declaration that is gone, and those that are too old.
// All rows are looked at, so that it is not done at every look.
func (s *Store) dropDeclared(ctx context.Context, ses session, from *floors, least int) (more bool, err error) {
	if least > 1 {
		return false, nil
	}
	if from.Hour.After(dawn) || from.Day.After(dawn) {
		if _, err := ses.ExecContext(ctx, outdated, from.Hour, from.Day); err != nil {
			return false, err
		}
	}
	var ids []int64
	if err := ses.SelectContext(ctx, &ids, ownerless); err != nil || len(ids) == 0 {
		return false, err
	}
	_, err = ses.ExecContext(ctx, rowsOf, ids[0])
	return true, err
}
