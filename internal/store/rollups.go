package store

import (
	"context"
	"time"

	"github.com/tidemark-obs/tidemark/internal/event"
)

// Roll-ups. Every transaction that changes events adds rows that say so, so in any snapshot the
// roll-ups of a bucket add up to the events in it: over crashes, retries and writers at the same
// time. Nobody updates a row, so nobody waits.
//
// Such fresh rows stand in the narrowest bucket there is and count for the wider ones about it too,
// until the background has put them into the buckets of all widths.

// The widths of buckets, in UTC.
const (
	minute = time.Minute
	hour   = time.Hour
	day    = 24 * time.Hour
)

// countLevels are the widths that events are counted by, idLevels those that have sketches of ids;
// both from the widest.
var (
	countLevels = []time.Duration{day, hour, minute}
	idLevels    = []time.Duration{day, hour}
)

// floors are from when on there is everything: of the events, and of the buckets of each width.
// They only ever rise. Who knows an old one writes more rows than are needed, never fewer.
type floors struct {
	Events time.Time `db:"events_from"`
	Minute time.Time `db:"minute_from"`
	Hour   time.Time `db:"hour_from"`
	Day    time.Time `db:"day_from"`
}

// Keep is how old buckets of each width may become; 0 = they stay. What is older is not counted by
// that width any more, and wider buckets answer for it.
type Keep struct{ Minute, Hour, Day time.Duration }

const selectFloors = `SELECT events_from, minute_from, hour_from, day_from FROM rollup_state`

func (f *floors) of(width time.Duration) time.Time {
	switch width {
	case minute:
		return f.Minute
	case hour:
		return f.Hour
	default:
		return f.Day
	}
}

// narrowest is the narrowest of some widths, from the widest, that has buckets at a moment.
func (f *floors) narrowest(at time.Time, levels []time.Duration) (width time.Duration, ok bool) {
	for _, w := range levels {
		if !at.Before(f.of(w)) {
			width, ok = w, true
		}
	}
	return width, ok
}

// reached are the widths, from the widest, whose buckets a fresh row of a narrower one is put into.
func (f *floors) reached(at time.Time, width time.Duration, levels []time.Duration) (widths []time.Duration) {
	for _, w := range levels {
		if w >= width && !at.Before(f.of(w)) {
			widths = append(widths, w)
		}
	}
	return widths
}

// floors are those that were last read, or are read now.
func (s *Store) floors(ctx context.Context, ses session) (*floors, error) {
	if f := s.known.Load(); f != nil {
		return f, nil
	}
	f := &floors{}
	if err := ses.GetContext(ctx, f, selectFloors); err != nil {
		return nil, err
	}
	s.known.Store(f)
	return f, nil
}

// counted is what roll-ups know of an event.
type counted struct {
	at                           time.Time
	sampled, processed           bool
	kind, name, severity, source string
	user, session                string
}

func countedOf(e *event.Event) counted {
	return counted{e.Timestamp.UTC(), e.SampleRate < 1, e.Processed,
		string(e.Type), e.Name, string(e.Severity), e.Source, e.UserID, e.SessionID}
}

// rollupKey is what events are counted by.
type rollupKey struct {
	bucket                       time.Time
	width                        time.Duration
	processed                    bool
	kind, name, severity, source string
}

type rollupCount struct{ events, sampled int64 }

type rollupCounts map[rollupKey]rollupCount

// add counts an event in its narrowest bucket, or takes it out where sign is negative.
func (m rollupCounts) add(e *counted, sign int64, from *floors) {
	width, ok := from.narrowest(e.at, countLevels)
	if !ok {
		return
	}
	n := rollupCount{events: sign}
	if e.sampled {
		n.sampled = sign
	}
	m.merge(rollupKey{e.at.Truncate(width), width, e.processed, e.kind, e.name, e.severity, e.source}, n)
}

func (m rollupCounts) merge(key rollupKey, n rollupCount) {
	sum := m[key]
	m[key] = rollupCount{sum.events + n.events, sum.sampled + n.sampled}
}

// rollupColumns are in the table's order.
var rollupColumns = []string{
	"bucket", "events", "sampled", "width", "processed", "fresh", "event_type", "event_name", "severity", "source",
}

// keepCounts stores counts as rows of their buckets. Fresh ones may have others beside them.
func (s *Store) keepCounts(ctx context.Context, ses session, m rollupCounts, fresh bool) error {
	return s.d.load(ctx, ses, "rollups", rollupColumns, m.rows(fresh))
}

func (m rollupCounts) rows(fresh bool) [][]any {
	rows := make([][]any, 0, len(m))
	for key, n := range m {
		if n == (rollupCount{}) {
			continue
		}
		var source any
		if key.source != "" {
			source = key.source
		}
		rows = append(rows, []any{key.bucket, n.events, n.sampled, int32(key.width / time.Second), key.processed, fresh,
			key.kind, key.name, key.severity, source})
	}
	return rows
}

const (
	selectCounted = `SELECT ts, sample_rate, processed, event_type, event_name, severity, coalesce(source, ''),
    coalesce(user_id, ''), coalesce(session_id, '') FROM events WHERE `
	countedByID   = selectCounted + `event_id IN (SELECT unnest($1::text[])) ORDER BY event_id`
	countedByUser = selectCounted + `user_id = $1 ORDER BY event_id`
)

// eachCounted reads events that are about to change and keeps others from changing them until the
// transaction ends.
func (s *Store) eachCounted(ctx context.Context, ses session, query string, arg any, fn func(e *counted)) error {
	rows, err := ses.QueryContext(ctx, query+s.d.forUpdate(), arg)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var e counted
		var rate float64
		if err := rows.Scan(&e.at, &rate, &e.processed, &e.kind, &e.name, &e.severity, &e.source, &e.user, &e.session); err != nil {
			return err
		}
		e.at, e.sampled = e.at.UTC(), rate < 1
		fn(&e)
	}
	return rows.Err()
}

// recount counts events as a change makes them that is to follow.
func (s *Store) recount(ctx context.Context, ses session, ids []string, change func(e *counted)) error {
	if err := s.d.changing(ctx, ses); err != nil {
		return err
	}
	if err := s.upToDate(ctx, ses); err != nil {
		return err
	}
	from, err := s.floors(ctx, ses)
	if err != nil {
		return err
	}
	counts := rollupCounts{}
	err = s.eachCounted(ctx, ses, countedByID, s.d.texts(ids), func(e *counted) {
		counts.add(e, -1, from)
		change(e)
		counts.add(e, 1, from)
	})
	if err != nil {
		return err
	}
	return s.keepCounts(ctx, ses, counts, true)
}

// forget takes events out of the roll-ups that are to be deleted; what is lost of sketches is made
// anew later.
func (s *Store) forget(ctx context.Context, ses session, query string, arg any) error {
	from, err := s.floors(ctx, ses)
	if err != nil {
		return err
	}
	counts, lost, users := rollupCounts{}, losses{}, userCounts{}
	err = s.eachCounted(ctx, ses, query, arg, func(e *counted) {
		counts.add(e, -1, from)
		lost.add(e, from)
		users.add(e, -1, from)
	})
	if err != nil {
		return err
	}
	if err := s.keepCounts(ctx, ses, counts, true); err != nil {
		return err
	}
	if err := s.uncountUsers(ctx, ses, users, from); err != nil {
		return err
	}
	return s.keepLosses(ctx, ses, lost)
}

// stamps are times as a list of texts, which both databases take.
func stamps(times []time.Time) []string {
	list := make([]string, len(times))
	for i, t := range times {
		list[i] = t.UTC().Format(time.RFC3339Nano)
	}
	return list
}
