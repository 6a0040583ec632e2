package store

import (
	"context"
	"database/sql"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/tidemark-obs/tidemark/internal/errs"
)

const (
	usersStored = `SELECT DISTINCT user_id FROM events WHERE user_id IS NOT NULL`
	// filesUnclean has the receipt wait for this database's files.
	filesUnclean = `UPDATE erasures SET compacted_at = NULL WHERE person = $1`
)

// InheritErasures takes over who was erased in another database, so that nobody comes back who is refused
// there. With again, this database got the other's events before, in a move that did not come to its end:
// what it has of those who were erased since is removed.
func (s *Store) InheritErasures(ctx context.Context, from *Store, again bool) error {
	const (
		columns = `id, person, refuse, requested_at, events, dead_letters, late, journal_at, compacted_at`
		insert  = "INSERT INTO erasures (" + columns + ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING RETURNING person"
	)
	rows, err := from.rows(ctx, "SELECT "+columns+" FROM erasures ORDER BY requested_at")
	if err != nil || len(rows) == 0 {
		return err
	}
	return s.transact(ctx, "INSERT erasures", func(ctx context.Context, ses session) error {
		if err := s.d.orderErasure(ctx, ses, true); err != nil {
			return err
		}
		since := map[string]bool{}
		for _, r := range rows {
			var added [][]byte // none where it was known
			if err := ses.SelectContext(ctx, &added, insert, r...); err != nil {
				return err
			}
			for _, person := range added {
				since[string(person)] = true
			}
		}
		if !again || len(since) == 0 {
			return nil
		}
		return s.deletePersons(ctx, ses, since)
	})
}

// deletePersons deletes the events of all users of whom the erasures of these persons speak.
func (s *Store) deletePersons(ctx context.Context, ses session, persons map[string]bool) error {
	var users []string
	if err := ses.SelectContext(ctx, &users, usersStored); err != nil {
		return err
	}
	for _, u := range users {
		if !persons[string(personOf(u))] {
			continue
		}
		if _, err := s.deleteUser(ctx, ses, u); err != nil {
			return err
		}
		if _, err := eraseDead(ctx, ses, u); err != nil {
			return err
		}
		if _, err := ses.ExecContext(ctx, eraseUndelivered, u); err != nil {
			return err
		}
		if _, err := ses.ExecContext(ctx, filesUnclean, personOf(u)); err != nil {
			return err
		}
	}
	return nil
}

// heirloom is a table and its columns.
type heirloom struct{ table, columns string }

// heirlooms are what a service keeps beside its events. Of each group all is taken over, or nothing
// when the first has rows already.
func heirlooms() [][]heirloom {
	return [][]heirloom{
		{{"access_keys", keyColumns}},
		{{"settings", "id, value, updated_at"}},
		{{"silences", "id, matchers, starts_at, ends_at, created_by, comment, created_at"}},
		{{"alert_history", "noted_at, what, fingerprint, alertname, labels, receiver, detail"}},
		{{"notification_log", "receiver, group_key, firing, resolved, sent_at"}},
		{{"tombstones", "event_id, noted_at"}},
		{{"dead_letters", "event_id, reason, detail, payload, noted_at"}},
		{{"projections", "stream, metric, labels, events, total, buckets, created_at, updated_at"}},
		{
			{"destinations", "name, config, created_at, updated_at"},
			{"destination_cursors", "destination, stream, seq, written_at"},
			{"destination_replays", "id, destination, stream, what, from_at, to_at, after_at, after_id"},
			{"destination_dead_letters", "id, destination, event_id, user_id, payload, detail, noted_at"},
		},
	}
}

// Inherit takes over what the same service kept in an embedded database beside its events, where this
// one has nothing of the kind yet.
func (s *Store) Inherit(ctx context.Context, from *Store) error {
	for _, group := range heirlooms() {
		err := s.transact(ctx, "INSERT "+group[0].table, func(ctx context.Context, ses session) error {
			var known int
			if err := ses.GetContext(ctx, &known, "SELECT count(*) FROM (SELECT 1 FROM "+group[0].table+" LIMIT 1) AS found"); err != nil || known > 0 {
				return err
			}
			for _, h := range group {
				if err := s.copyTable(ctx, ses, from, h); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// rolled are the tables of roll-ups.
func rolled() []heirloom {
	return []heirloom{
		{"rollups", strings.Join(rollupColumns, ", ")},
		{"rollup_totals", "bucket, events, sampled, width, field, value"},
		{"rollup_ids", strings.Join(sketchColumns, ", ")},
		{"rollup_users", strings.Join(userColumns, ", ")},
		{"rollup_values", strings.Join(declaredColumns, ", ")},
		{"declarations", "id, spec, budget, wanted_at, since"},
	}
}

// InheritRollups takes over the roll-ups of an embedded database whose events are all here too, if some of
// the events that they count are gone: those cannot be counted anew. Conflict says that this database
// has other events. What it has counted itself is dropped for it.
func (s *Store) InheritRollups(ctx context.Context, from *Store) error {
	if err := from.TidyRollups(ctx); err != nil {
		return err
	}
	var theirs floors
	var events int64
	err := from.query(ctx, "SELECT rollup_state", func(ctx context.Context, db *sqlx.DB) error {
		if err := db.GetContext(ctx, &theirs, selectFloors); err != nil {
			return err
		}
		return db.GetContext(ctx, &events, "SELECT count(*) FROM events")
	})
	if err != nil || !theirs.Events.After(dawn) {
		return err
	}
	defer s.known.Store(nil)
	return s.transact(ctx, "INSERT rollups", func(ctx context.Context, ses session) error {
		var own floors
		if err := ses.GetContext(ctx, &own, selectFloors+s.d.forUpdate()); err != nil {
			return err
		}
		if own.Events.Equal(theirs.Events) {
			return nil // taken over before
		}
		if err := s.d.still(ctx, ses); err != nil {
			return err
		}
		var here int64
		if err := ses.GetContext(ctx, &here, "SELECT count(*) FROM events"); err != nil {
			return err
		}
		if here != events || own.Events.After(dawn) {
			return errs.New(errs.Conflict, "the database does not have the same events")
		}
		for _, h := range append(rolled(), heirloom{table: "rollup_missing"}) {
			if _, err := ses.ExecContext(ctx, "DELETE FROM "+h.table); err != nil {
				return err
			}
		}
		for _, h := range rolled() {
			if err := s.copyTable(ctx, ses, from, h); err != nil {
				return err
			}
		}
		if _, err := ses.ExecContext(ctx, raiseFloors, later(own.Minute, theirs.Minute), later(own.Hour, theirs.Hour), later(own.Day, theirs.Day)); err != nil {
			return err
		}
		_, err := ses.ExecContext(ctx, raiseEvents, theirs.Events)
		return err
	})
}

// rowsAtOnce bounds what is held of a table: rows with sketches have some 10 KiB.
const rowsAtOnce = 4_096

// copyTable appends what a table has in another database, an embedded one.
func (s *Store) copyTable(ctx context.Context, ses session, from *Store, h heirloom) error {
	var last sql.NullInt64
	err := from.query(ctx, "SELECT "+h.table, func(ctx context.Context, db *sqlx.DB) error {
		return db.GetContext(ctx, &last, "SELECT max(rowid) FROM "+h.table)
	})
	if err != nil || !last.Valid {
		return err
	}
	columns := strings.Split(h.columns, ", ")
	for at := int64(0); at <= last.Int64; at += rowsAtOnce {
		rows, err := from.rows(ctx, "SELECT "+h.columns+" FROM "+h.table+" WHERE rowid >= $1 AND rowid < $2", at, at+rowsAtOnce)
		if err != nil {
			return err
		}
		if err := s.d.load(ctx, ses, h.table, columns, rows); err != nil {
			return err
		}
	}
	return nil
}

// rows are what a query finds, in the types of the driver.
func (s *Store) rows(ctx context.Context, query string, args ...any) (all [][]any, err error) {
	err = s.query(ctx, "SELECT", func(ctx context.Context, db *sqlx.DB) error {
		found, err := db.QueryxContext(ctx, query, args...)
		if err != nil {
			return err
		}
		defer found.Close()
		for found.Next() {
			r, err := found.SliceScan()
			if err != nil {
				return err
			}
			all = append(all, r)
		}
		return found.Err()
	})
	return all, err
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
