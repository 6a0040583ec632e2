package store

import (
	"context"
	"errors"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/tidemark-obs/tidemark/internal/errs"
)

// ask runs one question on the readers' pool. Few run at once, so that lists and receipts always
// find a connection and a question finds memory; the others wait a little and are then refused.
func (s *Store) ask(ctx context.Context, fn func(context.Context, *sqlx.DB) error) error {
	release, err := s.slot(ctx)
	if err != nil {
		return err
	}
	defer release()
	return s.query(ctx, "SELECT events", func(ctx context.Context, db *sqlx.DB) error {
		if err := s.d.acquaint(ctx, db); err != nil {
			return err
		}
		err := fn(ctx, db)
		if err != nil && s.d.tooLarge(err) {
			return needsMemory(err)
		}
		if err != nil && s.d.outOfRange(err) {
			return errs.Wrap(errs.Invalid, "the numbers are too large, or too small, to be computed with; "+
				"take conditions that leave such events out", err)
		}
		return err
	})
}

func needsMemory(err error) error {
	return errs.Wrap(errs.Invalid, "the question needs more memory than the database has for it; "+
		"take a shorter range, more conditions, or a field with fewer values", err)
}

// snapshot begins a transaction that reads roll-ups, as they are at one moment, with what first asks. Only
// with that it is known that the connection lives. As it only reads, how it ends does not matter.
func (s *Store) snapshot(ctx context.Context, db *sqlx.DB, first func(*sqlx.Tx) error) (tx *sqlx.Tx, end func(), err error) {
	conn, err := onLive(ctx, db, func(conn *sqlx.Conn) (err error) {
		if tx, err = conn.BeginTxx(ctx, s.d.snapshot()); err != nil {
			return err
		}
		if err = first(tx); err != nil {
			_ = tx.Rollback()
		}
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	return tx, func() { _, _ = tx.Rollback(), conn.Close() }, nil
}

// slot waits for its turn to ask, which comes at once while few do, however slow the machine is.
func (s *Store) slot(ctx context.Context) (release func(), err error) {
	release = func() { <-s.slots }
	select {
	case s.slots <- struct{}{}:
		return release, nil
	default:
	}
	wait, cancel := context.WithTimeout(ctx, s.cfg.QuestionWait)
	defer cancel()
	select {
	case s.slots <- struct{}{}:
		return release, nil
	case <-wait.Done():
		if errors.Is(ctx.Err(), context.Canceled) {
			return nil, errs.Wrap(errs.Unavailable, "the request was cancelled", ctx.Err())
		}
		return nil, &errs.Error{Kind: errs.Overloaded, RetryAfter: 2 * time.Second,
			Detail: "too many questions are being answered at once; try again, or ask for shorter ranges"}
	}
}
