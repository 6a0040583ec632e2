package store

import (
	"context"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"github.com/tidemark-obs/tidemark/internal/event"
)

const (
	unmarked = `SELECT count(*) > 0 FROM user_marks_missing`
	// marksRead are the bytes of marks that are read at once. Where there are more, the user is so
	// frequent that going back in time finds the events soon.
	marksRead = 4 << 20
	// selectMarks has no marks where they are too many.
	selectMarks = `
WITH found AS MATERIALIZED (
    SELECT day, marks FROM user_marks WHERE node = ANY($1) AND day >= $2::timestamptz AND day < $3::timestamptz)
SELECT day, CASE WHEN (SELECT sum(octet_length(marks)) FROM found) <= $4 THEN marks END AS marks FROM found`
	// vainMarks is how many marks are followed for one page. Where the conditions leave so few of the
	// user's events, the rest is read without.
	vainMarks = 20_000
)

// markDays are how many days back marks are read, one step after the other until they are enough. What
// lies further back is read at once.
var markDays = [...]int{1, 8, 64}

// markTime is when the event of a mark was.
func markTime(of time.Time, m mark) time.Time { return of.Add(time.Duration(m.at) * time.Microsecond) }

// allMarked reports whether all events have their marks.
func (s *Store) allMarked(ctx context.Context) (bool, error) {
	if s.marked.Load() {
		return true, nil
	}
	var lack bool
	err := s.query(ctx, "SELECT user_marks", func(ctx context.Context, db *sqlx.DB) error {
		return db.GetContext(ctx, &lack, unmarked)
	})
	if err == nil && !lack {
		s.marked.Store(true) // from now on: who stores events marks them
	}
	return !lack, err
}

// listByMarks reads a page of a user's events by their marks, as far as these help.
func (s *Store) listByMarks(ctx context.Context, f Filter, p Page) (list []event.Event, err error) {
	ok, err := s.allMarked(ctx)
	if err != nil {
		return nil, err
	}
	walk := newMarkWalk(s, f, p)
	for followed := 0; ok && followed < vainMarks; {
		var times []time.Time
		times, ok, err = walk.next(ctx, min(2*p.Limit+8*followed, vainMarks))
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		if len(times) == 0 {
			return list, nil
		}
		events, err := s.page(ctx, f, p, times)
		if err != nil {
			return nil, err
		}
		if list = append(list, events...); len(events) == p.Limit {
			return list, nil
		}
		followed += len(times)
		p = Page{Limit: p.Limit - len(events), Timestamp: times[len(times)-1]} // after all of that instant
	}
	rest, err := s.page(ctx, f, p, nil)
	return append(list, rest...), err
}

// markWalk goes back through the times at which a user may have events, the latest first.
type markWalk struct {
	s     *Store
	f     Filter
	p     Page
	from  time.Time // the day that the first step reads
	step  int
	times []time.Time // read and not handed out
}

func newMarkWalk(s *Store, f Filter, p Page) *markWalk {
	from := s.cfg.Now()
	for _, t := range []time.Time{p.Timestamp, f.End} {
		if !t.IsZero() {
			from = earlier(from, t)
		}
	}
	return &markWalk{s: s, f: f, p: p, from: from.UTC().Truncate(day)}
}

// next returns so many times, fewer only at the end; not ok where the marks are too many to be read.
func (w *markWalk) next(ctx context.Context, n int) (times []time.Time, ok bool, err error) {
	for len(w.times) < n && w.step <= len(markDays) {
		if ok, err := w.read(ctx); err != nil || !ok {
			return nil, false, err
		}
	}
	n = min(n, len(w.times))
	times, w.times = w.times[:n], w.times[n:]
	return times, true, nil
}

// read reads the days of the next step.
func (w *markWalk) read(ctx context.Context) (ok bool, err error) {
	start, end := "-infinity", "infinity"
	if w.step > 0 {
		end = w.reach(w.step - 1).Format(time.RFC3339)
	}
	switch {
	case w.step == len(markDays) || w.reach(w.step).Year() < 1:
		w.step = len(markDays)
	case w.f.Start.Before(w.reach(w.step)):
		start = w.reach(w.step).Format(time.RFC3339)
	default:
		start, w.step = w.f.Start.UTC().Truncate(day).Format(time.RFC3339), len(markDays)
	}
	w.step++
	user := userHash(w.f.UserID)
	var rows []struct {
		Day   time.Time
		Marks []byte
	}
	err = w.s.query(ctx, "SELECT user_marks", func(ctx context.Context, db *sqlx.DB) error {
		return db.SelectContext(ctx, &rows, selectMarks, pq.Array(markNodes(user)), start, end, marksRead)
	})
	if err != nil {
		return false, err
	}
	var found []time.Time
	for _, r := range rows {
		if r.Marks == nil {
			return false, nil
		}
		of := r.Day.UTC()
		eachMark(r.Marks, func(m mark) {
			if at := markTime(of, m); m.user == user && w.within(at) {
				found = append(found, at)
			}
		})
	}
	slices.SortFunc(found, func(a, b time.Time) int { return b.Compare(a) })
	w.times = append(w.times, slices.CompactFunc(found, time.Time.Equal)...)
	return true, nil
}

// reach is the first day of a step.
func (w *markWalk) reach(step int) time.Time { return w.from.AddDate(0, 0, 1-markDays[step]) }

// within reports whether an event of that time can be on the page.
func (w *markWalk) within(at time.Time) bool {
	return !at.Before(micro(w.f.Start)) && (w.f.End.IsZero() || at.Before(micro(w.f.End))) &&
		(w.p.Timestamp.IsZero() || !at.After(micro(w.p.Timestamp)))
}
