//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// The doors and how they are loaded.
const (
	trackPath   = "/api/analytics/track"
	batchPath   = "/api/analytics/batch-track"
	batchEvents = 100
	batchConns  = 16
	singleConns = 64
	clockRate   = 1000 // single events a second in the measurement of latency
	clockConns  = 256  // so many may wait before a late answer delays a request; that too is counted
)

// bench measures one database after the other.
type bench struct {
	parts      []string
	binary     string
	prometheus string
	dir        string
	plan       plan
	progress   io.Writer
	keep       func() error // writes down what there is; nil = nowhere
}

// run fills in the report. What fails is told; what was measured is there all the same.
func (b *bench) run(ctx context.Context, r *report, databases []string) error {
	*r = report{Began: time.Now().UTC().Truncate(time.Second), Machine: thisMachine(b.dir), Plan: b.plan}
	var failed []error
	if slices.Contains(b.parts, ingestPart) {
		for _, name := range databases {
			if ctx.Err() != nil {
				break
			}
			f := &figures{Database: name}
			r.Databases = append(r.Databases, f)
			failed = append(failed, b.measure(ctx, f))
		}
	}
	if slices.Contains(b.parts, questionPart) && ctx.Err() == nil {
		failed = append(failed, b.askAll(ctx, r, databases))
	}
	if slices.Contains(b.parts, evaluatorPart) && ctx.Err() == nil {
		r.Evaluator = &watching{}
		if err := b.watch(ctx, r.Evaluator); err != nil {
			failed = append(failed, fmt.Errorf("evaluator: %w", err))
		}
	}
	if slices.Contains(b.parts, destinationPart) && ctx.Err() == nil {
		failed = append(failed, b.deliverAll(ctx, r, databases))
	}
	if slices.Contains(b.parts, clientPart) && ctx.Err() == nil {
		r.Client = &tracking{}
		failed = append(failed, b.track(ctx, r.Client))
	}
	return errors.Join(append(failed, context.Cause(ctx))...)
}

// say tells on stderr what goes on.
func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(b.progress, time.Now().Format(time.TimeOnly)+" "+format+"\n", args...)
}

const progressEvery = 5 * time.Second

// during runs f and meanwhile says what status answers.
func (b *bench) during(what string, f func() error, status func() string) error {
	b.say("%s", what)
	done := make(chan struct{})
	var told sync.WaitGroup
	told.Go(func() {
		tick := time.NewTicker(progressEvery)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				b.say("%s: %s", what, status())
			}
		}
	})
	err := f()
	close(done)
	told.Wait()
	return err
}

// measure fills in the figures of one database, in an order in which no part suffers from what
// another left behind: the raw limit, the empty service, its doors, the grown service.
func (b *bench) measure(ctx context.Context, f *figures) (err error) {
	db, err := b.prepare(ctx, f.Database, f.Database)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.close()) }()
	f.Setup = db.setup
	r := &running{bench: b, db: db, figures: f}
	defer func() {
		if r.service != nil {
			err = errors.Join(err, r.service.end(ctx))
		}
	}()
	return b.each(ctx, f.Database, r.steps())
}

func (r *running) steps() (steps []step) {
	for _, size := range r.plan.Batches {
		steps = append(steps, step{name: "the raw limit", do: func(ctx context.Context) error {
			rate, err := r.raw(ctx, r.db, size)
			if err == nil {
				r.Raw = append(r.Raw, rawRate{BatchEvents: size, EventsPerSecond: rate})
			}
			return err
		}})
	}
	return append(steps,
		step{name: "starting", do: r.start, needed: true},
		step{name: "idle", do: r.idle}, step{name: "batches", do: r.empty}, step{name: "single events", do: r.singles},
		step{name: "the disk", do: r.disk}, step{name: "latency", do: r.clocked},
		step{name: "latency without a journal", do: r.bare}, step{name: "latency with the store locked", do: r.locked},
		step{name: "the disk", do: r.disk}, step{name: "growing", do: r.grow}, step{name: "batches into the grown", do: r.grown},
		step{name: "the ledger", do: r.account}, step{name: "bytes on disk", do: r.weigh})
}

// running is one database with the service on it while it is measured.
type running struct {
	*bench
	*figures
	db      *database
	service *service
	before  int64 // bytes of the database while it was empty
	synced  []time.Duration
}

func (r *running) start(ctx context.Context) (err error) {
	r.say("%s: starting the service", r.Database)
	r.service, err = startService(ctx, r.binary, r.db.dir, r.db.url)
	return err
}

// idle reads the memory of a service that has nothing to do, and the size of an empty database.
func (r *running) idle(ctx context.Context) error {
	if err := r.service.pause(ctx, r.plan.Settle); err != nil {
		return err
	}
	m, err := memoryOf(r.service.cmd.Process.Pid)
	if err != nil {
		return err
	}
	r.Memory.Idle = m.Resident
	r.before, err = r.db.size(ctx)
	return err
}

// loaded sends a load to the service and waits until all of it is stored.
func (r *running) loaded(ctx context.Context, what string, l load) (out outcome, t throughput, err error) {
	pid := r.service.cmd.Process.Pid
	l.addr = r.service.addr
	first, err := r.service.ledger(ctx)
	if err != nil {
		return out, t, err
	}
	busy, err := processorTime(pid)
	if err != nil {
		return out, t, err
	}
	var counted atomic.Int64
	err = r.during(r.Database+": "+what, func() (err error) {
		if out, err = send(ctx, l, &counted); err != nil {
			return err
		}
		return r.service.drained(ctx)
	}, func() string { return r.standing(ctx, &counted) })
	if err != nil {
		return out, t, errors.Join(fmt.Errorf("%s: %w", what, err), r.service.health())
	}
	took := time.Since(out.Begin)
	last, err := r.service.ledger(ctx)
	if err != nil {
		return out, t, err
	}
	now, err := processorTime(pid)
	if err != nil {
		return out, t, err
	}
	stored := int(last.Stored - first.Stored)
	if stored != out.Accepted {
		return out, t, fmt.Errorf("%s: %d events were accepted and %d stored", what, out.Accepted, stored)
	}
	t = throughput{
		RowsBefore: int(first.Stored), Events: out.Accepted, Refused: out.Refused, Connections: l.over, BatchEvents: l.batch,
		AcceptedPerSecond: perSecond(out.Accepted, out.Elapsed), StoredPerSecond: perSecond(stored, took),
		Answers:        quantilesOf(latencies(out.Took)),
		GeneratorCores: ratio(out.CPU.Seconds(), out.Elapsed.Seconds()), ServiceCores: ratio((now - busy).Seconds(), took.Seconds()),
	}
	return out, t, nil
}

// standing is a line of progress.
func (r *running) standing(ctx context.Context, counted *atomic.Int64) string {
	l, err := r.service.ledger(ctx)
	if err != nil {
		return "the ledger does not answer: " + err.Error()
	}
	m, err := memoryOf(r.service.cmd.Process.Pid)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%d accepted here; %d stored in all, %d pending; %s", counted.Load(), l.Stored, l.Pending, megabytes(m.Resident))
}

func perSecond(n int, d time.Duration) float64 { return ratio(float64(n), d.Seconds()) }

// ratio of nothing is 0, which JSON can say.
func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

func (r *running) batches(events int) load {
	return load{path: batchPath, over: batchConns, batch: batchEvents, events: events}
}

func (r *running) empty(ctx context.Context) (err error) {
	_, r.Empty, err = r.loaded(ctx, "batches into the empty database", r.batches(r.plan.Sample))
	return err
}

func (r *running) grow(ctx context.Context) error {
	l, err := r.service.ledger(ctx)
	if err != nil {
		return err
	}
	missing := r.plan.Events - int(l.Stored)
	if missing <= 0 {
		return nil
	}
	_, r.Growth, err = r.loaded(ctx, fmt.Sprintf("growing to %d rows", r.plan.Events), r.batches(missing))
	return err
}

func (r *running) grown(ctx context.Context) (err error) {
	_, r.Grown, err = r.loaded(ctx, "batches into the grown database", r.batches(r.plan.Sample))
	return err
}

func (r *running) singles(ctx context.Context) (err error) {
	_, r.Singles, err = r.loaded(ctx, "single events as fast as they go",
		load{path: trackPath, over: singleConns, batch: 1, time: r.plan.Singles})
	return err
}

// account reads the memory's peak and whether the sums are right.
func (r *running) account(ctx context.Context) error {
	m, err := memoryOf(r.service.cmd.Process.Pid)
	if err != nil {
		return err
	}
	r.Memory.Peak = m.Peak
	l, err := r.service.ledger(ctx)
	if err != nil {
		return err
	}
	r.Ledger = l
	if l.Lost != 0 || l.Duplicate != 0 || l.DeadLettered != 0 || l.Accepted != l.Stored {
		return fmt.Errorf("the ledger is not what was sent: %+v", l)
	}
	return nil
}

// weigh says what the events take of the disk, once the service has closed its database.
func (r *running) weigh(ctx context.Context) error {
	if err := r.service.stop(); err != nil {
		return err
	}
	after, err := r.db.size(ctx)
	if err != nil {
		return err
	}
	r.BytesPerEvent = ratio(float64(after-r.before), float64(r.Ledger.Stored))
	return nil
}

func (b *bench) below(name string) string { return filepath.Join(b.dir, name) }
