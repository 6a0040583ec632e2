package store

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
)

// selectEvent takes the newest where DuckDB has an id twice, sent again after its window.
const selectEvent = `SELECT ` + eventColumns + ` FROM events WHERE event_id = $1 ORDER BY received_at DESC LIMIT 1`

// Get returns one event, NotFound where it is not stored.
func (s *Store) Get(ctx context.Context, id string) (event.Event, error) {
	var e event.Event
	if err := checkTexts(id); err != nil {
		return e, err
	}
	err := s.query(ctx, "SELECT events", func(ctx context.Context, db *sqlx.DB) (err error) {
		e, err = get(ctx, db, id)
		return err
	})
	return e, err
}

func get(ctx context.Context, q sqlx.QueryerContext, id string) (event.Event, error) {
	var r row
	if err := sqlx.GetContext(ctx, q, &r, selectEvent, id); err != nil {
		return event.Event{}, err
	}
	return r.event()
}

// arguments collects the values of a statement put together from constant parts.
type arguments []any

// bind adds a value and returns its placeholder.
func (a *arguments) bind(v any) string {
	*a = append(*a, v)
	return "$" + strconv.Itoa(len(*a))
}

// Update changes an event and returns it as it is now. Processed events keep the time at which
// they first became so.
func (s *Store) Update(ctx context.Context, id string, p Patch, now time.Time) (event.Event, error) {
	if err := p.check(id); err != nil {
		return event.Event{}, err
	}
	var args arguments
	var set []string
	if p.Processed != nil {
		if *p.Processed {
			set = append(set, "processed_at = CASE WHEN processed THEN processed_at ELSE "+args.bind(micro(now))+"::timestamptz END")
		} else {
			set = append(set, "processed_at = NULL")
		}
		set = append(set, "processed = "+args.bind(*p.Processed))
	}
	if p.Severity != nil {
		set = append(set, "severity = "+args.bind(string(*p.Severity)))
	}
	if p.Tags != nil {
		tags, err := tagsText(*p.Tags)
		if err != nil {
			return event.Event{}, err
		}
		set = append(set, "tags = "+args.bind(tags))
	}
	if p.Metadata != nil {
		set = append(set, "metadata = "+args.bind(nullString(*p.Metadata)))
	}
	if len(set) == 0 {
		return s.Get(ctx, id)
	}
	update := "UPDATE events SET " + strings.Join(set, ", ") + " WHERE event_id = " + args.bind(id)
	var e event.Event
	err := s.transact(ctx, "UPDATE events", func(ctx context.Context, ses session) error {
		if p.Processed != nil || p.Severity != nil {
			if err := s.recount(ctx, ses, []string{id}, p.recounted); err != nil {
				return err
			}
		}
		change := func() error {
			_, err := ses.ExecContext(ctx, update, args...)
			return err
		}
		if p.Metadata != nil {
			plain := change
			change = func() error { return s.redescribing(ctx, ses, id, plain) }
		}
		err := change()
		if err == nil {
			e, err = get(ctx, ses, id)
		}
		return err
	})
	return e, err
}

// recounted makes the change to what roll-ups know of an event.
func (p *Patch) recounted(e *counted) {
	if p.Processed != nil {
		e.processed = *p.Processed
	}
	if p.Severity != nil {
		e.severity = string(*p.Severity)
	}
}

func (p *Patch) check(id string) error {
	texts := []string{id}
	if p.Severity != nil {
		texts = append(texts, string(*p.Severity))
	}
	if p.Tags != nil {
		texts = append(texts, *p.Tags...)
	}
	if p.Metadata != nil {
		texts = append(texts, string(*p.Metadata))
	}
	return checkTexts(texts...)
}

// nullString is JSON text to write; a []byte would be taken for binary data.
func nullString(o event.Object) any {
	if o == nil {
		return nil
	}
	return string(o)
}

// markProcessed locks its rows in the order of their ids: two calls with the same ids wait for
// each other and never in a circle.
func (s *Store) markProcessed() string {
	return `
UPDATE events SET processed = true, processed_at = $2
WHERE event_id IN (
    SELECT event_id FROM events
    WHERE event_id IN (SELECT unnest($1::text[])) AND NOT processed
    ORDER BY event_id` + s.d.forUpdate() + `)`
}

// MarkProcessed marks events as processed and returns how many were not before. Unknown ids are
// passed over.
func (s *Store) MarkProcessed(ctx context.Context, ids []string, now time.Time) (int64, error) {
	if err := checkTexts(ids...); err != nil {
		return 0, err
	}
	var n int64
	err := s.transact(ctx, "UPDATE events", func(ctx context.Context, ses session) error {
		if err := s.recount(ctx, ses, ids, func(e *counted) { e.processed = true }); err != nil {
			return err
		}
		result, err := ses.ExecContext(ctx, s.markProcessed(), s.d.texts(ids), micro(now))
		if err != nil {
			return err
		}
		n, err = result.RowsAffected()
		return err
	})
	return n, err
}

const (
	deleteEvent     = `DELETE FROM events WHERE event_id = $1`
	insertTombstone = `INSERT INTO tombstones (event_id, noted_at) VALUES ($1, $2)`
)

// Delete removes an event for good, NotFound where it is not stored. Its id stays behind, so that
// the same event sent again is a duplicate.
func (s *Store) Delete(ctx context.Context, id string) error {
	if err := checkTexts(id); err != nil {
		return err
	}
	return s.transact(ctx, "DELETE events", func(ctx context.Context, ses session) error {
		if err := s.forgetDeclared(ctx, ses, declaredByID, s.d.texts([]string{id})); err != nil {
			return err
		}
		if err := s.forget(ctx, ses, countedByID, s.d.texts([]string{id})); err != nil {
			return err
		}
		result, err := ses.ExecContext(ctx, deleteEvent, id)
		if err != nil {
			return err
		}
		n, err := result.RowsAffected()
		if err != nil {
			return err
		}
		if n == 0 {
			return errs.New(errs.NotFound, "not found")
		}
		_, err = ses.ExecContext(ctx, insertTombstone, id, micro(s.cfg.Now()))
		return err
	})
}
