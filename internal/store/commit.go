package store

import (
	"context"
	"slices"
	"time"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/projection"
)

// Result is what a Commit did.
type Result struct {
	Cursor     Cursor   // as it stands now
	Duplicates []string // ids of the batch's events that were not stored because they had been
	// Projections are the series of metrics that the batch has changed, with their new totals.
	Projections []projection.Series
}

// Commit stores a batch and moves the cursor, in one transaction: when it returns an error,
// nothing is stored, with one exception. An Unavailable error may come after the database has
// done the work, when the connection is lost at COMMIT; the caller then reads Cursor to see.
//
// Of two events with the same id in one batch the first is stored and the second is a duplicate.
// Invalid means that the database refuses one of the events: Probe finds which.
func (s *Store) Commit(ctx context.Context, b *Batch) (Result, error) {
	if b.Seq <= b.From.Seq || b.From.Stream == "" {
		return Result{}, errs.New(errs.Internal, "a batch must name its stream and move its cursor on")
	}
	now := micro(s.cfg.Now())
	var result Result
	var done projected
	err := s.batch(ctx, len(b.Events), func(ctx context.Context, ses session) error {
		at, err := s.fence(ctx, ses, b.From, now)
		if err != nil {
			return err
		}
		kept, dropped, err := s.dropErased(ctx, ses, b.Events, now)
		if err != nil {
			return err
		}
		dup, err := s.insert(ctx, ses, kept, now)
		if err != nil {
			return err
		}
		if err := s.keepReceipts(ctx, ses, slices.Concat(b.Receipts, dropped), dup.gone, now); err != nil {
			return err
		}
		if err := s.keepDeadLetters(ctx, ses, b.Dead); err != nil {
			return err
		}
		result.Duplicates = dup.all
		if done, result.Projections, err = s.project(ctx, ses, at, kept, dup.all, now); err != nil {
			return err
		}
		result.Cursor, err = s.advance(ctx, ses, at, b, tally{stored: len(kept) - len(dup.all), duplicates: len(dup.all), erased: len(dropped)}, now)
		return err
	})
	if err != nil {
		return Result{}, err
	}
	s.projections.settle(result.Cursor, done)
	if len(b.Events) >= largeBatch {
		s.largeBatches.Add(1)
	}
	if err := s.d.observe(ctx, s, b.Events); err != nil { // the batch is stored, and there will be another try
		s.cfg.Logger.Warn("give frequent properties columns of their own", "error", err)
	}
	return result, nil
}

// tally is what became of a batch's events.
type tally struct{ stored, duplicates, erased int }

// Probe does with events what Commit does and takes it back. It returns Invalid when the database
// refuses one of them.
func (s *Store) Probe(ctx context.Context, events []event.Event) error {
	return s.transact(ctx, "INSERT events", func(ctx context.Context, ses session) error {
		if _, err := s.insert(ctx, ses, events, micro(s.cfg.Now())); err != nil {
			return err
		}
		return errRollback
	})
}

// insert checks the events first: the databases differ in what they do with texts they cannot hold.
func (s *Store) insert(ctx context.Context, ses session, events []event.Event, now time.Time) (duplicates, error) {
	for i := range events {
		if err := checkEvent(&events[i]); err != nil {
			return duplicates{}, err
		}
	}
	if len(events) == 0 {
		return duplicates{}, nil
	}
	from, err := s.floors(ctx, ses)
	if err != nil {
		return duplicates{}, err
	}
	declared := s.declared.Load() // as last read, which mostly still holds
	if declared == nil {
		declared = &declarations{}
	}
	counted := countAside(events, from, declared, !s.d.columnar())
	stored, dup, err := s.d.insert(ctx, ses, events, now)
	rows := <-counted
	if err != nil {
		return duplicates{}, err
	}
	return dup, s.rollUp(ctx, ses, events, stored, from, declared, rows)
}

func (s *Store) keepReceipts(ctx context.Context, ses session, receipts []Receipt, gone []string, now time.Time) error {
	rows := make([][]any, 0, len(receipts)+len(gone))
	for _, r := range receipts {
		rows = append(rows, []any{clean(r.EventID), string(r.Status), clean(r.Reason), micro(r.At)})
	}
	for _, id := range gone {
		rows = append(rows, []any{id, string(StatusDuplicate), "", now})
	}
	return s.d.load(ctx, ses, "receipts", []string{"event_id", "status", "reason", "noted_at"}, rows)
}

func (s *Store) keepDeadLetters(ctx context.Context, ses session, dead []DeadLetter) error {
	rows := make([][]any, len(dead))
	for i, d := range dead {
		payload := d.Payload
		if payload == nil {
			payload = []byte{}
		}
		rows[i] = []any{clean(d.EventID), d.Reason.String(), clean(d.Detail), payload, micro(d.At)}
	}
	return s.d.load(ctx, ses, "dead_letters", []string{"event_id", "reason", "detail", "payload", "noted_at"}, rows)
}
