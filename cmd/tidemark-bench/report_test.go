//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// good are figures that reach every target, each of them exactly.
func good() *figures {
	ms := time.Millisecond
	return &figures{
		Database: postgreSQL,
		Raw:      []rawRate{{5000, 50_000}, {20_000, 70_000}},
		Empty:    throughput{Events: 1, StoredPerSecond: 56_000}, Grown: throughput{Events: 1, StoredPerSecond: 44_800},
		Singles: throughput{Events: 1, AcceptedPerSecond: 20_000},
		Disk:    quantiles{N: 1, P99: ms}, Bare: quantiles{N: 1, P99: 2 * ms}, Clocked: quantiles{N: 1, P99: 8 * ms},
		Locked: quantiles{N: 1, P99: 12 * ms}, Memory: footprint{Idle: 120e6, Peak: 600e6},
	}
}

// wantMissed wants one target to be missed, whose name begins like that; none where it is empty.
func wantMissed(t *testing.T, all []verdict, begins string) {
	t.Helper()
	var missed []string
	for _, v := range all {
		if !v.Pass {
			missed = append(missed, v.Name)
		}
	}
	if begins == "" && len(missed) > 0 || begins != "" && (len(missed) != 1 || !strings.HasPrefix(missed[0], begins)) {
		t.Errorf("missed %q, want only %q", missed, begins)
	}
}

func TestEachTargetIsMissedAlone(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*figures)
		missed string
	}{
		"none":         {func(*figures) {}, ""},
		"raw is slow":  {func(f *figures) { f.Raw = []rawRate{{5000, 60_000}} }, "a,"},
		"stored":       {func(f *figures) { f.Raw[0].EventsPerSecond = 71_000 }, "b when empty / a"},
		"grown":        {func(f *figures) { f.Grown.StoredPerSecond-- }, "b when grown"},
		"singles":      {func(f *figures) { f.Singles.AcceptedPerSecond-- }, "c,"},
		"latency":      {func(f *figures) { f.Clocked.P99++; f.Locked.P99++ }, "d, p99; bound"},
		"locked":       {func(f *figures) { f.Locked.P99++ }, "d, p99 with the store locked"},
		"idle":         {func(f *figures) { f.Memory.Idle++ }, "e, idle"},
		"full load":    {func(f *figures) { f.Memory.Peak++ }, "e, peak"},
		"not measured": {func(f *figures) { *f = figures{Database: duckDB} }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := good()
			c.change(f)
			wantMissed(t, f.judge(), c.missed)
		})
	}
}

func TestEachTargetOfTheEvaluatorIsMissedAlone(t *testing.T) {
	for missed, change := range map[string]func(*watching){
		"":                          func(*watching) {},
		"memory that it adds, idle": func(w *watching) { w.Idle++ },
		"memory that it adds with":  func(w *watching) { w.Loaded++ },
		"the shipped rules":         func(w *watching) { w.Shipped++ },
		"100 rules / the same":      func(w *watching) { w.Own++ },
	} {
		w := &watching{Without: 50e6, Idle: 90e6, Loaded: 200e6, Series: 10_000, Shipped: 10 * time.Millisecond,
			Rules: 100, Own: 110 * time.Millisecond, Theirs: 100 * time.Millisecond}
		change(w)
		wantMissed(t, w.judge(), missed)
	}
	if all := new(watching).judge(); len(all) > 0 {
		t.Errorf("verdicts without measurements: %v", all)
	}
}

func TestReportSaysWhatItHas(t *testing.T) {
	other := &figures{Database: duckDB, NotLocked: "it cannot be"}
	r := &report{Machine: thisMachine(t.TempDir()), Plan: newPlan(5_000_000, 10_000_000, false), Databases: []*figures{good(), other}, Failure: "the disk is gone"}
	r.judge()
	var text bytes.Buffer
	if err := r.print(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"70000", "0.80 x", "≥ 0.80", "pass", "it cannot be", "NOT COMPLETE: the disk is gone", "8.00"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the table does not say %q:\n%s", want, text.String())
		}
	}
	path := filepath.Join(t.TempDir(), "out.json")
	if err := r.save(path); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var back report
	if err := json.Unmarshal(b, &back); err != nil || len(back.Verdicts) != 8 || back.Databases[0].Memory.Peak != 600e6 {
		t.Errorf("the JSON does not read back: %v, %+v", err, back)
	}
}

func TestCommandLine(t *testing.T) {
	for name, c := range map[string]struct {
		args string
		bad  bool
	}{
		"defaults":         {args: ""},
		"one database":     {args: "-db postgres -short -events 200000"},
		"unknown database": {args: "-db oracle", bad: true},
		"no database":      {args: "-db none"},
		"too few events":   {args: "-events 10", bad: true},
		"too short a past": {args: "-past 10", bad: true},
		"one part":         {args: "-only questions -past 1000000"},
		"unknown part":     {args: "-only lunch", bad: true},
		"an argument":      {args: "x", bad: true},
	} {
		t.Run(name, func(t *testing.T) {
			var said bytes.Buffer
			o, err := parse(strings.Fields(c.args), &said)
			if (err != nil) != c.bad {
				t.Fatalf("error %v", err)
			}
			if err == nil && (len(o.parts) == 0 || o.plan.Past[0] < 20_000 || o.plan.Sample < 10_000 || (len(o.databases) == 0) != strings.Contains(c.args, "none")) {
				t.Errorf("options: %+v", o)
			}
		})
	}
}
