package ingest

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/event/eventjson"
	"github.com/tidemark-obs/tidemark/internal/journal"
	"github.com/tidemark-obs/tidemark/internal/settings"
)

// Config is what a Pipeline is made of. Projections, Accepted, Keep, Erased and Unclean may be left out.
type Config struct {
	Log      Log
	Sink     Sink
	Settings func() settings.Settings
	Logger   *slog.Logger
	Now      func() time.Time
	Bounds   Bounds
	// Inside says that the database works in this process, on the thread that stores. That one then gives
	// way to everything else, most of all to questions; on Linux only.
	Inside bool

	Projections Projections
	// Accepted hears of every event that was accepted, in its request's context. It must neither
	// wait nor change the event.
	Accepted func(context.Context, *event.Event)
	// Keep says how much of what is stored may leave the journal: up to which position, at most the
	// given one. Nil = all of it.
	Keep func(stored uint64) uint64
	// Erased hears that a person was erased, before the receipt says so.
	Erased func(context.Context)
	// Unclean are erasures whose receipts lack when the journal was clean.
	Unclean Unclean
}

// Unclean is what is known over a restart of erasures that this process was asked for. Keep may be
// nil where the database notes that the journal is clean without their ids.
type Unclean struct {
	IDs  []string
	Keep func(ids []string) error // all that there are now
}

// Bounds limits the store writer's transactions.
type Bounds struct {
	Events int // events in one transaction
	Bytes  int // bytes of their journal lines
}

// Pipeline is the one way in: doors submit, the store writer stores, the ledger counts.
type Pipeline struct {
	cfg     Config
	owed    owed
	recent  recent
	tail    *tail
	writer  *writer
	buffers sync.Pool     // *[]byte, for the lines of one request
	newest  atomic.Uint64 // highest position this process has written
	unclean *unclean
	stop    context.CancelFunc
	done    chan struct{}
}

// New returns a pipeline that does not run yet; Submit works at once, nothing is stored before Start.
func New(cfg Config) *Pipeline {
	p := &Pipeline{cfg: cfg, unclean: newUnclean(cfg), done: make(chan struct{})}
	p.buffers.New = func() any { return new([]byte) }
	p.tail = newTail(cfg.Log, cfg.Logger)
	p.writer = newWriter(cfg)
	return p
}

// Start runs the store writer and the ledger until Stop.
func (p *Pipeline) Start() {
	ctx, stop := context.WithCancel(context.Background())
	p.stop = stop
	var loops sync.WaitGroup
	for _, loop := range []func(context.Context){p.writer.run, p.writer.exporter.run, p.settleOwed, p.followTail, p.prune} {
		loops.Go(func() { loop(ctx) })
	}
	go func() { loops.Wait(); close(p.done) }()
}

// Stop stores what was accepted, as far as ctx allows, and joins everything. What is left
// is safe in the journal and is stored after the next start, so that is no error.
func (p *Pipeline) Stop(ctx context.Context) {
	if p.stop == nil {
		return
	}
	p.writeOwed(ctx)
	if err := p.drain(ctx); err != nil {
		p.cfg.Logger.Warn("stopping with events in the journal; they are stored after the next start",
			"pending", p.snapshot().Pending, "cause", err)
	}
	p.stop()
	<-p.done
}

// drain waits for the store, but not for one that makes no headway, and leaves a third of the
// time to what is closed after it.
func (p *Pipeline) drain(ctx context.Context) error {
	if end, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(end)*2/3)
		defer cancel()
	}
	return p.writer.progress.wait(ctx, p.newest.Load(), false)
}

// Submit takes in the events of one request. Each item is counted as exactly one of rejected,
// sampled out and accepted; accepted ones are on disk when it returns. It returns the journal
// position to wait on for their storage. An error means that nothing was accepted: every
// readable item is counted as rejected, and trying again is right. Imported events keep the time
// at which another service received them, and are not sampled again.
func (p *Pipeline) Submit(ctx context.Context, proto event.Protocol, items []Item) (uint64, error) {
	now := p.cfg.Now().UTC().Truncate(time.Microsecond)
	set := p.cfg.Settings()
	if !set.Enabled {
		p.refuse(proto, items, event.ReasonDisabled)
		return 0, errs.New(errs.Unavailable, "tracking is switched off; POST /api/analytics/config {\"enabled\": true} switches it on")
	}
	buf := p.buffers.Get().(*[]byte)
	defer p.buffers.Put(buf)
	entry := journal.Entry{Lines: (*buf)[:0]}
	entry.Counts.Received[proto] = uint64(len(items))
	for i := range items {
		event.Turn(i)
		it := &items[i]
		if it.Err != nil {
			entry.Counts.Rejected[reasonOf(it.Err)]++
			entry.Lines = appendRejection(entry.Lines, it)
			continue
		}
		if proto != event.Import || it.Event.ReceivedAt.IsZero() {
			it.Event.ReceivedAt = now
		}
		if err := complete(&it.Event); err != nil {
			return 0, err
		}
		if rate, ok := set.SampleRates[string(it.Event.Type)]; ok && rate < 1 && proto != event.Import && !event.Sample(&it.Event, rate) {
			it.Sampled = true
			entry.Counts.SampledOut++
			continue
		}
		entry.Counts.Accepted++
		entry.Lines = eventjson.Append(entry.Lines, &it.Event)
		entry.Lines = append(entry.Lines, '\n')
	}
	*buf = entry.Lines[:0] // the journal copies the lines before Append returns
	seq, err := p.append(ctx, entry)
	if err != nil {
		if entry.Counts.Accepted == 0 { // nothing to lose: the answer stands, the counts are owed
			p.owed.add(&entry.Counts)
			return 0, nil
		}
		p.refuse(proto, items, unwritten(err))
		return 0, err
	}
	p.remember(ctx, items, set.ConsoleLogging)
	return seq, nil
}

// Reject counts a request whose body could not be read into events as one received, one rejected.
func (p *Pipeline) Reject(ctx context.Context, proto event.Protocol, err error) {
	var c event.Counts
	c.Received[proto] = 1
	c.Rejected[reasonOf(err)] = 1
	if _, err := p.append(ctx, journal.Entry{Counts: c}); err != nil {
		p.owed.add(&c)
	}
}

// append writes one entry together with the counts that are owed.
func (p *Pipeline) append(ctx context.Context, e journal.Entry) (uint64, error) {
	debt := p.owed.take()
	e.Counts.Add(&debt)
	seq, err := p.cfg.Log.Append(ctx, e)
	if err != nil {
		p.owed.add(&debt)
		return 0, err
	}
	for {
		was := p.newest.Load()
		if seq <= was || p.newest.CompareAndSwap(was, seq) {
			return seq, nil
		}
	}
}

// refuse counts every item of a request as rejected: those that were bad for their own fault,
// the others for reason.
func (p *Pipeline) refuse(proto event.Protocol, items []Item, reason event.Reason) {
	var c event.Counts
	c.Received[proto] = uint64(len(items))
	for i := range items {
		if items[i].Err != nil {
			c.Rejected[reasonOf(items[i].Err)]++
		} else {
			c.Rejected[reason]++
		}
	}
	p.owed.add(&c)
}

func (p *Pipeline) remember(ctx context.Context, items []Item, console bool) {
	p.recent.add(items)
	if !console && p.cfg.Accepted == nil {
		return
	}
	for i := range items {
		it := &items[i]
		if it.Err != nil || it.Sampled {
			continue
		}
		if p.cfg.Accepted != nil {
			p.cfg.Accepted(ctx, &it.Event)
		}
		if console {
			p.cfg.Logger.InfoContext(ctx, "event accepted", "event", string(eventjson.Append(nil, &it.Event)))
		}
	}
}

func complete(e *event.Event) error {
	if e.ID == "" {
		id, err := uuid.NewV7()
		if err != nil {
			return errs.Wrap(errs.Internal, "making an event id", err)
		}
		e.ID = id.String()
	}
	return nil
}

func appendRejection(lines []byte, it *Item) []byte {
	if it.Event.ID == "" {
		return lines
	}
	lines = eventjson.AppendRejection(lines, it.Event.ID, reasonOf(it.Err))
	return append(lines, '\n')
}

// reasonOf is the ledger's reason for an error born at a door.
func reasonOf(err error) event.Reason {
	if errors.Is(err, event.ErrFuture) {
		return event.ReasonFuture
	}
	switch errs.KindOf(err) {
	case errs.Malformed, errs.UnsupportedMedia:
		return event.ReasonMalformed
	case errs.TooLarge:
		return event.ReasonTooLarge
	default:
		return event.ReasonInvalid
	}
}

// unwritten is the ledger's reason for an error of the journal.
func unwritten(err error) event.Reason {
	switch {
	case errs.Is(err, errs.Overloaded):
		return event.ReasonJournalFull
	case errs.Is(err, errs.TooLarge):
		return event.ReasonTooLarge
	default:
		return event.ReasonJournalUnavailable
	}
}

// WaitStored returns once every message up to seq is settled in the database.
func (p *Pipeline) WaitStored(ctx context.Context, seq uint64) error {
	return p.writer.progress.wait(ctx, seq, true)
}

// Flush stores everything accepted before it and returns how many events that were.
func (p *Pipeline) Flush(ctx context.Context) (int64, error) {
	l, err := p.Ledger(ctx)
	if err != nil {
		return 0, err
	}
	if err := p.WaitStored(ctx, p.end()); err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			err = errs.Wrap(errs.Unavailable, "the database did not store the waiting events in time; they stay in the journal", err)
		}
		return 0, err
	}
	return int64(l.Pending), nil
}

// Forget drops from the journal all that is stored, whatever Config.Keep says.
func (p *Pipeline) Forget(ctx context.Context) error {
	seq, err := p.append(ctx, journal.Entry{}) // the newest message is never purged
	if err != nil {
		return err
	}
	if err := p.WaitStored(ctx, seq); err != nil {
		return err
	}
	return p.cfg.Log.Settle(ctx, seq, seq)
}

// Status tells how the store writer stands, without waiting.
func (p *Pipeline) Status() Status {
	return Status{Buffered: p.snapshot().Pending, LastFlush: p.writer.progress.flushed()}
}

// end is the newest position known to this process, whoever wrote it, and whenever.
func (p *Pipeline) end() uint64 {
	return max(p.newest.Load(), p.tail.position(), p.cfg.Log.State().LastSeq)
}
