package alert

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	commoncfg "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/scrape"
	"github.com/prometheus/prometheus/tsdb"
)

const (
	// stopGrace is how long scrapes and evaluations that are under way may go on at a stop.
	stopGrace = 2 * time.Second
	// reloadEvery is how soon changed targets are scraped: sooner than a stop ends its waiting.
	reloadEvery = model.Duration(time.Second)
)

// engine is the store and what works on it, from one opening to one closing.
type engine struct {
	cfg     Config
	log     *slog.Logger
	db      *tsdb.DB
	scraper *scrape.Manager
	rules   *rules.Manager
	source  *ruleSource
	api     http.Handler
	self    *loopback
	reg     *registrations

	ctx        context.Context // of queries by rules and of dialled connections
	cancel     context.CancelFunc
	newTargets chan *targets
	stopping   chan struct{}
	loops      sync.WaitGroup
	feeding    sync.WaitGroup
	handed     map[string][]*targetgroup.Group // to the scraper, at last; feed's until it has ended
	users      sync.RWMutex                    // held to read by requests, to write by close
}

// openEngine opens the store and makes everything on it, at rest.
func (e *Evaluator) openEngine(cfg Config, set *RuleSet) (*engine, error) {
	log := slog.New(quiet{e.deps.Logger.Handler()})
	reg := &registrations{Registerer: e.deps.Registry}
	db, err := openStore(&cfg, reg, log, e.deps.Now)
	if err != nil {
		reg.undo()
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	g := &engine{
		cfg: cfg, log: log, db: db, reg: reg, ctx: ctx, cancel: cancel, source: &ruleSource{},
		self: newLoopback(ctx, e.deps.Metrics), newTargets: make(chan *targets, 1), stopping: make(chan struct{}),
	}
	if err := g.build(e, set); err != nil {
		cancel()
		reg.undo()
		return nil, errors.Join(err, g.self.Stop(), db.Close())
	}
	return g, nil
}

func (g *engine) build(e *Evaluator, set *RuleSet) (err error) {
	out := counted{g.db, g.db, e.metrics.commits}
	g.scraper, err = scrape.NewManager(&scrape.Options{
		DiscoveryReloadOnStartup: true, DiscoveryReloadInterval: reloadEvery, ParseST: true,
		HTTPClientOptions: []commoncfg.HTTPClientOption{commoncfg.WithDialContextFunc(g.self.Dial)},
	}, g.log, nil, nil, out, g.reg)
	if err != nil {
		return err
	}
	query := rules.EngineQueryFunc(g.queryEngine(g.cfg.QueryTimeout), g.db)
	if g.cfg.QueryURL != "" {
		there, err := g.cfg.remoteQuery(e.metrics)
		if err != nil {
			return err
		}
		query = g.source.eitherQuery(query, there)
	}
	external, err := url.Parse(g.cfg.externalURL())
	if err != nil {
		return err
	}
	g.source.set.Store(set)
	g.rules = rules.NewManager(&rules.ManagerOptions{
		ExternalURL: external, QueryFunc: query, NotifyFunc: e.deps.Notify, Context: g.ctx,
		Appendable: out, Queryable: g.db, Logger: g.log, Registerer: g.reg, GroupLoader: g.source,
		OutageTolerance: g.cfg.OutageTolerance, ForGracePeriod: g.cfg.ForGracePeriod, ResendDelay: g.cfg.ResendDelay,
		DefaultRuleQueryOffset: func() time.Duration { return 0 },
	})
	g.api = newAPI(g, e.deps.Version)
	return nil
}

// queryEngine is what evaluates expressions. Rules and clients have one each: many clients must
// not hold up the rules.
func (g *engine) queryEngine(timeout time.Duration) *promql.Engine {
	step := g.cfg.EvaluationInterval.Milliseconds()
	return promql.NewEngine(promql.EngineOpts{
		Logger: g.log, MaxSamples: g.cfg.APIMaxSamples, Timeout: timeout,
		NoStepSubqueryIntervalFn: func(int64) int64 { return step },
		EnableAtModifier:         true, EnableNegativeOffset: true,
		Parser: parser.NewParser(parser.Options{}),
	})
}

// start sets scraping and evaluation going.
func (g *engine) start(t *targets) error {
	if err := g.updateRules(g.cfg, g.source.set.Load()); err != nil {
		return err
	}
	sets := make(chan map[string][]*targetgroup.Group)
	g.loops.Go(func() { g.rules.Run() })
	g.loops.Go(func() { _ = g.scraper.Run(sets) }) // it returns no error but nil
	g.feeding.Go(func() { g.feed(sets) })
	g.newTargets <- t
	return nil
}

// feed hands changed targets to the scraper. It has a goroutine of its own because the scraper
// asks a name server for the host's name, which may take long to answer.
func (g *engine) feed(sets chan<- map[string][]*targetgroup.Group) {
	for {
		select {
		case t := <-g.newTargets:
			if err := g.scraper.ApplyConfig(t.config); err != nil {
				g.log.Error("changing the scraped targets", "cause", err)
			}
			select {
			case sets <- t.sets:
				g.handed = t.sets
			case <-g.stopping:
				return
			}
		case <-g.stopping:
			return
		}
	}
}

// updateRules replaces the rules. Groups that stay the same go on undisturbed, alerts that stay
// keep their state.
func (g *engine) updateRules(cfg Config, set *RuleSet) error {
	if all := set.unreachable(); g.cfg.QueryURL != "" && len(all) > 0 {
		g.log.Warn("rules read what other rules record, in a way that the server at alerts.query_url must know it too", "rules", all)
	}
	g.source.set.Store(set)
	if err := g.rules.Update(cfg.EvaluationInterval, set.files, labels.EmptyLabels(), cfg.externalURL(), nil); err != nil {
		return fmt.Errorf("loading the rules: %w", err)
	}
	return nil
}

// updateTargets replaces what is scraped; the newest wins when they come faster than they go.
func (g *engine) updateTargets(t *targets) {
	select {
	case <-g.newTargets:
	default:
	}
	g.newTargets <- t
}

// awaitPools waits until the scraper has made a pool for each job that it was handed. It makes them
// when it comes to it, even after a Stop, and then nobody would ever end what they scrape.
func (g *engine) awaitPools(ctx context.Context) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		pools := g.scraper.ScrapePools()
		missing := slices.ContainsFunc(slices.Collect(maps.Keys(g.handed)), func(job string) bool { return !slices.Contains(pools, job) })
		if !missing {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// close stops everything and closes the store. What is under way when ctx or the grace ends is
// cut off.
func (g *engine) close(ctx context.Context) error {
	cut, cancel := context.WithTimeout(ctx, stopGrace)
	defer cancel()
	defer context.AfterFunc(cut, g.cancel)()
	close(g.stopping)
	var managers sync.WaitGroup
	managers.Go(g.rules.Stop)
	managers.Go(func() {
		g.feeding.Wait()
		g.awaitPools(cut)
		g.scraper.Stop()
	})
	managers.Wait()
	g.loops.Wait()
	g.cancel()
	g.users.Lock() // requests under way were cancelled; no more come
	defer g.users.Unlock()
	g.scraper.UnregisterMetrics()
	g.reg.undo()
	return errors.Join(g.self.Stop(), g.db.Close())
}
