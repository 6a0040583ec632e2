package destination

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/journal"
	"github.com/tidemark-obs/tidemark/internal/store"
)

// State is what a destination is doing. Its number is the value of tidemark_destination_state.
type State int

// The states.
const (
	Delivering State = iota
	Retrying         // the last try failed
	Open             // several failed in a row: tried now and then
	Replaying        // delivers from the database
	Paused           // switched off
	Full             // has as many dead letters as it may, and waits
)

// String is the state as the API shows it.
func (s State) String() string {
	return [...]string{"delivering", "retrying", "open", "replaying", "paused", "full"}[s]
}

// position is a place in the journal.
type position struct {
	seq uint64
	at  time.Time // when the message there was written
}

// runner delivers to one destination. run is its only goroutine but for the one that reads ahead.
type runner struct {
	m         *Manager
	stream    string
	cfg       Config
	batch     Batch
	filter    *filter
	transform *transform
	sender    sender
	limiter   *rate.Limiter // nil = no limit
	breaker   breaker
	metrics   *destinationMetrics
	logger    *slog.Logger
	out       []event.Event // as they go out, used again
	untold    int64         // refused events that the log does not know of
	told      time.Time     // when it was last told of some
	poke      chan struct{} // told when there is something else to do than follow the journal

	mu        sync.Mutex
	pos       position
	dirty     bool // pos is not saved yet
	state     State
	lastErr   string
	lastOK    time.Time
	replays   []store.DestinationReplay
	ended     map[string]bool // of replays, while the database may still show them
	delivered uint64

	made   time.Time // when the destination was, which tells it from others of its name
	since  time.Time // when its configuration was made
	cancel context.CancelFunc
	done   chan struct{}
}

func newRunner(m *Manager, k *known, at position) *runner {
	c := k.cfg
	r := &runner{
		m: m, stream: m.stream, made: k.row.CreatedAt, since: k.row.UpdatedAt, cfg: c, batch: c.Batch.complete(), filter: newFilter(&c.Filter), transform: newTransform(&c.Transform, c.Secrets.HashKey),
		sender: newSender(&c, m.opt.LogRecord, m.opt.Now), metrics: m.metrics.of(c.Name),
		logger: m.opt.Logger.With("destination", c.Name), poke: make(chan struct{}, 1), pos: at,
		breaker: breaker{pauses: m.pauses}, ended: map[string]bool{}, done: make(chan struct{}),
	}
	r.limiter = c.limiter()
	return r
}

// limiter lets a batch through at once, and no more than that; nil without a limit.
func (c *Config) limiter() *rate.Limiter {
	if c.RatePerSecond == 0 {
		return nil
	}
	return rate.NewLimiter(rate.Limit(c.RatePerSecond), c.Batch.complete().Events)
}

func (r *runner) start() {
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	go func() {
		defer close(r.done)
		defer r.sender.close()
		r.run(ctx)
	}()
}

// stop ends the runner. What is under way is given up and will be sent again.
func (r *runner) stop() {
	r.cancel()
	<-r.done
}

func (r *runner) stopped() bool {
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}

func (r *runner) run(ctx context.Context) {
	for ctx.Err() == nil {
		var err error
		if job, ok := r.nextReplay(); ok {
			r.setState(Replaying, "")
			err = r.replay(ctx, job)
		} else {
			r.setState(Delivering, "")
			err = r.follow(ctx)
		}
		if err != nil && ctx.Err() == nil && !errors.Is(err, errPoked) {
			r.logger.Warn("delivering begins again", "cause", err)
			r.setState(Retrying, err.Error())
			pause(ctx, time.Second)
		}
	}
}

// nextReplay is the one to do now: dead letters before all else, because their going makes room.
func (r *runner) nextReplay() (store.DestinationReplay, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.replays) == 0 {
		return store.DestinationReplay{}, false
	}
	if i := slices.IndexFunc(r.replays, ofDeadLetters); i > 0 {
		job := r.replays[i]
		r.replays = slices.Insert(slices.Delete(r.replays, i, i+1), 0, job)
	}
	return r.replays[0], true
}

func ofDeadLetters(j store.DestinationReplay) bool { return j.What == DeadLetters }

// take tells the runner what the database says is to be replayed.
func (r *runner) take(replays []store.DestinationReplay) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, j := range replays {
		if r.add(j) {
			r.nudge()
		}
	}
	maps.DeleteFunc(r.ended, func(id string, _ bool) bool { return !shows(replays, id) })
}

func shows(replays []store.DestinationReplay, id string) bool {
	return slices.ContainsFunc(replays, func(j store.DestinationReplay) bool { return j.ID == id })
}

// add appends a replay that is new. r.mu is held.
func (r *runner) add(job store.DestinationReplay) bool {
	if r.ended[job.ID] || shows(r.replays, job.ID) {
		return false
	}
	r.replays = append(r.replays, job)
	return true
}

func (r *runner) nudge() {
	select {
	case r.poke <- struct{}{}:
	default: // told already
	}
}

// piece is what of one journal message goes on, or of a part of it.
type piece struct {
	at     position // of the message, with its last part; else zero
	events []event.Event
}

// errPoked ends following the journal for something else.
var errPoked = errors.New("there is something else to do")

// follow delivers from the journal until there is something else to do.
func (r *runner) follow(ctx context.Context) error {
	reads, cancel := context.WithCancel(ctx) // bridge needs the outer one when this has ended
	defer cancel()
	pieces := make(chan piece, 2)
	read := make(chan error, 1)
	from := r.position()
	go func() { read <- r.read(reads, from, pieces) }()
	err := r.gather(ctx, pieces)
	cancel()
	reading := <-read
	switch {
	case errors.Is(err, errPoked):
		return nil
	case err != nil:
		return err
	case errs.Is(reading, errs.Conflict):
		return r.bridge(ctx)
	}
	return reading
}

// read decodes the journal until it fails or ctx ends.
func (r *runner) read(ctx context.Context, from position, to chan<- piece) error {
	defer close(to)
	reader, err := r.m.opt.Log.Read(ctx, from.seq, false)
	if err != nil {
		return err
	}
	defer reader.Close()
	for {
		m, err := reader.Next(ctx)
		if err != nil {
			return err
		}
		if err := r.pass(ctx, &m, to); err != nil {
			return err
		}
	}
}

// pass gives on a message in parts: all of its events at once, those of each destination, would
// take a lot of memory.
func (r *runner) pass(ctx context.Context, m *journal.Message, to chan<- piece) error {
	for left := m.Lines; ; {
		var p piece
		var read int
		p.events, read, left = r.decode(left)
		if len(left) == 0 {
			p.at = position{m.Seq, m.Time}
		}
		n := len(p.events)
		select {
		case to <- p:
		case <-ctx.Done():
			return ctx.Err()
		}
		r.m.pace.rest(ctx, read, n)
		if len(left) == 0 {
			return nil
		}
	}
}

// gather makes batches of what is read and delivers them one after the other. The cursor moves on
// to the last message all of whose events are delivered.
func (r *runner) gather(ctx context.Context, pieces <-chan piece) error {
	var batch []event.Event
	bytes, covered := 0, r.position()
	linger := time.NewTimer(time.Hour)
	defer linger.Stop()
	flush := func() error {
		if err := r.deliver(ctx, batch, r.bury); err != nil {
			return err
		}
		clear(batch)
		batch, bytes = batch[:0], 0
		r.advance(covered)
		return nil
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-r.poke:
			return errPoked
		case <-linger.C:
			if len(batch) > 0 {
				if err := flush(); err != nil {
					return err
				}
			}
		case p, ok := <-pieces:
			if !ok {
				return nil // read says why; what is gathered will be read again
			}
			for i := range p.events {
				if len(batch) == 0 {
					linger.Reset(time.Duration(r.batch.LingerMS) * time.Millisecond)
				}
				batch = append(batch, p.events[i])
				bytes += weight(&p.events[i])
				if len(batch) >= r.batch.Events || bytes >= r.batch.Bytes {
					if err := flush(); err != nil {
						return err
					}
				}
			}
			if p.at.seq == 0 {
				continue // the rest of the message follows
			}
			if covered = p.at; len(batch) == 0 {
				r.advance(covered)
			}
		}
	}
}

// weight is about how many bytes an event takes on its way.
func weight(e *event.Event) int {
	return 400 + len(e.ID) + len(e.Name) + len(e.UserID) + len(e.Properties) + len(e.Metadata) + len(e.UserAgent) + len(e.Referrer)
}

func (r *runner) position() position {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.pos
}

func (r *runner) advance(to position) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if to.seq > r.pos.seq {
		r.pos, r.dirty = to, true
	}
}

func (r *runner) setState(s State, why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state = s
	if why != "" {
		r.lastErr = why
	}
}

// troubled notes why nothing is delivered, and logs it when it is something else than before.
func (r *runner) troubled(s State, message string, why error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.state != s || r.lastErr != why.Error() {
		r.logger.Warn(message, "cause", why)
	}
	r.state, r.lastErr = s, why.Error()
}

// goesOn notes the end of a trouble. r.mu is held.
func (r *runner) goesOn(message string) {
	if r.state == Replaying || r.state == Delivering {
		return
	}
	r.logger.Info(message)
	r.state = Delivering
	if len(r.replays) > 0 {
		r.state = Replaying
	}
}

// pause waits, at most until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
