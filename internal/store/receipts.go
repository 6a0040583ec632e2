package store

import (
	"context"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/tidemark-obs/tidemark/internal/event"
)

// selectReceipt lets a stored event speak first, then the newest of what is said about the id.
const selectReceipt = `
SELECT status, reason, noted_at FROM (
    SELECT 0 AS rank, 'stored' AS status, '' AS reason, received_at AS noted_at FROM events WHERE event_id = $1
    UNION ALL SELECT 1, status, reason, noted_at FROM receipts WHERE event_id = $1
    UNION ALL SELECT 1, 'dead_lettered', reason, noted_at FROM dead_letters WHERE event_id = $1
    UNION ALL SELECT 1, 'stored', 'deleted', noted_at FROM tombstones WHERE event_id = $1
) AS said ORDER BY rank, noted_at DESC LIMIT 1`

// Receipt says what became of an id: stored while its event is there, whatever else was sent under
// the same id; else duplicate (sent again after it was deleted), dead_lettered, rejected, or
// stored with the reason "deleted". NotFound when nothing is known about it.
func (s *Store) Receipt(ctx context.Context, id string) (Receipt, error) {
	if err := checkTexts(id); err != nil {
		return Receipt{}, err
	}
	var r struct {
		Status Status
		Reason string
		At     time.Time `db:"noted_at"`
	}
	err := s.query(ctx, "SELECT receipts", func(ctx context.Context, db *sqlx.DB) error {
		return db.GetContext(ctx, &r, selectReceipt, id)
	})
	if err != nil {
		return Receipt{}, err
	}
	return Receipt{EventID: id, Status: r.Status, Reason: r.Reason, At: r.At.UTC()}, nil
}

const selectDeadLetters = `
SELECT event_id, reason, detail, payload, noted_at FROM dead_letters ORDER BY noted_at DESC, event_id LIMIT $1`

// DeadLetters returns the newest events that could not be stored.
func (s *Store) DeadLetters(ctx context.Context, limit int) ([]DeadLetter, error) {
	var rows []struct {
		EventID string `db:"event_id"`
		Reason  string
		Detail  string
		Payload []byte
		At      time.Time `db:"noted_at"`
	}
	err := s.query(ctx, "SELECT dead_letters", func(ctx context.Context, db *sqlx.DB) error {
		return db.SelectContext(ctx, &rows, selectDeadLetters, limit)
	})
	if err != nil {
		return nil, err
	}
	byName := map[string]event.Reason{}
	for _, r := range slices.Concat(event.DoorReasons(), event.StoreReasons()) {
		byName[r.String()] = r
	}
	list := make([]DeadLetter, len(rows))
	for i, r := range rows {
		list[i] = DeadLetter{
			EventID: r.EventID, Reason: byName[r.Reason], Detail: r.Detail, Payload: r.Payload, At: r.At.UTC(),
		}
	}
	return list, nil
}

const (
	pruneReceipts   = `DELETE FROM receipts WHERE noted_at < $1`
	pruneTombstones = `DELETE FROM tombstones WHERE noted_at < $1`
)

// Prune forgets receipts older than before, and the ids of deleted events where they are also
// older than Window; these never earlier, or the event could be stored again. Dead letters stay.
// With them go the totals of metrics that nobody has declared for long.
func (s *Store) Prune(ctx context.Context, before time.Time) error {
	tombstones := s.cfg.Now().Add(-Window)
	if before.Before(tombstones) {
		tombstones = before
	}
	return s.transact(ctx, "DELETE receipts", func(ctx context.Context, ses session) error {
		if _, err := ses.ExecContext(ctx, pruneReceipts, micro(before)); err != nil {
			return err
		}
		if _, err := ses.ExecContext(ctx, pruneTombstones, micro(tombstones)); err != nil {
			return err
		}
		return s.dropProjections(ctx, ses)
	})
}
