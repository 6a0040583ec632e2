package notify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/rules"

	"github.com/tidemark-obs/tidemark/internal/store"
)

// Options are what the manager works with.
type Options struct {
	Config   Config
	Store    Store
	Office   Office
	Replica  string        // the same after a restart, and another for each replica
	Interval time.Duration // of rule evaluation: a successor takes over within two
	Logger   *slog.Logger
	Registry prometheus.Registerer
	Now      func() time.Time
}

// Store keeps what must survive.
type Store interface {
	LoadAlerting(ctx context.Context) (store.Alerting, error)
	SaveAlerting(ctx context.Context, c *store.AlertingChanges) error
	InsertSilence(ctx context.Context, s store.Silence, most int) error
	ExpireSilence(ctx context.Context, id string, at time.Time) error
}

// Office decides which replica speaks.
type Office interface {
	Elect(ctx context.Context, office, holder string, ttl time.Duration) (t store.Term, ok bool, err error)
	Resign(ctx context.Context, office, holder string) error
}

// Manager tells receivers about alerts. Its methods may be called from many goroutines.
type Manager struct {
	opt     Options
	log     *slog.Logger
	holder  string // this process, in the office
	metrics *metrics

	mu     sync.Mutex
	book   *book
	term   *store.Term // held by this process; nil = none
	dark   time.Time   // since when the database gives no answer; zero = it does
	known  bool        // the database has been read
	beaten time.Time   // when the keeper last asked

	wake    chan struct{} // something in the book has changed
	changed chan struct{} // something is to be stored
	asking  chan struct{} // held while a question to the database is open
	fencing chan struct{} // held while a try asks whether it may
	saving  sync.Mutex

	stopping  chan struct{} // no new sends, no waiting between tries
	stop      context.CancelFunc
	cut       context.CancelFunc // ends sends under way
	sendCtx   context.Context
	sends     sync.WaitGroup
	loops     sync.WaitGroup
	questions sync.WaitGroup
	testing   chan struct{}
}

// New checks the configuration; Start begins.
func New(opt Options) (*Manager, error) {
	p, err := makePlan(opt.Config)
	if err != nil {
		return nil, err
	}
	if opt.Interval <= 0 || opt.Store == nil || opt.Office == nil || opt.Logger == nil || opt.Now == nil || opt.Registry == nil {
		return nil, errors.New("notify: an option is missing")
	}
	holder, err := uuid.NewRandom()
	if err != nil {
		return nil, fmt.Errorf("naming this process: %w", err)
	}
	m := &Manager{
		opt: opt, log: opt.Logger, holder: opt.Replica + "/" + holder.String(), book: newBook(p, opt.Replica),
		wake: make(chan struct{}, 1), changed: make(chan struct{}, 1), asking: make(chan struct{}, 1), fencing: make(chan struct{}, 1),
		stopping: make(chan struct{}), testing: make(chan struct{}, 1),
	}
	m.metrics = newMetrics(opt.Registry, m)
	m.metrics.prepare(p)
	return m, nil
}

// Start begins to work. Stop ends it.
func (m *Manager) Start() {
	ctx, stop := context.WithCancel(context.Background())
	m.stop = stop
	m.sendCtx, m.cut = context.WithCancel(context.Background())
	m.loops.Go(func() { m.dispatch(ctx) })
	m.loops.Go(func() { m.keep(ctx) })
}

// Stop lets what is being sent end, as far as ctx allows, stores what is to be stored and gives up
// the office, so that a successor need not wait. With the database away it leaves both: the office
// ends by itself, and doc.go says what is told again.
func (m *Manager) Stop(ctx context.Context) error {
	close(m.stopping)
	m.stop()
	defer m.cut()
	m.loops.Wait()
	unhurried := context.AfterFunc(ctx, m.cut)
	m.sends.Wait()
	unhurried()
	err := m.save(ctx)
	if err == nil && m.holds() != nil {
		err = m.ask(ctx, m.asking, m.answerTime(), func(ctx context.Context) error { return m.opt.Office.Resign(ctx, office, m.holder) })
	}
	if err != nil {
		m.log.Warn("stopping without the last word to the database", "cause", err)
	}
	joined := make(chan struct{})
	go func() {
		defer close(joined)
		m.questions.Wait()
	}()
	select {
	case <-joined:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("a question to the database is still open: %w", ctx.Err())
	}
}

// Notify takes in what the evaluator reports: a rules.NotifyFunc. It never waits for anything.
func (m *Manager) Notify(_ context.Context, expr string, alerts ...*rules.Alert) {
	if len(alerts) == 0 {
		return
	}
	now := m.opt.Now()
	m.mu.Lock()
	for _, a := range alerts {
		m.book.observe(fromRule(a, expr, m.book.plan.cfg.ExternalURL, m.opt.Replica, now), now)
	}
	unsaved := len(m.book.pending.alerts) > 0
	m.mu.Unlock()
	ring(m.wake)
	if unsaved {
		ring(m.changed)
	}
}

// Apply replaces the configuration. On an error the old one stays.
func (m *Manager) Apply(cfg Config) error {
	p, err := makePlan(cfg)
	if err != nil {
		return err
	}
	m.follow(p)
	return nil
}

// follow goes on by another plan.
func (m *Manager) follow(p *plan) {
	m.mu.Lock()
	m.book.plan = p
	m.book.regroup(m.opt.Now())
	m.mu.Unlock()
	m.metrics.prepare(p)
	ring(m.wake)
}

func ring(bell chan struct{}) {
	select {
	case bell <- struct{}{}:
	default:
	}
}

// dispatch sends what is due, when it is.
func (m *Manager) dispatch(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-m.wake:
		case <-timer.C:
		}
		now := m.opt.Now()
		m.mu.Lock()
		m.book.sweep(now)
		var jobs []*job
		if m.book.speaking {
			jobs = m.book.due(now)
		}
		next := m.book.next(now)
		unsaved := !m.book.pending.empty()
		m.mu.Unlock()
		for _, j := range jobs {
			m.sends.Go(func() { m.send(j) })
		}
		if unsaved {
			ring(m.changed)
		}
		timer.Reset(max(next.Sub(now), time.Millisecond))
	}
}
