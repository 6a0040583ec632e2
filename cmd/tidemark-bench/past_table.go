//go:build linux

package main

import (
	"fmt"
	"io"
	"time"
)

// The targets of questions.
const (
	dashboardDuckDB   = 100 * time.Millisecond
	dashboardPostgres = 30 * time.Millisecond
	grownQuestions    = 1.5 // p99 with all events / with a tenth
	overRawSQL        = 50
	adHocWithin       = 500 * time.Millisecond
	journeyWithin     = 2 * time.Second
	listWithin        = 30 * time.Millisecond
	exportPerSecond   = 1_000_000
	importOfHTTP      = 0.8
	bytesAnEvent      = 110
	storedBeside      = 0.8
	besideOfIdle      = 3
)

// judgePast compares each database with itself at both sizes. What is bounded at the full size is
// judged there.
func judgePast(all []*past) (verdicts []verdict) {
	small := map[string]*past{}
	for _, p := range all {
		few := small[p.Database]
		if few == nil {
			small[p.Database] = p
			continue
		}
		verdicts = append(verdicts, p.judge(few)...)
	}
	return verdicts
}

func (p *past) judge(few *past) (all []verdict) {
	add := judging(p.Database, &all)
	bound := dashboardDuckDB
	if p.Database == postgreSQL {
		bound = dashboardPostgres
	}
	ms := func(name string, took, bound time.Duration) {
		add(took > 0, verdict{Name: name, Measured: milliseconds(took), Bound: milliseconds(bound), Unit: "ms"})
	}
	times := func(name string, a, b, bound float64, atLeast bool) {
		add(a > 0 && b > 0, verdict{Name: name, Measured: ratio(a, b), Bound: bound, AtLeast: atLeast, Unit: "x"})
	}
	ms("dashboard, p99", p.Dashboard.P99, bound)
	if p.Database == postgreSQL {
		times(fmt.Sprintf("dashboard, p99 with %d events / with %d", p.Events, few.Events),
			float64(p.Dashboard.P99), float64(few.Dashboard.P99), grownQuestions, false)
		name, gain := p.leastOverSQL()
		times("raw SQL / question, least: "+name, gain, 1, overRawSQL, true)
	} else {
		name, took := slowest(p.of(adHoc))
		ms("ad hoc, slowest median: "+name, took, adHocWithin)
		for _, q := range p.of(journey) {
			if q.Name != sessionsName {
				ms(q.Name+", median", q.Took.P50, journeyWithin)
			}
		}
		add(p.Export.PerSecond > 0, verdict{Name: "export as Parquet", Measured: p.Export.PerSecond, Bound: exportPerSecond, AtLeast: true, Unit: "events/s"})
		add(p.Bytes > 0, verdict{Name: "bytes an event on disk", Measured: p.Bytes, Bound: bytesAnEvent, Unit: "bytes"})
	}
	name, took := slowest(p.Lists)
	ms("a page of a list, slowest median: "+name, took, listWithin)
	times("import / the same over HTTP", few.Import.PerSecond, few.Load.StoredPerSecond, importOfHTTP, true)
	times("stored beside questions / without", p.Disturbed.StoredPerSecond, p.Undisturbed.StoredPerSecond, storedBeside, true)
	times("questions beside full load, p99 / idle", float64(p.Meanwhile.Took.P99), float64(p.Dashboard.P99), besideOfIdle, false)
	add(p.Disturbed.Events > 0, verdict{Name: "refused beside questions", Measured: float64(count(p.Disturbed.Refused)), Unit: "requests"})
	add(len(p.Asked) > 0, verdict{Name: "questions not answered", Measured: float64(p.unanswered()), Unit: "questions"})
	add(p.Memory.Peak > 0, verdict{Name: "memory, peak", Measured: inMegabytes(p.Memory.Peak), Bound: loadedMegabytes, Unit: "MB"})
	return all
}

// leastOverSQL is the question that gains least over itself as SQL.
func (p *past) leastOverSQL() (name string, times float64) {
	for _, q := range p.Asked {
		if q.SQL == 0 || q.Took.P50 == 0 {
			continue
		}
		if t := float64(q.SQL) / float64(q.Took.P50); name == "" || t < times {
			name, times = q.Name, t
		}
	}
	return name, times
}

func slowest(list []*asked) (name string, took time.Duration) {
	for _, q := range list {
		if q.Took.P50 > took {
			name, took = q.Name, q.Took.P50
		}
	}
	return name, took
}

func (p *past) unanswered() int {
	n := p.Meanwhile.Failed
	for _, q := range append(p.Asked[:len(p.Asked):len(p.Asked)], p.Lists...) {
		n += q.Failed
	}
	return n
}

func count(refused map[int]int) (n int) {
	for _, times := range refused {
		n += times
	}
	return n
}

// printPast writes what was asked, a column for each database and number of events.
func (r *report) printPast(w io.Writer) {
	if len(r.Past) == 0 {
		return
	}
	line := func(name string, cell func(*past) string) {
		fmt.Fprint(w, name)
		for _, p := range r.Past {
			fmt.Fprint(w, "\t", cell(p))
		}
		fmt.Fprint(w, "\n")
	}
	fmt.Fprint(w, "\nquestions: p50 / p99 in ms; in brackets the same as raw SQL\n")
	line("", func(p *past) string { return fmt.Sprintf("%s, %d events", p.Database, p.Events) })
	line("stored over HTTP, events/s", func(p *past) string { return rate(p.Load.StoredPerSecond) })
	line("at rest after", func(p *past) string { return p.Rest.String() })
	line("dashboard, all questions, at rest", func(p *past) string { return short(p.Dashboard) })
	line("   directly after the load", func(p *past) string { return short(p.Directly) })
	line("   during full load, and how many", func(p *past) string { return fmt.Sprint(p.Meanwhile.cell(), " of ", p.Meanwhile.Took.N) })
	for i, q := range r.Past[0].Asked {
		line(fmt.Sprintf("%s: %s, %g d", q.Kind, q.Name, q.Days), func(p *past) string { return at(p.Asked, i) })
	}
	for i, q := range r.Past[0].Lists {
		line(q.Kind+": "+q.Name, func(p *past) string { return at(p.Lists, i) })
	}
	line("export as Parquet, NDJSON, events/s", func(p *past) string { return rate(p.Export.PerSecond) + ", " + rate(p.ExportLines.PerSecond) })
	line("import of Parquet, events/s", func(p *past) string { return rate(p.Import.PerSecond) })
	line("stored at full load, events/s", func(p *past) string { return rate(p.Undisturbed.StoredPerSecond) })
	line("   beside questions", func(p *past) string { return rate(p.Disturbed.StoredPerSecond) })
	line("memory peak", func(p *past) string { return size(p.Memory.Peak) })
	line("bytes per event on disk", func(p *past) string { return rate(p.Bytes) })
}

func at(list []*asked, i int) string {
	if i >= len(list) {
		return "-"
	}
	return list[i].cell()
}

func (q *asked) cell() string {
	text := short(q.Took)
	if q.SQL > 0 {
		text += fmt.Sprintf(" (%.0f)", milliseconds(q.SQL))
	}
	if q.Failed > 0 {
		text += fmt.Sprintf(", %d × %s", q.Failed, q.Why)
	}
	return text
}

func short(q quantiles) string {
	if q.N == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f / %.1f", milliseconds(q.P50), milliseconds(q.P99))
}
