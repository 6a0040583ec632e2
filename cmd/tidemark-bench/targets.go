//go:build linux

package main

import (
	"fmt"
	"time"
)

// verdict is one target and what was measured.
type verdict struct {
	Database string  `json:"database"`
	Name     string  `json:"name"`
	Measured float64 `json:"measured"`
	Bound    float64 `json:"bound"`
	AtLeast  bool    `json:"at_least"` // else at most
	Unit     string  `json:"unit"`
	Pass     bool    `json:"pass"`
}

// The targets, on two processors with the generator on them.
const (
	rawDuckDB       = 125_000 // events/s, about
	rawPostgreSQL   = 70_000
	about           = 0.9 // of a target that says about
	storedDuckDB    = 0.6 // of the raw limit
	storedPostgres  = 0.8
	grownOfEmpty    = 0.8
	singlesPerSec   = 20_000
	syncsOnTop      = 6 // fsyncs that the journal may add to p99
	lockedOfFree    = 1.5
	idleMegabytes   = 120
	loadedMegabytes = 600
	watchIdle       = 40  // MB that the evaluator adds
	watchLoaded     = 150 // with watchedSeries
	shippedMillis   = 10
	likePrometheus  = 1.1
)

// judge compares what was measured with the targets. What was not measured gets no verdict.
func (r *report) judge() {
	r.Verdicts = nil
	for _, f := range r.Databases {
		r.Verdicts = append(r.Verdicts, f.judge()...)
	}
	r.Verdicts = append(r.Verdicts, judgePast(r.Past)...)
	if r.Evaluator != nil {
		r.Verdicts = append(r.Verdicts, r.Evaluator.judge()...)
	}
	for _, d := range r.Destinations {
		r.Verdicts = append(r.Verdicts, d.judge()...)
	}
	if r.Client != nil {
		r.Verdicts = append(r.Verdicts, r.Client.judge()...)
	}
}

// judging appends verdicts on what was measured.
func judging(database string, all *[]verdict) func(measured bool, v verdict) {
	return func(measured bool, v verdict) {
		if !measured {
			return
		}
		v.Database = database
		v.Pass = v.Measured <= v.Bound
		if v.AtLeast {
			v.Pass = v.Measured >= v.Bound
		}
		*all = append(*all, v)
	}
}

func (w *watching) judge() (all []verdict) {
	add := judging("evaluator", &all)
	add(w.Idle > 0, verdict{Name: "memory that it adds, idle", Measured: inMegabytes(w.Idle - w.Without), Bound: watchIdle, Unit: "MB"})
	add(w.Loaded > 0, verdict{Name: fmt.Sprintf("memory that it adds with %d series", w.Series),
		Measured: inMegabytes(w.Loaded - w.Without), Bound: watchLoaded, Unit: "MB"})
	add(w.Shipped > 0, verdict{Name: "the shipped rules once", Measured: milliseconds(w.Shipped), Bound: shippedMillis, Unit: "ms"})
	add(w.Theirs > 0, verdict{Name: fmt.Sprintf("%d rules / the same in Prometheus", w.Rules),
		Measured: float64(w.Own) / float64(w.Theirs), Bound: likePrometheus, Unit: "x"})
	return all
}

func (f *figures) judge() (all []verdict) {
	raw, stored := float64(rawDuckDB), storedDuckDB
	if f.Database == postgreSQL {
		raw, stored = rawPostgreSQL, storedPostgres
	}
	add := judging(f.Database, &all)
	a, b, grown := f.best().EventsPerSecond, f.Empty.StoredPerSecond, f.Grown.StoredPerSecond
	add(a > 0, verdict{Name: fmt.Sprintf("a, about %.0f", raw), Measured: a, Bound: about * raw, AtLeast: true, Unit: "events/s"})
	add(a > 0 && b > 0, verdict{Name: "b when empty / a", Measured: b / a, Bound: stored, AtLeast: true, Unit: "x"})
	add(b > 0 && grown > 0, verdict{Name: "b when grown / b when empty", Measured: grown / b, Bound: grownOfEmpty, AtLeast: true, Unit: "x"})
	add(f.Singles.Events > 0, verdict{Name: "c, single events accepted", Measured: f.Singles.AcceptedPerSecond, Bound: singlesPerSec, AtLeast: true, Unit: "events/s"})
	add(f.Clocked.N > 0 && f.Bare.N > 0, verdict{
		Name:     fmt.Sprintf("d, p99; bound: without a journal + %d fsync p99", syncsOnTop),
		Measured: milliseconds(f.Clocked.P99), Bound: milliseconds(f.Bare.P99 + syncsOnTop*f.Disk.P99), Unit: "ms"})
	add(f.Locked.N > 0, verdict{Name: "d, p99 with the store locked / p99", Bound: lockedOfFree,
		Measured: float64(f.Locked.P99) / float64(f.Clocked.P99), Unit: "x"})
	add(f.Memory.Idle > 0, verdict{Name: "e, idle", Measured: inMegabytes(f.Memory.Idle), Bound: idleMegabytes, Unit: "MB"})
	add(f.Memory.Peak > 0, verdict{Name: "e, peak under full load", Measured: inMegabytes(f.Memory.Peak), Bound: loadedMegabytes, Unit: "MB"})
	return all
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// inMegabytes counts a megabyte as a million bytes, the stricter reading.
func inMegabytes(n int64) float64 { return float64(n) / 1e6 }

func megabytes(n int64) string { return fmt.Sprintf("%.0f MB", inMegabytes(n)) }
