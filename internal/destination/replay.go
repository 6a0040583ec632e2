package destination

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/store"
)

// What a replay delivers.
const (
	History     = "history"      // events received between two times
	DeadLetters = "dead_letters" // what was refused before a time
	gap         = "gap"          // history that left the journal undelivered
)

const (
	// gapSlack is more than an event's time of receipt and its message's may be apart.
	gapSlack   = 30 * time.Second
	replayPage = 1_000
	firstSpan  = time.Minute
	leastSpan  = 10 * time.Millisecond
	widestSpan = 30 * 24 * time.Hour

	// recall is how many times as much as from the journal it costs to read an event from the database.
	recall = 3
)

// bridge finds what has left the journal undelivered, and has it delivered from the database before
// the rest of the journal.
func (r *runner) bridge(ctx context.Context) error {
	pos, s := r.position(), r.m.opt.Log.State()
	if pos.seq > s.LastSeq {
		pause(ctx, 2*time.Second) // the state may be older than the cursor
		if s = r.m.opt.Log.State(); pos.seq > s.LastSeq {
			r.logger.Error("the journal was replaced by an older copy; delivering goes on at its end", "delivered_up_to", pos.seq, "journal_ends_at", s.LastSeq)
			r.mu.Lock()
			r.pos, r.dirty = position{s.LastSeq, r.m.opt.Now()}, true
			r.mu.Unlock()
			return nil
		}
	}
	reader, err := r.m.opt.Log.Read(ctx, max(s.FirstSeq, 1)-1, true)
	if err != nil {
		return err
	}
	defer reader.Close()
	first, err := reader.Next(ctx)
	if err != nil {
		return err
	}
	if first.Seq <= pos.seq+1 {
		return nil // there is no gap any more
	}
	job, err := newReplay(r.cfg.Name, r.made, s.StreamID, gap, pos.at.Add(-gapSlack), first.Time.Add(gapSlack))
	if err != nil {
		return err
	}
	next := position{first.Seq - 1, first.Time}
	err = r.m.save(ctx, &store.DestinationChanges{New: []store.DestinationReplay{job}, Cursors: []store.DestinationCursor{r.cursor(next)}})
	if err != nil {
		return err
	}
	r.logger.Warn("what was not delivered has left the journal; it is delivered from the database", "after", pos.seq, "journal_begins_at", first.Seq)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pos = next
	r.add(job)
	return nil
}

func newReplay(destination string, made time.Time, stream, what string, from, to time.Time) (store.DestinationReplay, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return store.DestinationReplay{}, err
	}
	return store.DestinationReplay{ID: id.String(), Destination: destination, Stream: stream, What: what, From: from, To: to, AfterAt: from, Of: made}, nil
}

func (r *runner) cursor(at position) store.DestinationCursor {
	return store.DestinationCursor{Destination: r.cfg.Name, Stream: r.stream, Seq: at.seq, At: at.at, Of: r.made}
}

// replay delivers what a replay asks for and ends it.
func (r *runner) replay(ctx context.Context, job store.DestinationReplay) error {
	deliver := r.replayHistory
	if job.What == DeadLetters {
		deliver = r.replayDead
	}
	if err := deliver(ctx, job); err != nil {
		return err
	}
	if err := r.m.save(ctx, &store.DestinationChanges{Ended: []string{job.ID}}); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.replays = r.replays[1:]
	r.ended[job.ID] = true
	return nil
}

// moved notes how far a replay is. It is saved with the cursors.
func (r *runner) moved(job store.DestinationReplay) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.replays[0], r.dirty = job, true
}

// replayHistory delivers stored events by the time of their receipt, a span at a time: the embedded
// database has no index over it.
func (r *runner) replayHistory(ctx context.Context, job store.DestinationReplay) error {
	if job.What == History { // what was received before may still be on its way to the database
		if err := r.m.opt.WaitStored(ctx, r.m.opt.Log.State().LastSeq); err != nil {
			return err
		}
		first, err := r.m.opt.Store.FirstReceived(ctx) // looks at all there is; a gap is recent
		if err != nil {
			return err
		}
		if first.IsZero() {
			return nil
		}
		if first.After(job.AfterAt) {
			job.AfterAt = first
		}
	}
	for span := firstSpan; job.AfterAt.Before(job.To); {
		end := job.AfterAt.Add(span)
		if end.After(job.To) {
			end = job.To
		}
		page, err := r.m.opt.Store.Received(ctx, job.AfterAt, end, job.AfterID, replayPage)
		if err != nil {
			return err
		}
		if err := r.deliverPage(ctx, page); err != nil {
			return err
		}
		if len(page) == replayPage {
			last := &page[len(page)-1]
			job.AfterAt, job.AfterID = last.ReceivedAt, last.ID
			span = max(span/2, leastSpan)
		} else {
			job.AfterAt, job.AfterID = end, ""
			span = min(2*span, widestSpan)
		}
		r.moved(job)
		r.m.pace.rest(ctx, recall*len(page), len(page))
	}
	return nil
}

func (r *runner) deliverPage(ctx context.Context, page []event.Event) error {
	var batch []event.Event
	bytes := 0
	for i := range page {
		if !r.filter.passes(&page[i]) {
			continue
		}
		batch = append(batch, page[i])
		bytes += weight(&page[i])
		if len(batch) < r.batch.Events && bytes < r.batch.Bytes {
			continue
		}
		if err := r.deliver(ctx, batch, r.bury); err != nil {
			return err
		}
		batch, bytes = batch[:0], 0
	}
	return r.deliver(ctx, batch, r.bury)
}

// replayDead delivers dead letters. Those that are refused again stay.
func (r *runner) replayDead(ctx context.Context, job store.DestinationReplay) error {
	for {
		page, err := r.m.opt.Store.ListUndelivered(ctx, r.cfg.Name, job.AfterID, job.To, min(r.batch.Events, replayPage))
		if err != nil || len(page) == 0 {
			return err
		}
		events := make([]event.Event, len(page))
		for i := range page {
			events[i] = page[i].Event
		}
		again := map[string]bool{}
		err = r.deliver(ctx, events, func(_ context.Context, e *event.Event, _ string) error {
			again[e.ID] = true
			return nil
		})
		if err != nil {
			return err
		}
		var ids []string
		for i := range page {
			if !again[page[i].Event.ID] {
				ids = append(ids, page[i].ID)
			}
		}
		if len(ids) > 0 {
			if _, err := r.m.opt.Store.DropUndelivered(ctx, r.cfg.Name, ids...); err != nil {
				return err
			}
		}
		job.AfterID = page[len(page)-1].ID
		r.moved(job)
	}
}
