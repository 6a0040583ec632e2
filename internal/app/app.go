package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"github.com/tidemark-obs/tidemark/internal/access"
	"github.com/tidemark-obs/tidemark/internal/alert"
	"github.com/tidemark-obs/tidemark/internal/destination"
	"github.com/tidemark-obs/tidemark/internal/httpapi"
	"github.com/tidemark-obs/tidemark/internal/ingest"
	"github.com/tidemark-obs/tidemark/internal/journal"
	"github.com/tidemark-obs/tidemark/internal/notify"
	"github.com/tidemark-obs/tidemark/internal/perf"
	"github.com/tidemark-obs/tidemark/internal/settings"
	"github.com/tidemark-obs/tidemark/internal/store"
	"github.com/tidemark-obs/tidemark/internal/telemetry"
	"github.com/tidemark-obs/tidemark/internal/upkeep"
)

// Options are what the caller lends.
type Options struct {
	Log    io.Writer              // where log lines go
	Config func() (Config, error) // reads the configuration again, for Reload; nil = nothing to reload

	// Host is the program that the service lives in and whose server serves Handler; nil = the
	// service listens for itself.
	Host *Host
}

// Host is a program that has the service inside.
type Host struct {
	Logger   *slog.Logger // instead of Options.Log and the configured level and format
	Instance string       // names the service in its metrics, as the listen address otherwise does
	Trusted  bool         // the host decides who may call Handler: no keys are needed
}

// App is the service.
type App struct {
	cfg      Config
	opt      Options
	level    *slog.LevelVar
	logger   *slog.Logger
	registry *prometheus.Registry
	metrics  *appMetrics

	process   string // names this run, and sorts by the time of its start
	telemetry *telemetry.Telemetry

	store        *store.Store
	journal      *journal.Journal
	settings     *settings.Manager
	access       *access.Access
	ops          *perf.Operations
	system       *perf.System
	pipeline     *ingest.Pipeline
	upkeep       *upkeep.Upkeep
	alerts       *alert.Evaluator // nil when switched off
	notify       *notify.Manager
	destinations *destination.Manager
	api          *httpapi.Server
	door         http.Handler // the api, timed
	live         *live

	command bool      // runs beside a service whose configuration may be another
	stops   []stopper // what has been started, in order
	loops   sync.WaitGroup
	failed  chan error
	addr    net.Addr
}

type stopper struct {
	what string
	stop func(context.Context) error
}

// New checks the configuration and makes the service; nothing is touched before Start.
func New(cfg Config, opt Options) (*App, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	level := new(slog.LevelVar)
	l, err := parseLevel(cfg.Log.Level)
	if err != nil {
		return nil, err
	}
	level.Set(l)
	process, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("naming this process: %w", err)
	}
	registry := prometheus.NewRegistry()
	logger := newLogger(opt.Log, cfg.Log.Format, level)
	if opt.Host != nil {
		logger = opt.Host.Logger
	}
	return &App{
		cfg: cfg, opt: opt, level: level, registry: registry, process: process.String(),
		logger:  logger,
		metrics: newAppMetrics(registry),
		failed:  make(chan error, 1),
	}, nil
}

// Start opens everything in order and listens. What was started before a failure is stopped.
func (a *App) Start(ctx context.Context) error {
	began := time.Now()
	err := a.take(ctx, a.checkAddress, a.lock, a.startTelemetry, a.makeAlerts, a.openStore, a.openJournal, a.makeRooms, a.bootstrap, a.startNotify,
		a.runStoring, a.runDelivering, a.runLoops, a.openDoors, a.listen, a.startAlerts)
	if err != nil {
		return err
	}
	a.cfg.Retention.announce(a.logger)
	a.logger.Info("tidemark is ready", "version", Version(), "address", a.instance(),
		"store", a.store.Dialect(), "took", time.Since(began).Round(time.Millisecond).String())
	return nil
}

// take goes through the steps in order.
func (a *App) take(ctx context.Context, steps ...func(context.Context) error) error {
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return errors.Join(err, a.stop(context.WithoutCancel(ctx)))
		}
	}
	return nil
}

// Addr is where the service listens, after Start; nil inside a host.
func (a *App) Addr() net.Addr { return a.addr }

// Handler is the whole API, after Start.
func (a *App) Handler() http.Handler { return a.door }

// instance names this service among others.
func (a *App) instance() string {
	if a.opt.Host != nil {
		return a.opt.Host.Instance
	}
	return a.addr.String()
}

// Failed delivers the error that makes the service unable to go on.
func (a *App) Failed() <-chan error { return a.failed }

// Stop takes no more requests, stores what was accepted as far as ctx allows, closes everything
// in reverse order and joins every error. It may be called once.
func (a *App) Stop(ctx context.Context) error {
	err := a.stop(ctx)
	if err == nil {
		a.logger.Info("stopped")
	}
	return err
}

func (a *App) stop(ctx context.Context) error {
	var all []error
	for i := len(a.stops) - 1; i >= 0; i-- {
		if err := a.stops[i].stop(ctx); err != nil {
			all = append(all, fmt.Errorf("stopping the %s: %w", a.stops[i].what, err))
		}
	}
	a.stops = nil
	return errors.Join(all...)
}

func (a *App) started(what string, stop func(context.Context) error) {
	a.stops = append(a.stops, stopper{what, stop})
}

func (a *App) lock(context.Context) error {
	release, err := takeDir(a.cfg.Data.Dir)
	if err != nil {
		return err
	}
	a.started("data directory's lock", func(context.Context) error { return release() })
	return nil
}

func (a *App) openStore(ctx context.Context) error {
	if err := a.cfg.keepsToOneDatabase(); err != nil {
		return err
	}
	s, err := openStore(ctx, a.cfg, a.command, a.logger, a.tracer("store"))
	if err != nil {
		return err
	}
	a.store = s
	a.registry.MustRegister(s.Collectors()...)
	a.started("store", func(context.Context) error { return s.Close() })
	return nil
}

// openStore takes no tracer from commands, which are not traced. What a service has declared stays
// when a command is not told of it, and so do roll-ups that the command's configuration keeps less long.
func openStore(ctx context.Context, cfg Config, command bool, logger *slog.Logger, tracer trace.Tracer) (*store.Store, error) {
	set, err := cfg.Statistics.declared()
	if err != nil {
		return nil, err
	}
	return store.Open(ctx, store.Config{
		URL: cfg.Database.URL, Dir: cfg.Data.Dir, MemoryLimit: cfg.Database.MemoryLimit, Threads: cfg.Database.Threads,
		QueryTimeout: time.Duration(cfg.Database.QueryTimeout),
		Questions:    cfg.Questions.Concurrency, QuestionWait: time.Duration(cfg.Questions.Wait), Declared: set,
		Guest: command, Keep: cfg.Retention.keep(),
		Logger: logger.With("component", "store"), Now: time.Now, Tracer: tracer,
	})
}

func (a *App) openJournal(ctx context.Context) error {
	j, err := journal.Open(ctx, journal.Config{
		URL: a.cfg.Journal.URL, Dir: filepath.Join(a.cfg.Data.Dir, "journal"),
		MaxBytes: a.cfg.Journal.MaxBytes, MaxAge: time.Duration(a.cfg.Journal.MaxAge), MinFree: a.cfg.Journal.MinFree,
		Writer: a.process, Logger: a.logger.With("component", "journal"), Now: time.Now,
		ObserveFsync: func(d time.Duration) { a.metrics.fsync.Observe(d.Seconds()) }, Tracer: a.tracer("journal"),
	})
	if err != nil {
		return err
	}
	a.journal = j
	a.started("journal", j.Close)
	return nil
}

// makeRooms makes what needs no dependency to be up.
func (a *App) makeRooms(ctx context.Context) error {
	var err error
	known := remember(a.store, a.cfg, a.logger)
	a.settings = settings.NewManager(a.cfg.settings(), known, a.logger.With("component", "settings"))
	if a.access, err = newAccess(a.cfg, known, a.logger); err != nil {
		return err
	}
	if a.ops, err = perf.NewOperations(perf.Config{Now: time.Now, Logger: a.logger.With("component", "perf")}); err != nil {
		return err
	}
	a.system, err = perf.NewSystem(ctx, perf.NewMachine(a.cfg.Data.Dir), time.Now, a.logger.With("component", "system"))
	if err != nil {
		return err
	}
	projections, err := a.projections()
	if err != nil {
		return err
	}
	a.destinations = a.newDestinations()
	a.pipeline = ingest.New(ingest.Config{
		Log: a.journal, Sink: a.store, Settings: a.settings.Current,
		Logger: a.logger.With("component", "ingest"), Now: time.Now, Bounds: a.cfg.bounds(), Inside: a.cfg.Database.URL == "", Accepted: a.exportEvent(),
		Projections: projections,
		Keep:        a.destinations.Keep, Erased: a.forgetErased, Unclean: a.unclean(),
	})
	a.registry.MustRegister(a.pipeline.Collectors()...)
	a.upkeep = newUpkeep(a.cfg, a.store, a.logger)
	a.registry.MustRegister(sizeCollectors(a.upkeep)...)
	a.live = newLive(a.cfg, a.settings, a.metrics.clamped.Inc)
	meter := a.telemetry.Meter()
	return errors.Join(a.settings.Export(meter), a.system.Export(meter))
}

// runStoring starts what stores accepted events.
func (a *App) runStoring(context.Context) error {
	a.pipeline.Start()
	a.started("pipeline", func(ctx context.Context) error { a.pipeline.Stop(ctx); return nil })
	return nil
}

// runDelivering starts what carries events on to other services.
func (a *App) runDelivering(context.Context) error {
	a.destinations.Start()
	a.started("destinations", a.destinations.Stop)
	return nil
}

// knowDestinations has the journal keep what they wait for, and no more, while none runs here.
func (a *App) knowDestinations(ctx context.Context) error {
	if err := a.destinations.Know(ctx); err != nil {
		a.logger.Warn("what destinations wait for is not known; the journal keeps everything until it is half full", "cause", err)
	}
	return nil
}

// runLoops starts the loops that refresh and keep the database within its bounds.
func (a *App) runLoops(context.Context) error {
	a.loop(a.settings.Run, a.access.Run, a.system.Run, a.upkeep.Run, a.keepJournalClean, a.store.KeepRollups, a.store.WatchRollups)
	return nil
}

// runPeerLoops starts those of the loops that a command needs beside storing.
func (a *App) runPeerLoops(context.Context) error {
	a.loop(a.settings.Run, a.store.KeepRollups)
	return nil
}

// loop runs functions until the service stops.
func (a *App) loop(all ...func(context.Context)) {
	ctx, cancel := context.WithCancel(context.Background())
	for _, run := range all {
		a.loops.Go(func() { run(ctx) })
	}
	a.started("loops", func(context.Context) error { cancel(); a.loops.Wait(); return nil })
}
