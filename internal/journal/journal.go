package journal

import (
	"context"
	"log/slog"
	"sync"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tidemark-obs/tidemark/internal/errs"
)

// Journal is a durable log of entries. Its methods may be called at the same time.
type Journal struct {
	writing sync.Mutex // held by the one append or purge that is under way; see try
	cfg     Config
	log     *slog.Logger
	backend backend
	queue   *gatherer
	writer  writer
	status  *status
	buffers buffers
	entry   int // bytes that the lines of one entry may have

	mu      sync.Mutex
	link    *link         // nil while the journal is broken
	changed chan struct{} // closed and replaced when link or closed change
	closed  bool

	kick  chan struct{} // wakes the supervisor
	stop  context.CancelFunc
	tasks sync.WaitGroup
	ended chan struct{} // closed when everything has ended
}

// Open opens the journal, and makes its stream where there is none. For what JetStream cannot do
// just now it asks again until AppendTimeout. It fails where the stream would not keep its
// promise, naming why.
func Open(ctx context.Context, cfg Config) (*Journal, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	j := &Journal{
		cfg: cfg, log: cfg.Logger, status: newStatus(cfg),
		changed: make(chan struct{}), kick: make(chan struct{}, 1), ended: make(chan struct{}),
	}
	if cfg.URL == "" {
		j.backend = newEmbedded(cfg, j.wake)
	} else if j.backend, err = newExternal(cfg); err != nil {
		return nil, err
	}
	l, err := j.connect(ctx, j.backend.create)
	if err != nil {
		j.backend.close()
		return nil, err
	}
	j.link = l
	payload := min(int(l.nc.MaxPayload()), int(cfg.MaxBytes/4), maxLines)
	j.entry = payload - headerRoom
	j.queue = newGatherer(min(groupBytes, j.entry), cfg.AppendTimeout)
	j.writer = newWriter(cfg.Writer)

	run, stop := context.WithCancel(context.Background())
	j.stop = stop
	j.tasks.Go(func() { j.supervise(run) })
	go j.run()
	return j, nil
}

// run writes until the journal is closed and all that was gathered is written, then ends
// everything else.
func (j *Journal) run() {
	defer close(j.ended)
	j.commitGroups()
	j.stop()
	j.tasks.Wait()
	j.mu.Lock()
	j.link = nil
	j.announce()
	j.mu.Unlock()
	j.backend.close()
}

// connect makes a link to the stream that open finds or makes.
func (j *Journal) connect(ctx context.Context, open func(context.Context, jetstream.JetStream) (jetstream.Stream, error)) (*link, error) {
	nc, err := j.backend.connect(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, j.cfg.AppendTimeout)
	defer cancel()
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, errOpening(err)
	}
	s, err := open(ctx, js)
	if err != nil {
		return nil, errOpening(err)
	}
	info, err := s.Info(ctx)
	if err != nil {
		return nil, errOpening(err)
	}
	if err := j.backend.adopt(ctx, js, info); err != nil {
		return nil, err
	}
	l := newLink(nc, js, s)
	if err := j.status.opened(ctx, l, info); err != nil {
		return nil, err
	}
	return l, nil
}

// current returns the link, or why there is none.
func (j *Journal) current() (*link, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case j.closed:
		return nil, errClosed()
	case j.link == nil:
		return nil, j.status.broken()
	}
	return j.link, nil
}

// awaitLink waits for a link until ctx ends or the journal has been closed.
func (j *Journal) awaitLink(ctx context.Context) (*link, error) {
	for {
		j.mu.Lock()
		l, changed, closed := j.link, j.changed, j.closed
		j.mu.Unlock()
		if l != nil {
			return l, nil
		}
		if closed {
			return nil, errClosed()
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, errs.Wrap(errs.Unavailable, "waiting for the journal", ctx.Err())
		}
	}
}

// fail notes that l must not be used any more and has it replaced.
func (j *Journal) fail(l *link, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.link != l {
		return // somebody else saw it first
	}
	j.link = nil
	j.status.fail(err)
	j.announce()
	l.lose(err)
	j.log.Error("the journal takes nothing until it can write again", "error", err)
	j.wake()
}

// heal puts l in place of the link that failed.
func (j *Journal) heal(l *link) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.link = l
	j.status.heal()
	j.announce()
	j.log.Info("the journal writes again", "last_seq", j.status.last())
}

// changes returns what is closed when the link changes or the journal is closed, and whether it is.
func (j *Journal) changes() (<-chan struct{}, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.changed, j.closed
}

// announce tells who waits that link or closed have changed. j.mu is held.
func (j *Journal) announce() {
	close(j.changed)
	j.changed = make(chan struct{})
}

// wake has the supervisor look at once.
func (j *Journal) wake() {
	select {
	case j.kick <- struct{}{}:
	default: // woken already
	}
}

// State returns how the journal stands. It asks nobody: what it says is at most a second old,
// except for what this process wrote, which it says at once.
func (j *Journal) State() State { return j.status.state() }

// LastAppended returns the newest position written by this process; 0 when it wrote nothing.
func (j *Journal) LastAppended() uint64 { return j.status.appended() }

// Close writes what was gathered, ends every Reader and everything that was started. When ctx
// ends first, because a disk hangs, the rest is left to end by itself.
func (j *Journal) Close(ctx context.Context) error {
	j.mu.Lock()
	j.closed = true
	j.announce()
	j.mu.Unlock()
	j.queue.close()
	select {
	case <-j.ended:
		return nil
	case <-ctx.Done():
		return errs.Wrap(errs.Unavailable, "closing the journal", ctx.Err())
	}
}
