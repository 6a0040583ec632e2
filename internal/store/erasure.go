package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/jmoiron/sqlx"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
)

// Erasure is the receipt of a person's removal. It does not say who it was.
type Erasure struct {
	ID          string
	Refuse      bool // nothing of the person is ever stored again
	RequestedAt time.Time
	Events      int64     // removed from the database
	DeadLetters int64     // removed from the database, those of destinations as well
	Late        int64     // came from the journal or the doors afterwards and were not stored
	JournalAt   time.Time // when the journal's files were free of them; zero = not yet
	CompactedAt time.Time // when the database's files were free of them; zero = not yet
}

// personOf is what is kept of a user's id.
func personOf(userID string) []byte {
	sum := sha256.Sum256([]byte("tidemark.erasure\x00" + userID))
	return sum[:]
}

const (
	insertErasure = `
INSERT INTO erasures (id, person, refuse, requested_at, events, dead_letters, late) VALUES ($1, $2, $3, $4, $5, $6, 0)`

	// buryUser keeps the ids of the events, so that they stay duplicates for as long as promised.
	buryUser      = `INSERT INTO tombstones (event_id, noted_at) SELECT event_id, $2 FROM events WHERE user_id = $1 AND received_at >= $3`
	deleteUser    = `DELETE FROM events WHERE user_id = $1`
	selectDead    = `SELECT event_id, noted_at, payload FROM dead_letters`
	deleteDead    = `DELETE FROM dead_letters WHERE event_id = $1 AND noted_at = $2`
	selectErasure = `
SELECT id, refuse, requested_at, events, dead_letters, late, journal_at, compacted_at FROM erasures WHERE id = $1`
)

// Erase removes what the database has of a user, in one transaction, and keeps a receipt under id.
// From then on no event of that user is stored that was received before, and with refuse none at
// all: what waits in a journal, anybody's, ends as a dead letter without contents.
func (s *Store) Erase(ctx context.Context, id, userID string, refuse bool) (Erasure, error) {
	if err := checkTexts(id, userID); err != nil {
		return Erasure{}, err
	}
	if userID == "" {
		return Erasure{}, errs.New(errs.Invalid, "an erasure needs a user id")
	}
	e := Erasure{ID: id, Refuse: refuse, RequestedAt: micro(s.cfg.Now())}
	err := s.transact(ctx, "DELETE events", func(ctx context.Context, ses session) error {
		// No batch is on its way that has looked at the erasures and not yet stored.
		if err := s.d.orderErasure(ctx, ses, true); err != nil {
			return err
		}
		if _, err := ses.ExecContext(ctx, buryUser, userID, e.RequestedAt, e.RequestedAt.Add(-Window)); err != nil {
			return err
		}
		var err error
		if e.Events, err = s.deleteUser(ctx, ses, userID); err != nil {
			return err
		}
		if e.DeadLetters, err = eraseDead(ctx, ses, userID); err != nil {
			return err
		}
		result, err := ses.ExecContext(ctx, eraseUndelivered, userID)
		if err != nil {
			return err
		}
		undelivered, err := result.RowsAffected()
		if err != nil {
			return err
		}
		e.DeadLetters += undelivered
		_, err = ses.ExecContext(ctx, insertErasure, id, personOf(userID), refuse, e.RequestedAt, e.Events, e.DeadLetters)
		return err
	})
	return e, err
}

// deleteUser takes a user's events out of the roll-ups and deletes them. Who tidies roll-ups comes
// to an end first: it could bring back the rows about the user.
func (s *Store) deleteUser(ctx context.Context, ses session, userID string) (int64, error) {
	var from floors
	if err := ses.GetContext(ctx, &from, selectFloors+s.d.forUpdate()); err != nil {
		return 0, err
	}
	if err := s.forgetDeclared(ctx, ses, declaredByUser, userID); err != nil {
		return 0, err
	}
	if err := s.forget(ctx, ses, countedByUser, userID); err != nil {
		return 0, err
	}
	if err := s.eraseFromUsers(ctx, ses, userID); err != nil {
		return 0, err
	}
	result, err := ses.ExecContext(ctx, deleteUser, userID)
	if err != nil {
		return 0, err
	}
	if err := s.eraseMarks(ctx, ses, userID); err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// eraseDead removes the dead letters that name a user anywhere: they may be no valid JSON.
func eraseDead(ctx context.Context, ses session, userID string) (n int64, err error) {
	name, err := jsontext.AppendQuote(nil, userID) // as eventjson writes it
	if err != nil {
		return 0, err
	}
	type dead struct {
		EventID string    `db:"event_id"`
		At      time.Time `db:"noted_at"`
		Payload []byte
	}
	rows, err := ses.QueryxContext(ctx, selectDead)
	if err != nil {
		return 0, err
	}
	var found []dead
	for rows.Next() {
		var d dead
		if err := rows.StructScan(&d); err != nil {
			rows.Close()
			return 0, err
		}
		if bytes.Contains(d.Payload, name) || bytes.Contains(d.Payload, []byte(`"`+userID+`"`)) {
			d.Payload = nil
			found = append(found, d)
		}
	}
	if err := rows.Err(); err != nil {
		return 0, err
	}
	if err := rows.Close(); err != nil {
		return 0, err
	}
	for _, d := range found {
		result, err := ses.ExecContext(ctx, deleteDead, d.EventID, micro(d.At))
		if err != nil {
			return 0, err
		}
		gone, err := result.RowsAffected()
		if err != nil {
			return 0, err
		}
		n += gone
	}
	return n, nil
}

type erasureRow struct {
	ID          string
	Refuse      bool
	RequestedAt time.Time `db:"requested_at"`
	Events      int64
	DeadLetters int64 `db:"dead_letters"`
	Late        int64
	JournalAt   sql.NullTime `db:"journal_at"`
	CompactedAt sql.NullTime `db:"compacted_at"`
}

// Erasure returns the receipt of an erasure, NotFound where there is none.
func (s *Store) Erasure(ctx context.Context, id string) (Erasure, error) {
	if err := checkTexts(id); err != nil {
		return Erasure{}, err
	}
	var r erasureRow
	err := s.query(ctx, "SELECT erasures", func(ctx context.Context, db *sqlx.DB) error {
		return db.GetContext(ctx, &r, selectErasure, id)
	})
	if err != nil {
		return Erasure{}, err
	}
	return Erasure{
		ID: r.ID, Refuse: r.Refuse, RequestedAt: r.RequestedAt.UTC(), Events: r.Events, DeadLetters: r.DeadLetters,
		Late: r.Late, JournalAt: utc(r.JournalAt), CompactedAt: utc(r.CompactedAt),
	}, nil
}

const (
	journalClean = `
UPDATE erasures SET journal_at = $1 WHERE journal_at IS NULL AND ($2 OR id IN (SELECT unnest($3::text[])))`
	// filesClean is about the erasures whose rows were gone when the rewriting began.
	filesClean    = `UPDATE erasures SET compacted_at = $1 WHERE compacted_at IS NULL AND requested_at < $2`
	oldestErasure = `SELECT min(requested_at) FROM erasures WHERE compacted_at IS NULL`
)

// JournalClean notes that the journal's files are free of persons who were erased before: by the
// erasures of some ids, or by all where there is one journal only.
func (s *Store) JournalClean(ctx context.Context, ids ...string) error {
	if len(ids) == 0 && !s.d.alone() {
		return nil
	}
	return s.transact(ctx, "UPDATE erasures", func(ctx context.Context, ses session) error {
		_, err := ses.ExecContext(ctx, journalClean, micro(s.cfg.Now()), s.d.alone(), s.d.texts(ids))
		return err
	})
}

// CountErasures is how many there are. They are only ever added.
func (s *Store) CountErasures(ctx context.Context) (n int64, err error) {
	err = s.query(ctx, "SELECT erasures", func(ctx context.Context, db *sqlx.DB) error {
		return db.GetContext(ctx, &n, countErasures)
	})
	return n, err
}

// OldestErasure is when the oldest erasure was asked for whose bytes may still be in the
// database's files; zero when there is none.
func (s *Store) OldestErasure(ctx context.Context) (time.Time, error) {
	var at sql.NullTime
	err := s.query(ctx, "SELECT erasures", func(ctx context.Context, db *sqlx.DB) error {
		return db.GetContext(ctx, &at, oldestErasure)
	})
	return utc(at), err
}

const (
	countErasures = `SELECT count(*) FROM erasures`
	allErasures   = `SELECT person, refuse, requested_at FROM erasures`
	addLate       = `UPDATE erasures SET late = late + $2 WHERE person = $1`
)

// erased are the persons of whom nothing is stored any more, as one transaction has read them.
// Erasures are only ever added, so their number is their version.
type erased struct {
	n       int64
	persons map[string]time.Time // by the hash: what was received until then; zero = everything
}

func (e *erased) refuses(ev *event.Event) bool {
	if ev.UserID == "" {
		return false
	}
	until, known := e.persons[string(personOf(ev.UserID))]
	return known && (until.IsZero() || !ev.ReceivedAt.After(until))
}

// readErased reads the erasures as this transaction sees them, in full only when there are new ones.
func (s *Store) readErased(ctx context.Context, q sqlx.QueryerContext) (*erased, error) {
	var n int64
	if err := sqlx.GetContext(ctx, q, &n, countErasures); err != nil {
		return nil, err
	}
	if known := s.erased.Load(); known != nil && known.n == n {
		return known, nil
	}
	e := &erased{n: n, persons: make(map[string]time.Time, n)}
	if n > 0 {
		var rows []struct {
			Person      []byte
			Refuse      bool
			RequestedAt time.Time `db:"requested_at"`
		}
		if err := sqlx.SelectContext(ctx, q, &rows, allErasures); err != nil {
			return nil, err
		}
		for _, r := range rows {
			until, known := e.persons[string(r.Person)]
			switch {
			case r.Refuse || known && until.IsZero():
				e.persons[string(r.Person)] = time.Time{}
			case r.RequestedAt.After(until):
				e.persons[string(r.Person)] = r.RequestedAt.UTC()
			}
		}
	}
	s.erased.Store(e)
	return e, nil
}

// dropErased returns the events of the batch that may be stored, and notes the others: their
// receipts say so, and the erasures count them.
func (s *Store) dropErased(ctx context.Context, ses session, events []event.Event, now time.Time) (kept []event.Event, dropped []Receipt, err error) {
	if len(events) == 0 {
		return events, nil, nil
	}
	if err := s.d.orderErasure(ctx, ses, false); err != nil {
		return nil, nil, err
	}
	e, err := s.readErased(ctx, ses)
	if err != nil || len(e.persons) == 0 {
		return events, nil, err
	}
	late := map[string]int64{}
	kept = events
	for i := range events {
		if !e.refuses(&events[i]) {
			if len(dropped) > 0 {
				kept = append(kept, events[i])
			}
			continue
		}
		if len(dropped) == 0 {
			kept = slices.Clone(events[:i])
		}
		dropped = append(dropped, Receipt{EventID: events[i].ID, Status: StatusDeadLettered, Reason: event.ReasonErased.String(), At: now})
		late[string(personOf(events[i].UserID))]++
	}
	for person, n := range late {
		if _, err := ses.ExecContext(ctx, addLate, []byte(person), n); err != nil {
			return nil, nil, err
		}
	}
	return kept, dropped, nil
}
