package store

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"time"

	"database/sql"

	"github.com/jmoiron/sqlx"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
)

const selectCursor = `SELECT seq, counts, totals FROM cursors WHERE stream = $1`

type cursorRow struct {
	Seq    int64  `db:"seq"`
	Counts []byte `db:"counts"`
	Totals []byte `db:"totals"`
}

// Cursor returns how far a stream is stored: the zero cursor when it is new. After a Commit whose
// outcome is unknown this is the truth, unless the server is still at work on it; a Commit from
// this cursor then waits for that one and answers Conflict.
func (s *Store) Cursor(ctx context.Context, stream string) (Cursor, error) {
	var c Cursor
	err := s.query(ctx, "SELECT cursors", func(ctx context.Context, db *sqlx.DB) (err error) {
		c, err = readCursor(ctx, db, selectCursor, stream)
		return err
	})
	return c, err
}

func readCursor(ctx context.Context, q sqlx.QueryerContext, query, stream string) (Cursor, error) {
	c := Cursor{Stream: stream, Totals: map[string]uint64{}}
	var r cursorRow
	if err := sqlx.GetContext(ctx, q, &r, query, stream); err != nil {
		if errors.Is(err, sql.ErrNoRows) {
			return c, nil
		}
		return c, err
	}
	c.Seq = uint64(r.Seq)
	if err := errors.Join(json.Unmarshal(r.Counts, &c.Counts), json.Unmarshal(r.Totals, &c.Totals)); err != nil {
		return c, errs.Wrap(errs.Internal, "the journal's cursor cannot be read", err)
	}
	return c, nil
}

const insertCursor = `
INSERT INTO cursors (stream, seq, counts, totals, updated_at)
VALUES ($1, 0, '{}', '{}', $2) ON CONFLICT DO NOTHING`

// fence takes the stream's cursor row for this transaction and makes sure that it stands where the
// batch begins: of two writers of one stream the second finds it moved.
func (s *Store) fence(ctx context.Context, ses session, from Cursor, now time.Time) (Cursor, error) {
	if from.Seq == 0 {
		if _, err := ses.ExecContext(ctx, insertCursor, from.Stream, now); err != nil {
			return Cursor{}, err
		}
	}
	c, err := readCursor(ctx, ses, selectCursor+s.d.forUpdate(), from.Stream)
	if err != nil {
		return Cursor{}, err
	}
	if c.Seq != from.Seq {
		return Cursor{}, errs.New(errs.Conflict, "the journal's cursor has been moved by another writer")
	}
	return c, nil
}

const updateCursor = `
UPDATE cursors SET seq = $2, counts = $3, totals = $4, updated_at = $5 WHERE stream = $1`

// advance moves the cursor over the batch and adds up its counts. At is the current cursor as
// fence returned it.
func (s *Store) advance(ctx context.Context, ses session, at Cursor, b *Batch, t tally, now time.Time) (Cursor, error) {
	next := at
	next.Seq = b.Seq
	next.Counts.Add(&b.Counts)
	next.Counts.Stored += uint64(t.stored)
	next.Counts.Duplicate += uint64(t.duplicates)
	next.Counts.DeadLettered[event.ReasonErased] += uint64(t.erased)
	for _, d := range b.Dead {
		next.Counts.DeadLettered[d.Reason]++
	}
	next.Totals = maps.Clone(at.Totals)
	maps.Copy(next.Totals, b.Totals)

	counts, err := json.Marshal(next.Counts)
	if err != nil {
		return Cursor{}, err
	}
	totals, err := json.Marshal(next.Totals)
	if err != nil {
		return Cursor{}, err
	}
	_, err = ses.ExecContext(ctx, updateCursor, at.Stream, int64(next.Seq), string(counts), string(totals), now)
	return next, err
}
