package question

import (
	"strconv"
	"strings"
)

// Measure is what is computed of a set of events.
type Measure string

// The measures. Count counts events; Weighted estimates how many there were before sampling;
// Users and Sessions count distinct ids and pass over events that have none; the others take the
// numbers of a property and pass over events where it is none.
const (
	Count      Measure = "count"
	Weighted   Measure = "weighted"
	Users      Measure = "users"
	Sessions   Measure = "sessions"
	Sum        Measure = "sum"
	Avg        Measure = "avg"
	Min        Measure = "min"
	Max        Measure = "max"
	Percentile Measure = "p"
)

// Metric is a measure and what it is of.
type Metric struct {
	Measure Measure
	Field   Field // of sum, avg, min, max and percentiles
	Percent int   // of percentiles, 1 to 99; interpolated between neighbours
}

// String is the metric as it is written in a question.
func (m Metric) String() string {
	switch {
	case m.Measure == Percentile:
		return "p" + strconv.Itoa(m.Percent) + ":" + m.Field.String()
	case !m.Field.IsZero():
		return string(m.Measure) + ":" + m.Field.String()
	}
	return string(m.Measure)
}

// OfNothing is the metric's value where there are no events: 0 of what is counted or summed,
// nothing of the others.
func (m Metric) OfNothing() *float64 {
	switch m.Measure {
	case Avg, Min, Max, Percentile:
		return nil
	}
	return new(float64)
}

const badMetric = "must be count, weighted, users, sessions, or sum, avg, min, max, p50 to p99 of a property, as p95:duration_ms"

// Metric reads a metric; empty text is count. The property after the colon may be written with or
// without its properties.
func (p *Parser) Metric(location, text string) Metric {
	name, of, colon := strings.Cut(text, ":")
	m := Metric{Measure: Measure(name)}
	switch m.Measure {
	case "":
		m.Measure = Count
	case Count, Weighted, Users, Sessions:
	case Sum, Avg, Min, Max:
		return p.metricOf(location, m, of)
	default:
		percent, err := strconv.Atoi(strings.TrimPrefix(name, "p"))
		if err != nil || percent < 1 || percent > 99 || name != "p"+strconv.Itoa(percent) {
			p.Fail(location, badMetric)
			return Metric{}
		}
		m.Measure, m.Percent = Percentile, percent
		return p.metricOf(location, m, of)
	}
	if colon {
		p.Fail(location, badMetric)
	}
	return m
}

func (p *Parser) metricOf(location string, m Metric, of string) Metric {
	if of == "" {
		p.Fail(location, "needs a property, as "+m.name()+":amount")
		return m
	}
	if !strings.HasPrefix(of, string(Properties)+".") && !strings.HasPrefix(of, string(Metadata)+".") {
		of = string(Properties) + "." + of
	}
	m.Field = p.Field(location, of)
	return m
}

func (m Metric) name() string {
	if m.Measure == Percentile {
		return "p" + strconv.Itoa(m.Percent)
	}
	return string(m.Measure)
}
