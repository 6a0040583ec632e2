package store

import (
	"context"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/tidemark-obs/tidemark/internal/event"
)

// Lists of one user's events. To look for the rows in two narrow columns costs little, however far
// back they lie, and the wide columns are then read of these rows only. In one statement the database
// would read the wide columns of all rows between the first and the last.

// userMarked is a condition that holds for the events of a user, of hardly another, and for all from
// before there were marks.
func userMarked(id string, args *arguments) string {
	return "(user_mark = " + args.bind(userMark(id)) + "::uinteger OR user_mark IS NULL)"
}

// ofUser finds the user's rows by their mark. The database would compare all ids first if the
// comparison stood there plainly.
func (*duck) ofUser(id string, args *arguments) string {
	return userMarked(id, args) + " AND coalesce(user_id = " + args.bind(id) + ", false)"
}

// fewTimes are so few that the table is looked through near each of them only. Between the first and the
// last of more there is hardly a part without any.
const fewTimes = 32

// atTimes hides the limit from the planner: it would first look for the rows without their wide columns,
// as it does where it knows that they will be few among many.
func (*duck) atTimes(times []time.Time, limit int, args *arguments) (condition, most string) {
	if len(times) > fewTimes {
		condition = "ts <= " + args.bind(times[0]) + " AND ts >= " + args.bind(times[len(times)-1])
	} else {
		list := make([]string, len(times))
		for i, t := range times {
			list[i] = args.bind(t)
		}
		condition = "ts IN (" + strings.Join(list, ", ") + ")"
	}
	return condition, "(SELECT " + args.bind(limit) + "::bigint)"
}

const (
	// spareTimes are looked for beyond the limit, as others with the same mark may have been there, too.
	spareTimes = 8
	// lookedFor is how often times are looked for, each time four times as many. Where that leaves the
	// page unfilled, one with very many events has the same mark.
	lookedFor = 3
)

// listOfUser looks for the times at which the user may have events, and reads the events of these.
func (*duck) listOfUser(ctx context.Context, s *Store, f Filter, p Page) (list []event.Event, err error) {
	for look := range lookedFor {
		n := (p.Limit + spareTimes) << (2 * look)
		times, err := s.timesOfUser(ctx, f, p, n)
		if err != nil || len(times) == 0 {
			return list, err
		}
		events, err := s.page(ctx, f, p, times)
		if err != nil {
			return nil, err
		}
		if list = append(list, events...); len(events) == p.Limit || len(times) < n {
			return list, nil
		}
		p = Page{Limit: p.Limit - len(events), Timestamp: times[len(times)-1]} // after all of that instant
	}
	rest, err := s.page(ctx, f, p, nil)
	return append(list, rest...), err
}

// timesOfUser are so many times, the latest first and some more than once, at which there are events that
// have the user's mark and meet the other conditions. They are fewer only where there are no more.
func (s *Store) timesOfUser(ctx context.Context, f Filter, p Page, n int) (times []time.Time, err error) {
	var args arguments
	marked := userMarked(f.UserID, &args)
	f.UserID = ""
	conditions, err := f.conditions(s.d, &args)
	if err != nil {
		return nil, err
	}
	conditions = append(conditions, marked)
	switch {
	case p.Timestamp.IsZero():
	case p.EventID == "":
		conditions = append(conditions, "ts < "+args.bind(micro(p.Timestamp)))
	default: // whether an event of that instant is on the page is seen later: its id is not read here
		conditions = append(conditions, "ts <= "+args.bind(micro(p.Timestamp)))
	}
	// Parts of the table with late events are looked through first, and the others left out once there
	// are enough. Ordered by less than what is read, the times would be read once more.
	query := "SELECT ts FROM events WHERE " + strings.Join(conditions, " AND ") +
		" ORDER BY ts DESC, user_mark LIMIT " + args.bind(n)
	err = s.query(ctx, "SELECT events", func(ctx context.Context, db *sqlx.DB) error {
		return db.SelectContext(ctx, &times, query, args...)
	})
	return times, err
}
