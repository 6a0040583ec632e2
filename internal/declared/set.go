package declared

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tidemark-obs/tidemark/internal/question"
)

// Set is what was declared, checked and completed. It does not change; a nil Set has nothing.
type Set struct {
	dimensions []Dimension
	numbers    []Number
	metrics    []Metric
	plans      map[string]*plan // of events that are named somewhere
	others     *plan            // of all others
}

// Dimension is a property worth breaking down by.
type Dimension struct {
	Field  question.Field
	Events []string // sorted; none = every event
	Values int      // at most so many are kept apart
	Known  []string // of these, the ones that are kept apart whatever comes first
	Label  string   // its name in metrics
}

// Number is a property that is a number.
type Number struct {
	Field  question.Field
	Events []string // sorted; none = every event
}

// Metric is a counter of events, or a histogram of a number of theirs.
type Metric struct {
	Name       string
	Help       string
	Event      string
	Dimensions []int     // its labels, as places in Dimensions
	Number     int       // place in Numbers; below 0 for a counter
	Buckets    []float64 // upper bounds of a histogram, rising, without infinity
	Key        string    // the same for the same name, event, labels, number and buckets
}

// Covers reports whether every event of a name has the dimension; an empty name is every event
// there is.
func (d *Dimension) Covers(event string) bool { return covers(d.Events, event) }

// Covers reports whether every event of a name has the number; an empty name is every event there
// is.
func (n *Number) Covers(event string) bool { return covers(n.Events, event) }

func covers(events []string, name string) bool {
	_, named := slices.BinarySearch(events, name)
	return len(events) == 0 || named
}

// Dimensions are the declared dimensions in their order; not to be changed.
func (s *Set) Dimensions() []Dimension {
	if s == nil {
		return nil
	}
	return s.dimensions
}

// Numbers are the declared numbers in their order; not to be changed.
func (s *Set) Numbers() []Number {
	if s == nil {
		return nil
	}
	return s.numbers
}

// Metrics are the declared metrics in their order; not to be changed.
func (s *Set) Metrics() []Metric {
	if s == nil {
		return nil
	}
	return s.metrics
}

// Counts reports whether events of a name belong to a metric.
func (s *Set) Counts(event string) bool { return s != nil && len(s.planFor(event).metrics) > 0 }

// New checks a declaration. An error names every place that is at fault, beginning with prefix.
func New(c Config, prefix string) (*Set, error) {
	s, f := &Set{}, &faults{place: prefix}
	bounded(f, "dimensions", len(c.Dimensions), MaxDimensions)
	bounded(f, "numbers", len(c.Numbers), MaxNumbers)
	bounded(f, "metrics", len(c.Metrics), MaxMetrics)
	if len(f.list) > 0 {
		return nil, f.err()
	}
	for i := range c.Dimensions {
		f.atIndex("dimensions", i, func(f *faults) { s.dimension(f, &c.Dimensions[i]) })
	}
	for i := range c.Numbers {
		f.atIndex("numbers", i, func(f *faults) { s.number(f, &c.Numbers[i]) })
	}
	if len(f.list) > 0 {
		return nil, f.err() // metrics refer to them
	}
	for i := range c.Metrics {
		f.atIndex("metrics", i, func(f *faults) { s.metric(f, &c.Metrics[i]) })
	}
	if len(f.list) == 0 {
		s.checkSeries(f)
	}
	if len(f.list) > 0 {
		return nil, f.err()
	}
	s.plan()
	return s, nil
}

func bounded(f *faults, name string, n, most int) {
	if n > most {
		f.at(name, func(f *faults) { f.add("may have at most %d entries", most) })
	}
}

func (s *Set) dimension(f *faults, c *DimensionConfig) {
	d := Dimension{Values: c.Values, Label: c.Label, Known: slices.Clone(c.Known)}
	d.Field = field(f, c.Property)
	if slices.ContainsFunc(s.dimensions, func(o Dimension) bool { return o.Field.String() == d.Field.String() }) {
		f.at("property", func(f *faults) { f.add("is a dimension already") })
	}
	d.Events = names(f, c.Events)
	if d.Values == 0 {
		d.Values = DefaultValues
	}
	if d.Values < 1 || d.Values > MaxValues {
		f.at("values", func(f *faults) { f.add("must be between 1 and %d", MaxValues) })
	}
	f.at("known", func(f *faults) { checkKnown(f, d.Known, d.Values) })
	if d.Label == "" {
		d.Label = snake(strings.TrimPrefix(d.Field.String(), string(question.Properties)+"."))
	}
	f.at("label", func(f *faults) { checkLabel(f, d.Label) })
	s.dimensions = append(s.dimensions, d)
}

func checkKnown(f *faults, known []string, budget int) {
	if len(known) > budget {
		f.add("has more entries than values are kept apart")
		return
	}
	for i, v := range known {
		switch {
		case v == "" || v == Other || !utf8.ValidString(v) || strings.IndexByte(v, 0) >= 0 || utf8.RuneCountInString(v) > MaxText:
			f.add("entry %d must be a text of 1 to %d characters, and not %q", i, MaxText, Other)
		case slices.Contains(known[:i], v):
			f.add("entry %d is there already", i)
		}
	}
}

func (s *Set) number(f *faults, c *NumberConfig) {
	n := Number{Field: field(f, c.Property)}
	if slices.ContainsFunc(s.numbers, func(o Number) bool { return o.Field.String() == n.Field.String() }) {
		f.at("property", func(f *faults) { f.add("is a number already") })
	}
	n.Events = names(f, c.Events)
	s.numbers = append(s.numbers, n)
}

// field reads a property as questions do.
func field(f *faults, text string) (q question.Field) {
	f.at("property", func(f *faults) {
		var fault string
		if q, fault = property(text); fault != "" {
			f.add("%s", fault)
		}
	})
	return q
}

func property(text string) (question.Field, string) {
	if text == "" {
		return question.Field{}, "is missing"
	}
	if !strings.HasPrefix(text, string(question.Properties)+".") && !strings.HasPrefix(text, string(question.Metadata)+".") {
		text = string(question.Properties) + "." + text
	}
	return question.ParseField(text)
}

// maxName is the longest name of an event.
const maxName = 100

func names(f *faults, list []string) []string {
	bounded(f, "events", len(list), MaxEvents)
	for i, name := range list {
		if fault := nameFault(name); fault != "" {
			f.atIndex("events", i, func(f *faults) { f.add("%s", fault) })
		}
	}
	list = slices.Clone(list)
	slices.Sort(list)
	return slices.Compact(list)
}

func nameFault(name string) string {
	if name == "" || utf8.RuneCountInString(name) > maxName || !utf8.ValidString(name) || strings.IndexByte(name, 0) >= 0 {
		return "must be the name of an event, of 1 to " + strconv.Itoa(maxName) + " characters"
	}
	return ""
}

// Series is how many series the metric may have at most: each label may have all its values, Other
// and none.
func (s *Set) Series(m *Metric) int {
	n := 1
	for _, d := range m.Dimensions {
		n = min(n*(s.dimensions[d].Values+2), math.MaxInt32)
	}
	if m.Number >= 0 {
		n *= len(m.Buckets) + 3
	}
	return n
}

func (s *Set) checkSeries(f *faults) {
	total := 0
	for i := range s.metrics {
		n := s.Series(&s.metrics[i])
		if total += n; total > MaxSeries {
			f.atIndex("metrics", i, func(f *faults) {
				f.add("may have %d series, and all metrics up to here %d, but at most %d: "+
					"take fewer labels or buckets, or lower the values of a dimension", n, total, MaxSeries)
			})
			return
		}
	}
}
