package ingest

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/store"
)

const (
	followEvery = 500 * time.Millisecond // how often a process without the lease looks at the cursor
	retryFirst  = 100 * time.Millisecond
	retryMost   = 5 * time.Second
	purgeEvery  = 250 * time.Millisecond
	tellEvery   = time.Minute // while nothing can be stored
)

// writer moves events from the journal to the store. Of all processes on one stream, the one
// with the lease stores; the fence on the cursor keeps it right even when two believe to have it.
type writer struct {
	cfg      Config
	logger   *slog.Logger
	progress *progress
	metrics  *writerMetrics
	exporter *exporter // nil = no metrics are made from events
	told     time.Time // when the log last said that events wait; zero = they do not

	occupancy occupancy
}

func newWriter(cfg Config) *writer {
	return &writer{
		cfg: cfg, logger: cfg.Logger.With("part", "store_writer"),
		progress: newProgress(), metrics: newWriterMetrics(),
		exporter: newExporter(cfg.Projections, cfg.Now, cfg.Logger.With("part", "projections")),
	}
}

// run stores until ctx ends, beginning again from the cursor after every failure.
func (w *writer) run(ctx context.Context) {
	delay := retryFirst
	for ctx.Err() == nil {
		began := w.cfg.Now()
		err := w.lead(ctx)
		if err == nil || ctx.Err() != nil {
			continue
		}
		if w.cfg.Now().Sub(began) > retryMost {
			delay = retryFirst
		}
		w.fail(err)
		pause(ctx, delay)
		delay = min(2*delay, retryMost)
	}
}

// fail notes why nothing is stored. An outage lasts for many tries, so the log has one line a minute.
func (w *writer) fail(err error) {
	w.progress.failed(err)
	if now := w.cfg.Now(); w.told.IsZero() || now.Sub(w.told) >= tellEvery {
		w.told = now
		w.logger.Warn("events wait in the journal", "cause", err)
	}
}

// recovered notes that the database takes events, or has all there are.
func (w *writer) recovered() {
	if !w.told.IsZero() {
		w.told = time.Time{}
		w.logger.Info("events are stored again")
	}
}

// lead takes the lease and stores until something fails; without the lease it follows the cursor.
func (w *writer) lead(ctx context.Context) error {
	stream := w.cfg.Log.State().StreamID
	release, ok, err := w.cfg.Sink.Lease(ctx, stream)
	if err != nil {
		return err
	}
	if ok {
		defer release()
	}
	cursor, err := w.cfg.Sink.Cursor(ctx, stream)
	if err != nil {
		return err
	}
	w.progress.advance(cursor, false, w.cfg.Now())
	if !ok {
		w.recovered()
		pause(ctx, followEvery)
		return nil
	}
	after, err := w.begin(ctx, cursor)
	if err != nil {
		return err
	}
	if err := w.exporter.begin(ctx, stream); err != nil {
		return err
	}
	defer w.exporter.end()
	if after >= w.cfg.Log.State().LastSeq {
		w.recovered()
	}
	return w.pump(ctx, cursor, after)
}

// begin finds where to read on. A cursor beyond the journal's end means that the journal's
// directory was replaced: going on would skip events, so it refuses.
func (w *writer) begin(ctx context.Context, c store.Cursor) (after uint64, err error) {
	s := w.cfg.Log.State()
	if c.Seq > s.LastSeq {
		pause(ctx, 2*time.Second) // the cached state may be older than another replica's cursor
		if s = w.cfg.Log.State(); c.Seq > s.LastSeq {
			return 0, errs.New(errs.Internal, "the database has stored more of this journal than the journal holds: "+
				"its directory was replaced by an older copy. Move it away to begin a new journal")
		}
	}
	after = startAfter(c, s)
	if after > c.Seq && c.Seq > 0 {
		w.logger.Error("this database is older than the journal, which no longer holds what lies between",
			"stored_up_to", c.Seq, "journal_begins_after", after)
	}
	return after, nil
}

// pump runs the three steps side by side: read and decode, gather, commit; and purges behind them.
func (w *writer) pump(ctx context.Context, cursor store.Cursor, after uint64) error {
	g, ctx := errgroup.WithContext(ctx)
	loads, works, idle := make(chan load, 2), make(chan *work), make(chan *work, 1)
	g.Go(func() error { w.relieve(ctx); return nil })
	g.Go(func() error { defer close(loads); return w.load(ctx, after, loads) })
	g.Go(func() error {
		defer close(works)
		w.gather(ctx, continueFrom(cursor, after), loads, works, idle)
		return nil
	})
	g.Go(func() error {
		if w.cfg.Inside {
			if err := giveWay(); err != nil {
				w.logger.Debug("storing runs at the usual priority", "cause", err)
			}
		}
		for b := range works {
			began := w.cfg.Now()
			next, err := w.commit(ctx, cursor, b)
			if err != nil {
				return err
			}
			cursor = next
			b.took = w.cfg.Now().Sub(began)
			idle <- b // has room: the next batch comes after this one was taken
		}
		return nil
	})
	return g.Wait()
}

// commit stores one batch, however often it takes, unless another process took over.
func (w *writer) commit(ctx context.Context, from store.Cursor, b *work) (store.Cursor, error) {
	batch := b.batch
	batch.From = from
	batch.Totals = mergeTotals(from.Totals, b.seen)
	for delay := retryFirst; ; delay = min(2*delay, retryMost) {
		began := w.cfg.Now()
		w.occupancy.turn(true, began)
		res, err := w.cfg.Sink.Commit(ctx, &batch)
		now := w.cfg.Now()
		w.occupancy.turn(false, now)
		if err == nil {
			w.recovered()
			w.metrics.wrote(len(batch.Events), now.Sub(began))
			w.exporter.update(res.Projections)
			w.progress.advance(res.Cursor, true, now)
			return res.Cursor, nil
		}
		switch errs.KindOf(err) {
		case errs.Conflict:
			return from, err
		case errs.Invalid:
			if err := w.isolate(ctx, &batch); err != nil {
				return from, err
			}
			continue
		}
		if ctx.Err() != nil {
			return from, ctx.Err()
		}
		w.fail(err)
		pause(ctx, delay)
		// The failed transaction may have been committed, its answer lost on the way.
		if now, err := w.cfg.Sink.Cursor(ctx, from.Stream); err == nil && now.Seq != from.Seq {
			if now.Seq == batch.Seq {
				if err := w.exporter.begin(ctx, from.Stream); err != nil {
					return from, err
				}
				w.progress.advance(now, true, w.cfg.Now())
				return now, nil
			}
			return from, errs.New(errs.Conflict, "another process stored from this journal meanwhile")
		}
	}
}

// relieve purges what is stored from the journal: at the start, which tells the journal how far the
// database is, and then now and then. It does not wait for the next commit: a full journal takes
// nothing, so there would be none. A failure only delays it.
func (w *writer) relieve(ctx context.Context) {
	tick := time.NewTicker(purgeEvery)
	defer tick.Stop()
	told := false // a failure lasts for many looks, and is told once
	for stored, purged := uint64(0), uint64(0); ; {
		c, _, _ := w.progress.state()
		if upTo := w.purgeable(c.Seq); c.Seq > stored || upTo > purged {
			err := w.cfg.Log.Settle(ctx, c.Seq, upTo)
			switch {
			case err == nil:
				stored, purged, told = c.Seq, upTo, false
			case ctx.Err() == nil && !told:
				told = true
				w.logger.Warn("purging stored events from the journal", "cause", err)
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// purgeable is up to where stored messages are of no more use to anybody.
func (w *writer) purgeable(stored uint64) uint64 {
	if w.cfg.Keep == nil {
		return stored
	}
	return min(stored, w.cfg.Keep(stored))
}

// isolate finds the events that the database refuses and moves them from the batch to its dead
// letters, so that the others are stored.
func (w *writer) isolate(ctx context.Context, b *store.Batch) error {
	var good []event.Event
	var search func([]event.Event) error
	search = func(part []event.Event) error {
		err := w.cfg.Sink.Probe(ctx, part)
		if err == nil {
			good = append(good, part...)
			return nil
		}
		if !errs.Is(err, errs.Invalid) {
			return err
		}
		if len(part) == 1 {
			b.Dead = append(b.Dead, deadLetter(&part[0], event.ReasonStoreRefused, err, w.cfg.Now()))
			w.logger.Error("the database refuses an event; it is kept as a dead letter", "event_id", part[0].ID)
			return nil
		}
		half := len(part) / 2
		return errors.Join(search(part[:half]), search(part[half:]))
	}
	dead := len(b.Dead)
	if err := search(b.Events); err != nil {
		b.Dead = b.Dead[:dead]
		return err
	}
	if len(b.Dead) == dead {
		return errs.New(errs.Unavailable, "the database refused a batch but none of its events")
	}
	b.Events = good
	return nil
}
