package destination

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/log"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/journal"
	"github.com/tidemark-obs/tidemark/internal/store"
)

const (
	lookEvery   = time.Second // cursors are saved and changes seen
	longestLook = 10 * time.Second
	termFor     = 15 * time.Second // a process that says nothing for so long has lost its office
	renewWhen   = 10 * time.Second // this is left of the term

	tidyEvery   = time.Hour
	forgetAfter = 30 * 24 * time.Hour // what is kept of a replica that is not heard of any more

	// holdShare is how full the journal may be, in percent, for the sake of destinations.
	holdShare = 50
)

// Log is what destinations need of the journal.
type Log interface {
	Read(ctx context.Context, after uint64, headersOnly bool) (*journal.Reader, error)
	State() journal.State
}

// Store keeps destinations and how far they are.
type Store interface {
	Kept
	SaveDestinations(ctx context.Context, term *store.Term, c *store.DestinationChanges) error
	AddReplay(ctx context.Context, r store.DestinationReplay, most int) error
	ForgetStreams(ctx context.Context, current string, since time.Time) (gone int, err error)
	Letters
	Stored
	Office
}

// Kept are the destinations themselves.
type Kept interface {
	LoadDestinations(ctx context.Context, stream string) (store.Destinations, error)
	AddDestination(ctx context.Context, d store.Destination, at store.DestinationCursor, replay *store.DestinationReplay, most int) (added bool, err error)
	ChangeDestination(ctx context.Context, was, is store.Destination) (changed bool, err error)
	DeleteDestination(ctx context.Context, name string) error
}

// Letters are the dead letters.
type Letters interface {
	KeepUndelivered(ctx context.Context, destination string, made time.Time, u *store.Undelivered, most int) error
	ListUndelivered(ctx context.Context, destination, after string, before time.Time, limit int) ([]store.Undelivered, error)
	CountUndelivered(ctx context.Context, destination string) (int64, error)
	DropUndelivered(ctx context.Context, destination string, ids ...string) (int64, error)
}

// Stored are the events of the database.
type Stored interface {
	Received(ctx context.Context, from, before time.Time, afterID string, limit int) ([]event.Event, error)
	FirstReceived(ctx context.Context) (time.Time, error)
	ErasedPersons(ctx context.Context) (func(*event.Event) bool, error)
}

// Office decides which replica delivers.
type Office interface {
	Elect(ctx context.Context, office, holder string, ttl time.Duration) (t store.Term, ok bool, err error)
	Resign(ctx context.Context, office, holder string) error
}

// Options are what a Manager needs; all are required.
type Options struct {
	Log        Log
	Store      Store
	Holder     string // names this process among all replicas
	WaitStored func(ctx context.Context, seq uint64) error
	Busy       func() bool                   // the store needs the machine: destinations give way
	LogRecord  func(*event.Event) log.Record // an event as OTLP has it
	Logger     *slog.Logger
	Registry   prometheus.Registerer
	Now        func() time.Time
}

// Manager runs the destinations of this process.
type Manager struct {
	opt     Options
	stream  string // the journal that is read; changed with round held
	metrics *metrics
	pauses  pauses
	pace    pace
	tail    *tail
	wake    chan struct{}
	cancel  context.CancelFunc
	tasks   sync.WaitGroup

	mostLetters int // dead letters of one destination

	round    sync.Mutex // held by what changes runners or the term
	complain time.Time  // when a failure was last logged
	tidied   time.Time  // when streams that are gone were last forgotten

	mu      sync.Mutex
	loaded  bool              // the database has been read
	known   map[string]*known // by name
	seen    position          // where the journal ended when the database was last read
	erased  func(*event.Event) bool
	runners map[string]*runner
	term    store.Term
	holding bool
	renewed time.Time // when the term was asked for
}

// known is a destination as the database has it.
type known struct {
	cfg     Config
	row     store.Destination
	saved   uint64 // cursor
	at      time.Time
	hasSeq  bool
	replays []store.DestinationReplay
}

// New returns a manager that does nothing yet.
func New(o Options) *Manager {
	m := &Manager{opt: o, pauses: defaultPauses(), mostLetters: maxUndelivered, wake: make(chan struct{}, 1), known: map[string]*known{}, runners: map[string]*runner{}}
	m.pace = newPace(m)
	m.tail = newTail(o.Log, o.Logger)
	m.metrics = newMetrics(m)
	o.Registry.MustRegister(m.metrics)
	return m
}

// Start begins to deliver.
func (m *Manager) Start() {
	ctx, cancel := context.WithCancel(context.Background())
	m.cancel = cancel
	m.tasks.Go(func() { m.tail.run(ctx) })
	m.tasks.Go(func() {
		tick := time.NewTicker(lookEvery)
		defer tick.Stop()
		for ctx.Err() == nil {
			m.look(ctx)
			select {
			case <-tick.C:
			case <-m.wake:
			case <-ctx.Done():
			}
		}
	})
}

// Know reads what destinations wait for, in place of Start: Keep holds it for the process that
// delivers.
func (m *Manager) Know(ctx context.Context) error {
	m.round.Lock()
	defer m.round.Unlock()
	return m.load(ctx)
}

// Stop ends every delivery, saves how far they are and lets another replica take over.
func (m *Manager) Stop(ctx context.Context) error {
	m.cancel()
	m.tasks.Wait()
	m.round.Lock()
	defer m.round.Unlock()
	m.stopRunners(func(string) bool { return true })
	err := m.saveAll(ctx)
	m.mu.Lock()
	held, office := m.holding, m.term.Office
	m.runners, m.holding = map[string]*runner{}, false
	m.mu.Unlock()
	if err == nil && held {
		err = m.opt.Store.Resign(ctx, office, m.opt.Holder)
	}
	if errs.Is(err, errs.Unavailable) || errs.Is(err, errs.Conflict) {
		m.opt.Logger.Warn("how far destinations are was not saved; the last second is delivered again", "cause", err)
		return nil
	}
	return err
}

// look saves how far deliveries are, reads what has changed, and starts and stops accordingly.
func (m *Manager) look(ctx context.Context) {
	m.round.Lock()
	defer m.round.Unlock()
	ctx, cancel := context.WithTimeout(ctx, m.patience())
	defer cancel()
	err := m.saveAll(ctx)
	if errs.Is(err, errs.Conflict) {
		m.lose()
	}
	if err == nil {
		err = m.load(ctx)
	}
	if err == nil {
		err = m.elect(ctx)
	}
	if err != nil && ctx.Err() == nil && m.opt.Now().Sub(m.complain) > time.Minute {
		m.complain = m.opt.Now()
		m.opt.Logger.Warn("destinations cannot use the database", "cause", err)
	}
	if !m.inOffice() {
		m.lose()
		return
	}
	if err == nil {
		m.reconcile()
		m.tidy(ctx)
	}
}

// load reads what the database has.
func (m *Manager) load(ctx context.Context) error {
	s := m.opt.Log.State()
	if s.StreamID == "" {
		return errs.New(errs.Unavailable, "the journal is not known yet")
	}
	m.stream = s.StreamID
	end := position{s.LastSeq, m.opt.Now()}
	d, err := m.opt.Store.LoadDestinations(ctx, m.stream)
	if err != nil {
		return err
	}
	if len(d.All) > 0 {
		if err := m.Erased(ctx); err != nil {
			return err
		}
	}
	all := m.readKnown(&d)
	m.mu.Lock()
	defer m.mu.Unlock()
	begin := m.seen
	if !m.loaded { // what happened while this process was away went by unseen
		begin = position{max(s.FirstSeq, 1) - 1, end.at}
		if !s.Oldest.IsZero() {
			begin.at = s.Oldest
		}
	}
	for _, k := range all {
		if !k.hasSeq { // made through another replica: it begins here where the journal ended before
			k.saved, k.at = begin.seq, begin.at
		}
	}
	for name := range m.known {
		if all[name] == nil {
			m.metrics.forget(name)
		}
	}
	m.known, m.loaded, m.seen = all, true, end
	if len(all) > 0 { // nobody asks how far none is behind
		m.tail.need(m.lowest(end.seq, true), s.FirstSeq)
	}
	return nil
}

// readKnown puts together what the database has of each destination, by name.
func (m *Manager) readKnown(d *store.Destinations) map[string]*known {
	all := make(map[string]*known, len(d.All))
	for _, row := range d.All {
		cfg, err := readConfig(row.Config)
		if err != nil {
			m.opt.Logger.Error("a destination is passed over", "destination", row.Name, "cause", err)
			continue
		}
		all[row.Name] = &known{cfg: cfg, row: row}
	}
	for _, c := range d.Cursors {
		if k := all[c.Destination]; k != nil {
			k.saved, k.at, k.hasSeq = c.Seq, c.At, true
		}
	}
	for _, r := range d.Replays {
		if k := all[r.Destination]; k != nil {
			k.replays = append(k.replays, r)
		}
	}
	return all
}

// lowest is the first position that a destination has not passed: one that is switched on, or also
// one that is paused. m.mu is held.
func (m *Manager) lowest(otherwise uint64, paused bool) uint64 {
	low := otherwise
	for _, k := range m.known {
		if paused || k.cfg.enabled() {
			low = min(low, k.saved)
		}
	}
	return low
}

// reconcile has a runner for every destination that is switched on, with its current configuration.
func (m *Manager) reconcile() {
	m.mu.Lock()
	known := m.known
	m.mu.Unlock()
	m.stopRunners(func(name string) bool {
		k := known[name]
		return k == nil || !k.cfg.enabled() || !k.row.UpdatedAt.Equal(m.runnerOf(name).since)
	})
	for name, k := range known {
		if !k.cfg.enabled() {
			continue
		}
		r := m.runnerOf(name)
		if r == nil || r.stopped() {
			at := position{k.saved, k.at}
			if r != nil && r.made.Equal(k.row.CreatedAt) && r.position().seq > at.seq {
				at = r.position()
			}
			r = newRunner(m, k, at)
			r.dirty = !k.hasSeq || at.seq > k.saved
			r.take(k.replays)
			m.mu.Lock()
			m.runners[name] = r
			m.mu.Unlock()
			r.start()
			continue
		}
		r.take(k.replays)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, r := range m.runners {
		if r.stopped() {
			delete(m.runners, name)
		}
	}
}

func (m *Manager) runnerOf(name string) *runner {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.runners[name]
}

// stopRunners stops those that are to stop, all at once.
func (m *Manager) stopRunners(which func(name string) bool) {
	m.mu.Lock()
	names := make([]string, 0, len(m.runners))
	for name := range m.runners {
		names = append(names, name)
	}
	m.mu.Unlock()
	slices.Sort(names)
	var group sync.WaitGroup
	for _, name := range names {
		if r := m.runnerOf(name); r != nil && which(name) {
			group.Go(r.stop)
		}
	}
	group.Wait()
}

// saveAll saves what has moved, of all destinations in one transaction.
func (m *Manager) saveAll(ctx context.Context) error {
	var c store.DestinationChanges
	m.mu.Lock()
	moved := map[string]position{}
	var dirty []*runner
	for name, r := range m.runners {
		r.mu.Lock()
		if r.dirty {
			c.Cursors = append(c.Cursors, r.cursor(r.pos))
			if len(r.replays) > 0 {
				c.Moved = append(c.Moved, r.replays[0])
			}
			r.dirty = false
			moved[name] = r.pos
			dirty = append(dirty, r)
		}
		r.mu.Unlock()
	}
	m.mu.Unlock()
	if len(dirty) == 0 {
		return nil
	}
	slices.SortFunc(c.Cursors, func(a, b store.DestinationCursor) int { return strings.Compare(a.Destination, b.Destination) })
	if err := m.save(ctx, &c); err != nil {
		for _, r := range dirty {
			r.mu.Lock()
			r.dirty = true
			r.mu.Unlock()
		}
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, pos := range moved {
		if k := m.known[name]; k != nil && pos.seq > k.saved {
			k.saved, k.at = pos.seq, pos.at
		}
	}
	return nil
}

func (m *Manager) save(ctx context.Context, c *store.DestinationChanges) error {
	m.mu.Lock()
	term := m.term
	m.mu.Unlock()
	return m.opt.Store.SaveDestinations(ctx, &term, c)
}

// Keep says up to where the journal may forget what is stored: what a destination that is switched
// on has yet to deliver stays, until the journal is holdShare full. Then the oldest goes.
func (m *Manager) Keep(stored uint64) uint64 {
	m.mu.Lock()
	low := uint64(0)
	if m.loaded {
		low = m.lowest(stored, false)
	}
	m.mu.Unlock()
	s := m.opt.Log.State()
	bound := s.MaxBytes / 100 * holdShare
	if s.MaxBytes == 0 || s.Bytes <= bound || s.LastSeq < s.FirstSeq {
		return low
	}
	each := max(uint64(s.Bytes)/(s.LastSeq-s.FirstSeq+1), 1)
	excess := uint64(s.Bytes-bound/10*9) / each
	return max(low, min(stored, s.FirstSeq+excess))
}

// Erased reads anew who was erased. When it returns, nothing of them begins to go out.
func (m *Manager) Erased(ctx context.Context) error {
	erased, err := m.opt.Store.ErasedPersons(ctx)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.erased = erased
	return nil
}

func (m *Manager) erasedPersons() func(*event.Event) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.erased
}

// stir has the manager look at once.
func (m *Manager) stir() {
	select {
	case m.wake <- struct{}{}:
	default: // woken already
	}
}
