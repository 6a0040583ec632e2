//go:build linux

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "tidemark-bench:", err)
		os.Exit(1)
	}
}

// options is the command line.
type options struct {
	binary     string
	prometheus string
	databases  []string
	parts      []string
	json       string
	dir        string
	limit      time.Duration
	plan       plan
}

// plan is how much is measured.
type plan struct {
	Events  int           `json:"events"`           // rows at which the grown database is measured
	Past    []int         `json:"events_asked_of"`  // events over 90 days, one database for each number
	Repeats int           `json:"repeats"`          // how often each question is asked
	Beside  time.Duration `json:"beside_for_ns"`    // how long questions are asked during full load: some hundreds, for a p99
	Turn    time.Duration `json:"turn_for_ns"`      // of full load with or without destinations
	Rest    time.Duration `json:"rest_within_ns"`   // how long roll-ups may take to be put together
	Sample  int           `json:"events_a_sample"`  // events of one throughput measurement
	Singles time.Duration `json:"singles_for_ns"`   // how long single events are sent as fast as they go
	Latency time.Duration `json:"latency_for_ns"`   // how long single events are sent by the clock
	Locks   int           `json:"locks"`            // how often the store is locked, each time for lockedFor
	Settle  time.Duration `json:"idle_after_ns"`    // how long after the start idle memory is read
	Watch   time.Duration `json:"evaluator_for_ns"` // how long each measurement of the evaluator takes
	Syncs   int           `json:"disk_syncs"`       // appends of the disk's own measurement
	Rounds  int           `json:"client_rounds"`    // of each measurement of the client
	Batches []int         `json:"raw_batch_events"` // events a transaction of the raw limit
}

// newPlan bounds every part, so that the default run ends within about half an hour.
func newPlan(events, past int, short bool) plan {
	p := plan{
		Events: events, Sample: min(events/5, 1_000_000), Past: []int{past / 10, past}, Repeats: 30, Beside: 30 * time.Second, Rest: 5 * time.Minute,
		Turn: 10 * time.Second, Singles: 15 * time.Second, Latency: 30 * time.Second, Locks: 3, Settle: 10 * time.Second,
		Watch: 90 * time.Second, Syncs: 3000, Rounds: 7, Batches: []int{5000, 20_000},
	}
	if short {
		p.Singles, p.Latency, p.Locks, p.Settle, p.Syncs = time.Second, 2*time.Second, 1, time.Second, 300
		p.Watch, p.Repeats, p.Beside, p.Turn, p.Rest = 6*time.Second, 2, 2*time.Second, time.Second, 2*time.Second
		p.Rounds = 2
	}
	return p
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	f := flag.NewFlagSet("tidemark-bench", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&o.binary, "tidemark", "bin/tidemark", "the service's `binary`")
	f.StringVar(&o.prometheus, "prometheus", "bin/tools/prometheus", "the `binary` of Prometheus to compare rules with")
	databases := f.String("db", "duckdb,postgres", "`databases` to measure; none = only what needs none of its own")
	events := f.Int("events", 5_000_000, "`rows` at which the grown database is measured")
	past := f.Int("past", 0, "`events` over 90 days of which questions are asked, and of a tenth of them (default 10000000; with -short as -events)")
	only := f.String("only", strings.Join(allParts[:], ","), "`parts` to measure")
	f.StringVar(&o.json, "json", "", "`file` to write the figures to as JSON")
	f.StringVar(&o.dir, "dir", "/var/tmp", "`directory` on the disk to measure; everything made in it is removed")
	f.DurationVar(&o.limit, "timeout", time.Hour, "give up after this `time`")
	short := f.Bool("short", false, "shorter measurements, to see that all works")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	if *databases != "none" {
		o.databases = strings.Split(*databases, ",")
	}
	for _, name := range o.databases {
		if !slices.Contains([]string{duckDB, postgreSQL}, name) {
			return o, fmt.Errorf("-db wants none, or %s or %s with a comma between them", duckDB, postgreSQL)
		}
	}
	if *events < 50_000 {
		return o, errors.New("-events wants at least 50000: fewer measure nothing")
	}
	if *past == 0 {
		*past = 10_000_000
		if *short {
			*past = *events
		}
	}
	if *past < 50_000 {
		return o, errors.New("-past wants at least 50000: fewer measure nothing")
	}
	o.parts = strings.Split(*only, ",")
	for _, name := range o.parts {
		if !slices.Contains(allParts[:], name) {
			return o, fmt.Errorf("-only wants %s with commas between them", strings.Join(allParts[:], ", "))
		}
	}
	o.plan = newPlan(*events, *past, *short)
	var err error
	o.binary, err = filepath.Abs(o.binary)
	if err == nil {
		o.prometheus, err = filepath.Abs(o.prometheus)
	}
	return o, err
}

// The parts of a run.
const (
	ingestPart      = "ingest"
	questionPart    = "questions"
	evaluatorPart   = "evaluator"
	clientPart      = "client"
	destinationPart = "destinations"
)

var allParts = [...]string{ingestPart, questionPart, destinationPart, evaluatorPart, clientPart}

// The databases.
const (
	duckDB     = "duckdb"
	postgreSQL = "postgres"
)

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) == 1 && args[0] == bareArgument {
		return serveBare(os.Stdin, stdout)
	}
	o, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	if _, err := os.Stat(o.binary); err != nil {
		return fmt.Errorf("no service to measure; run make build first: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, o.limit)
	defer cancel()
	dir, err := os.MkdirTemp(o.dir, "tidemark-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	// PostgreSQL runs as another user, who must be able to pass.
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	var r report
	b := &bench{parts: o.parts, binary: o.binary, prometheus: o.prometheus, dir: dir, plan: o.plan, progress: stderr}
	b.keep = func() error { r.judge(); return r.save(o.json) }
	if err = b.run(ctx, &r, o.databases); err != nil {
		// Not a miss but no measurement: all else is still worth reading.
		r.Failure = err.Error()
	}
	r.judge()
	return errors.Join(err, r.print(stdout), r.save(o.json))
}
