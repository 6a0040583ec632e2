//go:build linux

package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"
)

// daysBack is what the events that are asked about are spread over, up to now.
const daysBack = 90

// past is what was measured with a number of events spread over the past. What was not measured is
// zero.
type past struct {
	Database    string        `json:"database"`
	Setup       string        `json:"setup"`
	Events      int           `json:"events"`
	Load        throughput    `json:"load"`
	Directly    quantiles     `json:"dashboard_directly_after_the_load"`
	Rest        resting       `json:"rest"`      // how long it took until roll-ups were put together
	Dashboard   quantiles     `json:"dashboard"` // all its questions, each of the same weight, then
	Fresh       []*asked      `json:"asked_directly_after_the_load"`
	Asked       []*asked      `json:"asked"`
	Lists       []*asked      `json:"lists"`
	Export      moved         `json:"export_parquet_over_http"`
	ExportLines moved         `json:"export_ndjson_over_http"`
	Import      moved         `json:"import_parquet_by_command"`
	Undisturbed throughput    `json:"full_load_without_questions"`
	Disturbed   throughput    `json:"full_load_with_questions"`
	Meanwhile   asked         `json:"questions_during_full_load"`
	Memory      footprint     `json:"service_memory"`
	Bytes       float64       `json:"bytes_per_event_on_disk"`
	Settled     time.Duration `json:"settled_after_ns"` // by a vacuum, where the database knows that
}

// moved is how fast a file was written or taken in.
type moved struct {
	Events    int           `json:"events"`
	Bytes     int64         `json:"bytes"`
	Took      time.Duration `json:"took_ns"`
	PerSecond float64       `json:"events_per_second"`
}

// askAll measures both numbers of events on each database.
func (b *bench) askAll(ctx context.Context, r *report, databases []string) error {
	var failed []error
	for _, name := range databases {
		for i, events := range b.plan.Past {
			p := &past{Database: name, Events: events}
			r.Past = append(r.Past, p)
			if err := b.ask(ctx, p, i == len(b.plan.Past)-1); err != nil {
				failed = append(failed, err)
			}
			if ctx.Err() != nil {
				return errors.Join(failed...)
			}
		}
	}
	return errors.Join(failed...)
}

// asking is a service with a past.
type asking struct {
	*running
	*past
	raw *sql.DB // PostgreSQL's own connection; nil on the embedded database
}

func (b *bench) ask(ctx context.Context, p *past, most bool) (err error) {
	directory := fmt.Sprintf("%s-%d", p.Database, p.Events)
	defer func() {
		if ctx.Err() == nil { // else all of it goes after what was measured is told
			err = errors.Join(err, os.RemoveAll(b.below(directory)))
		}
	}()
	db, err := b.prepare(ctx, p.Database, directory)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.close()) }()
	p.Setup = db.setup
	a := &asking{running: &running{bench: b, db: db, figures: &figures{Database: p.Database}}, past: p}
	defer func() { err = errors.Join(err, a.end(ctx)) }()
	if err := a.begin(ctx); err != nil {
		return err
	}
	return b.each(ctx, fmt.Sprintf("%s with %d events", p.Database, p.Events), a.steps(most))
}

// steps are what is measured. What takes long for each event is measured where there are fewer.
func (a *asking) steps(most bool) []step {
	steps := []step{
		{name: "storing", do: a.fill, needed: true},
		{name: "questions directly after it", do: a.directly},
		{name: "coming to rest", do: a.rest},
		{name: "vacuum", do: a.settle},
		{name: "questions", do: a.questions},
		{name: "lists", do: a.lists},
		{name: "questions as SQL", do: a.asSQL},
		{name: "exporting", do: a.export},
	}
	if most {
		steps = append(steps, step{name: "full load beside questions", do: a.beside})
	} else {
		steps = append(steps, step{name: "exporting lines", do: a.exportLines}, step{name: "importing", do: a.importing})
	}
	return append(steps, step{name: "memory", do: a.account}, step{name: "bytes on disk", do: a.weigh})
}

// statistics is what the service is told of the events' properties.
const statistics = `statistics:
  dimensions: [{property: plan}, {property: country}]
  numbers: [{property: amount}]
`

func (a *asking) begin(ctx context.Context) error {
	file := filepath.Join(a.db.dir, "tidemark.yaml")
	if err := os.WriteFile(file, []byte(statistics), 0o600); err != nil {
		return err
	}
	if a.db.server != nil {
		raw, err := sql.Open("postgres", a.db.url)
		if err != nil {
			return err
		}
		a.raw = raw
	}
	var err error
	if a.before, err = a.db.size(ctx); err != nil {
		return err
	}
	a.service, err = startService(ctx, a.binary, a.db.dir, a.db.url, "--config.file="+file)
	return err
}

func (a *asking) end(ctx context.Context) error {
	var err error
	if a.service != nil {
		err = a.service.end(ctx)
	}
	if a.raw != nil {
		err = errors.Join(err, a.raw.Close())
	}
	return err
}

// fill sends the past in the order of time, as clients of those days would have.
func (a *asking) fill(ctx context.Context) (err error) {
	l := a.batches(a.past.Events)
	l.clock = backThen(time.Now(), a.past.Events)
	_, a.Load, err = a.loaded(ctx, fmt.Sprintf("%d events over %d days", a.past.Events, daysBack), l)
	return err
}

// backThen is a clock that is read so many times, the last time now.
func backThen(now time.Time, times int) func() time.Time {
	const span = daysBack * 24 * time.Hour
	read := 0
	return func() time.Time {
		read++
		return now.Add(-span / time.Duration(times) * time.Duration(times-read))
	}
}

// settle does what PostgreSQL would have had time for: vacuum and checkpoint.
func (a *asking) settle(ctx context.Context) error {
	begin := time.Now()
	if a.raw != nil {
		a.say("%s: vacuum", a.past.Database)
		for _, statement := range []string{"VACUUM (ANALYZE)", "CHECKPOINT"} {
			if _, err := a.raw.ExecContext(ctx, statement); err != nil {
				return err
			}
		}
	}
	err := a.service.pause(ctx, a.plan.Settle)
	a.Settled = time.Since(begin)
	return err
}

// beside measures full load with and without somebody who asks.
func (a *asking) beside(ctx context.Context) (err error) {
	l := load{path: batchPath, over: batchConns, batch: batchEvents, time: a.plan.Beside}
	if _, a.Undisturbed, err = a.loaded(ctx, "full load", l); err != nil {
		return err
	}
	asking, stop := context.WithCancel(ctx)
	defer stop()
	done := make(chan error, 1)
	var loading atomic.Bool
	loading.Store(true)
	go func() { done <- a.steadily(asking, &a.Meanwhile, loading.Load) }()
	_, a.Disturbed, err = a.loaded(ctx, "full load and questions", l)
	loading.Store(false)
	if err != nil {
		stop()
	}
	return errors.Join(err, <-done)
}

// account reads the memory's peak.
func (a *asking) account(context.Context) error {
	m, err := memoryOf(a.service.cmd.Process.Pid)
	a.past.Memory.Peak = m.Peak
	return err
}

// weigh says what an event takes of the disk, once the database is closed.
func (a *asking) weigh(ctx context.Context) (err error) {
	if a.Ledger, err = a.service.ledger(ctx); err != nil {
		return err
	}
	err = a.running.weigh(ctx)
	a.Bytes = a.BytesPerEvent
	return err
}
