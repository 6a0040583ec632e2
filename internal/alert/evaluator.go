package alert

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/rules"
)

// How often the store's clock is checked, and how long to wait, first and at most, before a
// store that could not be opened is tried again. A start waits a little for the store.
const (
	checkEvery = time.Minute
	retryFirst = 5 * time.Second
	retryMost  = 5 * time.Minute
	startWait  = 5 * time.Second
)

// Deps is what the evaluator works with. All fields are required.
type Deps struct {
	Metrics  http.Handler          // answers with the service's own metrics, any format the scraper asks for
	Registry prometheus.Registerer // takes the evaluator's metrics
	Notify   rules.NotifyFunc      // is told of alerts that fire and resolve
	Logger   *slog.Logger
	Now      func() time.Time
	Version  string
}

// Evaluator scrapes, stores and evaluates, from Start to Stop.
type Evaluator struct {
	deps    Deps
	metrics *metrics
	check   time.Duration // between looks at the store's clock
	slots   chan struct{} // of requests by HTTP
	timeout time.Duration // of one of them

	engine  atomic.Pointer[engine] // nil while the store is not open; mu guards changes
	mu      sync.Mutex
	cfg     Config
	rules   *RuleSet
	targets *targets

	cancel context.CancelFunc
	done   chan struct{}
}

// New checks the configuration and reads the rule files; errors name what is wrong with them.
func New(cfg Config, deps Deps) (*Evaluator, error) {
	if deps.Metrics == nil || deps.Registry == nil || deps.Notify == nil || deps.Logger == nil || deps.Now == nil {
		return nil, errors.New("alert: a dependency is missing")
	}
	e := &Evaluator{
		deps: deps, check: checkEvery, slots: make(chan struct{}, max(cfg.APIConcurrency, 1)), timeout: cfg.APITimeout, done: make(chan struct{}),
	}
	p, err := e.read(cfg)
	if err != nil {
		return nil, err
	}
	e.cfg, e.rules, e.targets = p.cfg, p.rules, p.targets
	e.metrics, err = newMetrics(deps.Registry)
	return e, err
}

// plan is a configuration with all it names, read and valid.
type plan struct {
	cfg     Config
	rules   *RuleSet
	targets *targets
}

func (e *Evaluator) read(cfg Config) (p plan, err error) {
	if err := cfg.Check(); err != nil {
		return p, err
	}
	p.cfg = cfg
	if p.rules, err = ReadRules(cfg.Rules, cfg.BuiltIn); err != nil {
		return p, err
	}
	p.targets, err = cfg.scrapeConfig()
	return p, err
}

// Start opens the store and begins. A large store is opened in the background, and one that
// cannot be opened is no error: neither keeps the service from starting. instance is the label
// that the service's own series bear.
func (e *Evaluator) Start(instance string) error {
	e.mu.Lock()
	e.cfg.Instance = instance
	t, err := e.cfg.scrapeConfig()
	e.targets = t
	e.mu.Unlock()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	e.cancel = cancel
	e.tell(e.cfg.Rules, e.rules)
	tried := make(chan struct{})
	go func() {
		defer close(e.done)
		e.run(ctx, tried)
	}()
	select {
	case <-tried:
	case <-time.After(startWait):
	}
	return nil
}

// Stop ends scraping and evaluation and closes the store. What is under way when ctx ends is cut
// off. A Stop before Start does nothing.
func (e *Evaluator) Stop(ctx context.Context) error {
	if e.cancel == nil {
		return nil
	}
	e.cancel()
	<-e.done
	g := e.engine.Swap(nil)
	if g == nil {
		return nil
	}
	return g.close(ctx)
}

// run keeps an engine going until ctx ends, and leaves it to Stop. It closes tried when it has
// tried to open the store for the first time.
func (e *Evaluator) run(ctx context.Context, tried chan<- struct{}) {
	retry := retryFirst
	for first := true; ; first = false {
		wait := e.check
		if err := e.ensure(); err == nil {
			retry = retryFirst
		} else {
			e.deps.Logger.Error("the metric store cannot be opened: no alert is evaluated; trying again",
				"cause", err, "in", retry.String())
			wait, retry = retry, min(2*retry, retryMost)
		}
		if first {
			close(tried)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		e.closeStale(ctx)
	}
}

// closeStale closes the store when the clock was set back so far that it takes no samples. The
// next opening moves it aside.
func (e *Evaluator) closeStale(ctx context.Context) {
	e.mu.Lock()
	defer e.mu.Unlock()
	g := e.engine.Load()
	if g == nil || !ahead(g.db, e.deps.Now()) {
		return
	}
	e.engine.Store(nil)
	e.metrics.restarts.Inc()
	e.metrics.storeUp.Set(0)
	if err := g.close(ctx); err != nil {
		e.deps.Logger.Error("closing the metric store", "cause", err)
	}
}

// ensure opens the store and starts an engine on it, unless there is one.
func (e *Evaluator) ensure() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.engine.Load() != nil {
		return nil
	}
	g, err := e.openEngine(e.cfg, e.rules)
	if err == nil {
		if err = g.start(e.targets); err != nil {
			err = errors.Join(err, g.close(context.Background()))
		}
	}
	if err != nil {
		e.metrics.storeUp.Set(0)
		return err
	}
	e.engine.Store(g)
	e.metrics.storeUp.Set(1)
	return nil
}

// Prepare reads a configuration and everything it names. It changes nothing; apply, which cannot
// fail, puts it in force. An error leaves the old in force.
func (e *Evaluator) Prepare(cfg Config) (apply func(), err error) {
	e.mu.Lock()
	cfg.Instance = e.cfg.Instance
	e.mu.Unlock()
	p, err := e.read(cfg)
	if err != nil {
		return nil, err
	}
	return func() { e.apply(p) }, nil
}

func (e *Evaluator) apply(p plan) {
	e.mu.Lock()
	defer e.mu.Unlock()
	old := e.cfg
	e.cfg.Rules, e.cfg.Scrape = p.cfg.Rules, p.cfg.Scrape
	e.cfg.ScrapeInterval, e.cfg.EvaluationInterval = p.cfg.ScrapeInterval, p.cfg.EvaluationInterval
	e.rules, e.targets = p.rules, p.targets
	g := e.engine.Load()
	if g == nil {
		return
	}
	if err := g.updateRules(e.cfg, p.rules); err != nil { // they were found valid
		e.deps.Logger.Error("the old rules stay", "cause", err)
	}
	if !reflect.DeepEqual(old.Scrape, p.cfg.Scrape) || old.ScrapeInterval != p.cfg.ScrapeInterval {
		g.updateTargets(p.targets)
	}
	e.tell(p.cfg.Rules, p.rules)
}

// tell says which rules are in force.
func (e *Evaluator) tell(patterns []string, rules *RuleSet) {
	if len(rules.files) == 0 && len(patterns) > 0 {
		e.deps.Logger.Warn("no alert can fire: no file matches alerts.rules", "patterns", patterns)
		return
	}
	e.deps.Logger.Info("alert rules", "files", rules.files, "rules", rules.Rules(), "built_in", rules.builtIn)
}
