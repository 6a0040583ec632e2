package journal

import (
	"context"

	"github.com/nats-io/nats.go/jetstream"
)

// Purge forgets every message up to and including upTo, except the newest of all: it keeps the
// stream's positions from ever starting over. What is purged must be stored in the database.
// Calling it at the start, with the position of the database, tells the journal which of its
// messages are only kept.
func (j *Journal) Purge(ctx context.Context, upTo uint64) error { return j.Settle(ctx, upTo, upTo) }

// Settle says that everything up to and including stored is in the database, and purges up to and
// including upTo, which is at most that: what lies between is kept for others who read.
func (j *Journal) Settle(ctx context.Context, stored, upTo uint64) error {
	j.writing.Lock()
	defer j.writing.Unlock()
	l, err := j.current()
	if err != nil {
		return err
	}
	if keep := j.status.settledUpTo(stored, min(stored, upTo)); keep > 0 {
		if err := j.backend.roomToPurge(); err != nil {
			return err
		}
		if err := l.stream.Purge(ctx, jetstream.WithPurgeSequence(keep)); err != nil {
			return unavailable("purging the journal", err)
		}
	}
	if err := j.status.refresh(ctx, l); err != nil {
		return unavailable("purging the journal", err)
	}
	return nil
}
