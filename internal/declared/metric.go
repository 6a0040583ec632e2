package declared

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"math"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tidemark-obs/tidemark/internal/question"
)

const prefix = "tidemark_event_"

// maxMetricName and maxHelp bound what /metrics repeats at each scrape.
const (
	maxMetricName = 150
	maxHelp       = 200
)

func (s *Set) metric(f *faults, c *MetricConfig) {
	m := Metric{Name: c.Name, Help: c.Help, Event: c.Event, Number: -1}
	if fault := nameFault(c.Event); fault != "" {
		f.at("event", func(f *faults) { f.add("%s", fault) })
	}
	if utf8.RuneCountInString(c.Help) > maxHelp || !utf8.ValidString(c.Help) {
		f.at("help", func(f *faults) { f.add("must have at most %d characters", maxHelp) })
	}
	s.labels(f, &m, c.Labels)
	if c.Histogram != "" {
		s.histogram(f, &m, c)
	} else {
		s.counter(f, &m, c)
	}
	f.at("name", func(f *faults) { s.checkName(f, &m) })
	m.Key = s.key(&m)
	s.metrics = append(s.metrics, m)
}

func (s *Set) counter(f *faults, m *Metric, c *MetricConfig) {
	if c.Unit != "" {
		f.at("unit", func(f *faults) { f.add("is for histograms") })
	}
	if len(c.Buckets) > 0 {
		f.at("buckets", func(f *faults) { f.add("are for histograms") })
	}
	if m.Name == "" {
		m.Name = made(snake(c.Event), "", "total")
	}
	if m.Help == "" {
		m.Help = "Stored events named " + c.Event + "."
	}
}

func (s *Set) histogram(f *faults, m *Metric, c *MetricConfig) {
	f.at("histogram", func(f *faults) {
		field, fault := property(c.Histogram)
		if fault != "" {
			f.add("%s", fault)
			return
		}
		m.Number = slices.IndexFunc(s.numbers, func(n Number) bool { return n.Field.String() == field.String() })
		switch {
		case m.Number < 0:
			f.add("is not among the numbers")
		case !s.numbers[m.Number].Covers(c.Event):
			f.add("is a number that this event does not have, by its events")
		}
	})
	m.Buckets = slices.Clone(c.Buckets)
	if len(m.Buckets) == 0 {
		m.Buckets = DefaultBuckets()
	}
	f.at("buckets", func(f *faults) { checkBuckets(f, m.Buckets) })
	if c.Unit != "" && c.Unit != snake(c.Unit) {
		f.at("unit", func(f *faults) { f.add("must be a word as seconds or bytes") })
	}
	number := snake(strings.TrimPrefix(c.Histogram, string(question.Properties)+"."))
	if m.Name == "" {
		if number == "" {
			f.at("name", func(f *faults) { f.add("is needed: none can be made from the number") })
		}
		m.Name = made(snake(c.Event), number, c.Unit)
	}
	if m.Help == "" {
		m.Help = "Values of " + c.Histogram + " in stored events named " + c.Event + "."
	}
}

func checkBuckets(f *faults, list []float64) {
	if len(list) > MaxBuckets {
		f.add("may have at most %d entries", MaxBuckets)
	}
	for i, b := range list {
		if math.IsNaN(b) || math.IsInf(b, 0) {
			f.add("entry %d must be a number; what is above the last bucket is counted by itself", i)
		} else if i > 0 && b <= list[i-1] {
			f.add("entry %d must be above the one before", i)
		}
	}
}

func (s *Set) labels(f *faults, m *Metric, list []string) {
	bounded(f, "labels", len(list), MaxLabels)
	for i, text := range list {
		f.atIndex("labels", i, func(f *faults) {
			field, fault := property(text)
			if fault != "" {
				f.add("%s", fault)
				return
			}
			at := slices.IndexFunc(s.dimensions, func(d Dimension) bool { return d.Field.String() == field.String() })
			switch {
			case at < 0:
				f.add("is not among the dimensions")
			case !s.dimensions[at].Covers(m.Event):
				f.add("is a dimension that this event does not have, by its events")
			case slices.ContainsFunc(m.Dimensions, func(d int) bool { return s.dimensions[d].Label == s.dimensions[at].Label }):
				f.add("has the label %s, which is there already", s.dimensions[at].Label)
			default:
				m.Dimensions = append(m.Dimensions, at)
			}
		})
	}
}

// Labels are the names of the metric's labels.
func (s *Set) Labels(m *Metric) []string {
	list := make([]string, len(m.Dimensions))
	for i, d := range m.Dimensions {
		list[i] = s.dimensions[d].Label
	}
	return list
}

var (
	validName    = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)
	reservedName = regexp.MustCompile(`^(__|(tidemark|go|process|http|system|otel|prometheus|promhttp|net|scrape)_|(up|target_info|ALERTS.*)$)`)
	// Ends that formats add themselves, or that mean another type.
	wrongOfCounter   = regexp.MustCompile(`_(total_total|created_total|info_total)$`)
	wrongOfHistogram = regexp.MustCompile(`_(total|sum|count|bucket|created|info)$`)
	addedToHistogram = regexp.MustCompile(`_(sum|count|bucket)$`)
)

func (s *Set) checkName(f *faults, m *Metric) {
	counter := m.Number < 0
	base := family(m.Name)
	switch {
	case m.Name == "" || base == "":
		f.add("is needed: none can be made from the event's name")
	case !validName.MatchString(m.Name) || len(m.Name) > maxMetricName:
		f.add("must have letters, digits and _ only, and at most %d", maxMetricName)
	case !strings.HasPrefix(m.Name, prefix) && reservedName.MatchString(m.Name):
		f.add("begins as the names of other metrics do")
	case counter && !strings.HasSuffix(m.Name, "_total"):
		f.add("of a counter must end in _total")
	case counter && wrongOfCounter.MatchString(m.Name), !counter && wrongOfHistogram.MatchString(m.Name):
		f.add("must not end in _total, _sum, _count, _bucket, _created or _info, but for a counter's _total")
	case slices.ContainsFunc(s.metrics, func(o Metric) bool { return clash(&o, m) || clash(m, &o) }):
		f.add("%s is that of another metric of this list", base)
	}
}

// clash reports whether two metrics have a name in common: a's, or one that a histogram a adds.
func clash(a, b *Metric) bool {
	name, other := family(a.Name), family(b.Name)
	return name == other || a.Number >= 0 && addedToHistogram.ReplaceAllString(other, "") == name
}

// family is a metric's name without a counter's end, as OpenMetrics knows it.
func family(name string) string { return strings.TrimSuffix(name, "_total") }

var reservedLabel = regexp.MustCompile(`^(le|quantile|job|instance|__.*)$`)

func checkLabel(f *faults, label string) {
	switch {
	case label == "":
		f.add("is needed: none can be made from the property's name")
	case !validName.MatchString(label) || len(label) > maxName:
		f.add("must have letters, digits and _ only, and at most %d", maxName)
	case reservedLabel.MatchString(label):
		f.add("%s is reserved; give another", label)
	}
}

// made joins the parts of a metric's name; a unit that is there already is not repeated.
func made(event, number, end string) string {
	if event == "" {
		return ""
	}
	name := prefix + event
	if number != "" {
		name += "_" + number
	}
	if end != "" && !strings.HasSuffix(name, "_"+end) {
		name += "_" + end
	}
	return name
}

// snake turns a name into lower case with underscores; what else it has becomes one underscore.
func snake(text string) string {
	var b strings.Builder
	gap, lower := false, false
	for _, r := range text {
		upper := r >= 'A' && r <= 'Z'
		letter := upper || r >= 'a' && r <= 'z' || r >= '0' && r <= '9'
		if !letter {
			gap, lower = true, false
			continue
		}
		if (gap || upper && lower) && b.Len() > 0 {
			b.WriteByte('_')
		}
		gap, lower = false, !upper
		if upper {
			r += 'a' - 'A'
		}
		b.WriteRune(r)
	}
	return b.String()
}

// key tells metrics apart whose series cannot be added to each other.
func (s *Set) key(m *Metric) string {
	parts := []any{m.Name, m.Event, m.Buckets}
	for _, d := range m.Dimensions {
		parts = append(parts, s.dimensions[d].Label, s.dimensions[d].Field.String())
	}
	if m.Number >= 0 {
		parts = append(parts, s.numbers[m.Number].Field.String())
	}
	text, _ := json.Marshal(parts) // texts and finite numbers always have a form
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:12])
}
