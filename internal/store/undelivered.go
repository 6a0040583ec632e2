package store

import (
	"context"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/event/eventjson"
)

// Undelivered is an event that a destination refused for good.
type Undelivered struct {
	ID     string // sorts by the time it was refused
	Event  event.Event
	Detail string // what the destination answered
	At     time.Time
}

const (
	countUndelivered  = `SELECT count(*) FROM destination_dead_letters WHERE destination = $1`
	selectUndelivered = `
SELECT id, payload, detail, noted_at FROM destination_dead_letters
WHERE destination = $1 AND id > $2 AND noted_at < $3 ORDER BY id LIMIT $4`
	dropUndelivered  = `DELETE FROM destination_dead_letters WHERE destination = $1 AND id = $2`
	eraseUndelivered = `DELETE FROM destination_dead_letters WHERE user_id = $1`

	// selectReceived reads by when the service took events in, which is the order of the journal.
	selectReceived = `
SELECT ` + eventColumns + ` FROM events
WHERE received_at >= $1 AND received_at < $2 AND (received_at > $1 OR event_id > $3)
ORDER BY received_at, event_id LIMIT $4`
)

// KeepUndelivered keeps an event that the destination made at a time refused, unless its person was
// erased or the destination deleted. Overloaded when as many as most are kept for that destination.
func (s *Store) KeepUndelivered(ctx context.Context, destination string, made time.Time, u *Undelivered, most int) error {
	return s.transact(ctx, "INSERT destination_dead_letters", func(ctx context.Context, ses session) error {
		if err := s.d.orderErasure(ctx, ses, false); err != nil {
			return err
		}
		gone, err := s.readErased(ctx, ses)
		if err != nil || gone.refuses(&u.Event) {
			return err
		}
		if same, err := s.sameDestination(ctx, ses, destination, made); err != nil || !same {
			return err
		}
		var n int
		if err := ses.GetContext(ctx, &n, countUndelivered, destination); err != nil {
			return err
		}
		if n >= most {
			return errs.New(errs.Overloaded, "the destination's dead letters are full: replay or drop them")
		}
		return s.d.load(ctx, ses, "destination_dead_letters",
			[]string{"id", "destination", "event_id", "user_id", "payload", "detail", "noted_at"},
			[][]any{{u.ID, destination, clean(u.Event.ID), clean(u.Event.UserID), eventjson.Append(nil, &u.Event), clean(u.Detail), micro(u.At)}})
	})
}

// ListUndelivered returns a destination's dead letters noted before a time, oldest first, after an id.
func (s *Store) ListUndelivered(ctx context.Context, destination, after string, before time.Time, limit int) ([]Undelivered, error) {
	if err := checkTexts(destination, after); err != nil {
		return nil, err
	}
	var rows []struct {
		ID      string
		Payload []byte
		Detail  string
		NotedAt time.Time `db:"noted_at"`
	}
	err := s.query(ctx, "SELECT destination_dead_letters", func(ctx context.Context, db *sqlx.DB) error {
		return db.SelectContext(ctx, &rows, selectUndelivered, destination, after, micro(before), limit)
	})
	list := make([]Undelivered, len(rows))
	for i, r := range rows {
		list[i] = Undelivered{ID: r.ID, Detail: r.Detail, At: r.NotedAt.UTC()}
		if err := eventjson.Parse(r.Payload, &list[i].Event); err != nil {
			return nil, errs.Wrap(errs.Internal, "a dead letter of a destination cannot be read", err)
		}
	}
	return list, err
}

// CountUndelivered is how many dead letters a destination has.
func (s *Store) CountUndelivered(ctx context.Context, destination string) (n int64, err error) {
	err = s.query(ctx, "SELECT destination_dead_letters", func(ctx context.Context, db *sqlx.DB) error {
		return db.GetContext(ctx, &n, countUndelivered, destination)
	})
	return n, err
}

// DropUndelivered removes dead letters of a destination: those of the ids, or all without any. It
// returns how many.
func (s *Store) DropUndelivered(ctx context.Context, destination string, ids ...string) (n int64, err error) {
	if err := checkTexts(append(ids, destination)...); err != nil {
		return 0, err
	}
	err = s.transact(ctx, "DELETE destination_dead_letters", func(ctx context.Context, ses session) error {
		if len(ids) == 0 {
			result, err := ses.ExecContext(ctx, forgetUndelivered, destination)
			if err != nil {
				return err
			}
			n, err = result.RowsAffected()
			return err
		}
		for _, id := range ids {
			result, err := ses.ExecContext(ctx, dropUndelivered, destination, id)
			if err != nil {
				return err
			}
			gone, err := result.RowsAffected()
			if err != nil {
				return err
			}
			n += gone
		}
		return nil
	})
	return n, err
}

// Received returns stored events that the service took in from a time on and before another, in that
// order, after an id where several came at the first moment.
func (s *Store) Received(ctx context.Context, from, before time.Time, afterID string, limit int) ([]event.Event, error) {
	if err := checkTexts(afterID); err != nil {
		return nil, err
	}
	var rows []row
	err := s.query(ctx, "SELECT events", func(ctx context.Context, db *sqlx.DB) error {
		return db.SelectContext(ctx, &rows, selectReceived, micro(from), micro(before), afterID, limit)
	})
	if err != nil {
		return nil, err
	}
	return events(rows)
}

// FirstReceived is when the oldest stored event was taken in; zero when there is none.
func (s *Store) FirstReceived(ctx context.Context) (time.Time, error) {
	var at *time.Time
	err := s.query(ctx, "SELECT events", func(ctx context.Context, db *sqlx.DB) error {
		return db.GetContext(ctx, &at, `SELECT min(received_at) FROM events`)
	})
	if err != nil || at == nil {
		return time.Time{}, err
	}
	return at.UTC(), nil
}

// ErasedPersons returns what tells whether an event's person was erased, as things stand now.
func (s *Store) ErasedPersons(ctx context.Context) (func(*event.Event) bool, error) {
	var e *erased
	err := s.query(ctx, "SELECT erasures", func(ctx context.Context, db *sqlx.DB) (err error) {
		e, err = s.readErased(ctx, db)
		return err
	})
	if err != nil {
		return nil, err
	}
	return func(ev *event.Event) bool { return len(e.persons) > 0 && e.refuses(ev) }, nil
}
