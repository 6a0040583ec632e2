//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

// row is one line of the table: a name, and how it reads for a database.
type row struct {
	name string
	cell func(*figures) string
}

// rows is the table, from a to e.
func (r *report) rows() []row {
	var rows []row
	add := func(name string, cell func(*figures) string) { rows = append(rows, row{name, cell}) }
	for i, size := range r.Plan.Batches {
		add(fmt.Sprintf("a  raw insert, %d a transaction, events/s", size), func(f *figures) string {
			if i >= len(f.Raw) {
				return "-"
			}
			return rate(f.Raw[i].EventsPerSecond)
		})
	}
	for _, t := range []struct {
		name string
		of   func(*figures) *throughput
	}{
		{"empty", func(f *figures) *throughput { return &f.Empty }},
		{"growing", func(f *figures) *throughput { return &f.Growth }},
		{"grown", func(f *figures) *throughput { return &f.Grown }},
	} {
		add("b  stored, "+t.name+", events/s", func(f *figures) string { return rate(t.of(f).StoredPerSecond) })
		add("c  accepted in batches, "+t.name+", events/s", func(f *figures) string { return rate(t.of(f).AcceptedPerSecond) })
		add("   cores of generator, service", func(f *figures) string { return cores(t.of(f)) })
		add("   refused", func(f *figures) string { return refused(t.of(f)) })
	}
	add("c  accepted singly, events/s", func(f *figures) string { return rate(f.Singles.AcceptedPerSecond) })
	add("   stored singly, events/s", func(f *figures) string { return rate(f.Singles.StoredPerSecond) })
	add("   cores of generator, service", func(f *figures) string { return cores(&f.Singles) })
	add("   answers", func(f *figures) string { return times(f.Singles.Answers) })
	add("   refused", func(f *figures) string { return refused(&f.Singles) })
	add(fmt.Sprintf("d  latency at %d/s", clockRate), func(f *figures) string { return times(f.Clocked) })
	add("   without a journal", func(f *figures) string { return times(f.Bare) })
	add("   with the store locked", func(f *figures) string { return times(f.Locked) })
	add("   disk, 4 KiB append + fdatasync", func(f *figures) string { return times(f.Disk) })
	add("e  memory idle", func(f *figures) string { return size(f.Memory.Idle) })
	add("e  memory peak under full load", func(f *figures) string { return size(f.Memory.Peak) })
	add("   bytes per event on disk", func(f *figures) string { return rate(f.BytesPerEvent) })
	return rows
}

// print writes the report as text.
func (r *report) print(to io.Writer) error {
	m := r.Machine
	_, err := fmt.Fprintf(to, "Tidemark bench, %s\n%d × %s, %s, Linux %s, %s, %s on %s\nlatencies: p50 / p99 / p99.9 / max in ms; 1 MB = 1,000,000 bytes\n",
		r.Began.Format("2006-01-02 15:04 MST"), m.Processors, m.Model, megabytes(int64(m.Memory)), m.Kernel, m.Go, m.FileSystem, m.Directory)
	for _, f := range r.Databases {
		_, e := fmt.Fprintf(to, "%s: %s\n", f.Database, f.Setup)
		err = errors.Join(err, e)
	}
	w := tabwriter.NewWriter(to, 0, 4, 2, ' ', 0)
	fmt.Fprint(w, "\n")
	for _, f := range r.Databases {
		fmt.Fprint(w, "\t", f.Database)
	}
	fmt.Fprint(w, "\n")
	for _, row := range r.rows() {
		if len(r.Databases) == 0 {
			break
		}
		fmt.Fprint(w, row.name)
		for _, f := range r.Databases {
			fmt.Fprint(w, "\t", row.cell(f))
		}
		fmt.Fprint(w, "\n")
	}
	r.printPast(w)
	r.printDestinations(w)
	fmt.Fprint(w, "\ntarget\tdatabase\tmeasured\tbound\t\n")
	for _, v := range r.Verdicts {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", v.Name, v.Database, number(v.Measured)+" "+v.Unit, v.bound(), v.word())
	}
	err = errors.Join(err, w.Flush())
	for _, f := range r.Databases {
		if f.NotLocked != "" {
			_, e := fmt.Fprintf(to, "%s: not measured with the store locked: %s\n", f.Database, f.NotLocked)
			err = errors.Join(err, e)
		}
	}
	if e := r.Evaluator; e != nil && e.NoPrometheus != "" {
		_, e := fmt.Fprintf(to, "evaluator: not compared with Prometheus: %s\n", e.NoPrometheus)
		err = errors.Join(err, e)
	}
	if r.Failure != "" {
		_, e := fmt.Fprintf(to, "\nNOT COMPLETE: %s\n", r.Failure)
		err = errors.Join(err, e)
	}
	return err
}

func (v *verdict) bound() string {
	if v.AtLeast {
		return "≥ " + number(v.Bound)
	}
	return "≤ " + number(v.Bound)
}

func (v *verdict) word() string {
	if v.Pass {
		return "pass"
	}
	return "MISS"
}

// number writes ratios and milliseconds to the hundredth and everything large whole.
func number(n float64) string {
	if n < 100 {
		return fmt.Sprintf("%.2f", n)
	}
	return fmt.Sprintf("%.0f", n)
}

func rate(n float64) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f", n)
}

func size(n int64) string {
	if n == 0 {
		return "-"
	}
	return megabytes(n)
}

func cores(t *throughput) string {
	if t.Events == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f, %.2f", t.GeneratorCores, t.ServiceCores)
}

func refused(t *throughput) string {
	if t.Events == 0 {
		return "-"
	}
	var parts []string
	for _, status := range slices.Sorted(maps.Keys(t.Refused)) {
		parts = append(parts, fmt.Sprintf("%d × %d", t.Refused[status], status))
	}
	if parts == nil {
		return "none"
	}
	return strings.Join(parts, ", ")
}

func times(q quantiles) string {
	if q.N == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f / %.2f / %.2f / %.1f", milliseconds(q.P50), milliseconds(q.P99), milliseconds(q.P999), milliseconds(q.Max))
}
