package ingest

import (
	"context"
	"time"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
)

// tailPatience bounds how long a reader of the ledger waits for the journal's tail to be read.
const tailPatience = 2 * time.Second

// followTail keeps the tail alive: it begins when the cursor is known and begins again, from
// the cursor, when reading breaks off.
func (p *Pipeline) followTail(ctx context.Context) {
	for ctx.Err() == nil {
		c, known, _ := p.writer.progress.state()
		if known {
			if err := p.tail.follow(ctx, c); ctx.Err() == nil {
				p.cfg.Logger.Warn("reading the journal's tail again", "cause", err)
			}
		}
		pause(ctx, 100*time.Millisecond)
	}
}

// pause waits for d or the end of ctx.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// Ledger returns where all events are, including everything answered before the call.
func (p *Pipeline) Ledger(ctx context.Context) (Ledger, error) {
	cursor, _, _ := p.writer.progress.state()
	if err := p.tail.reach(ctx, max(p.end(), cursor.Seq), tailPatience); err != nil {
		return Ledger{}, errs.Wrap(errs.Unavailable, "the ledger is not known until the database has been read once", err)
	}
	return p.snapshot(), nil
}

// snapshot is the ledger as this process knows it at this moment.
func (p *Pipeline) snapshot() Ledger {
	c, pending, lost := p.counts()
	return Ledger{
		Received:     c.ReceivedTotal(),
		Rejected:     c.RejectedTotal(),
		SampledOut:   c.SampledOut,
		Accepted:     c.Accepted,
		Stored:       c.Stored,
		Duplicate:    c.Duplicate,
		DeadLettered: c.DeadLetteredTotal(),
		Pending:      pending,
		Lost:         lost,
	}
}

// counts joins the doors' side, read from the journal's tail, with the store's side, read from
// its cursor. The cursor is read first: the tail may be ahead of it, which is pending, never behind.
func (p *Pipeline) counts() (c event.Counts, pending uint64, lost int64) {
	cursor, _, _ := p.writer.progress.state()
	doors, known := p.tail.read()
	if !known || doors.Accepted < cursor.Counts.Accepted {
		doors = cursor.Counts // the tail has not caught up with the cursor yet
	}
	c = cursor.Counts
	pending = doors.Accepted - c.Accepted
	lost = int64(c.Accepted) - int64(c.Settled())
	c.Received, c.Rejected = doors.Received, doors.Rejected
	c.SampledOut, c.Accepted = doors.SampledOut, doors.Accepted
	debt := p.owed.read()
	c.Add(&debt)
	return c, pending, lost
}
