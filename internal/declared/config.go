package declared

import (
	"errors"
	"fmt"
	"strconv"
)

// Config is what somebody wrote down.
type Config struct {
	Dimensions []DimensionConfig
	Numbers    []NumberConfig
	Metrics    []MetricConfig
}

// DimensionConfig is a property worth breaking down by.
type DimensionConfig struct {
	Property string   // as in questions; "properties." may be left out
	Events   []string // names of events that have it; none = every event
	Values   int      // kept apart, the rest is Other; 0 = DefaultValues
	Known    []string // values known beforehand: kept apart whatever comes first
	Label    string   // its name in metrics; empty = made from the property
}

// NumberConfig is a property that is a number.
type NumberConfig struct {
	Property string
	Events   []string
}

// MetricConfig turns an event into a counter, or a number of it into a histogram.
type MetricConfig struct {
	Event     string
	Histogram string // a declared number; empty = a counter
	Name      string // empty = made from the event and the number
	Help      string
	Unit      string    // ends the name of a histogram
	Buckets   []float64 // upper bounds of a histogram; none = DefaultBuckets
	Labels    []string  // declared dimensions, by their property
}

// The bounds.
const (
	MaxDimensions = 20
	MaxNumbers    = 20
	MaxMetrics    = 50
	MaxEvents     = 100 // names at one declaration
	MaxValues     = 1_000
	MaxLabels     = 5
	MaxBuckets    = 50
	// MaxSeries bounds the series of all metrics together as Prometheus counts them: a histogram
	// has one for each bucket, one more for what is above, its sum and its count.
	MaxSeries     = 20_000
	DefaultValues = 100
	// MaxText is the longest text in characters that is a value of its own; longer ones are Other.
	MaxText = 100
	// Other stands for all values beyond a dimension's budget.
	Other = "other"
)

// DefaultBuckets are upper bounds for anything from milliseconds in seconds to amounts of money.
func DefaultBuckets() []float64 {
	return []float64{0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 50, 100, 500, 1_000, 5_000, 10_000}
}

// faults collects what is wrong, by place.
type faults struct {
	place string
	list  []error
}

func (f *faults) add(format string, args ...any) {
	f.list = append(f.list, fmt.Errorf(f.place+": "+format, args...))
}

// at are the faults of a place within this one.
func (f *faults) at(name string, fn func(*faults)) {
	inner := faults{place: f.place + "." + name}
	fn(&inner)
	f.list = append(f.list, inner.list...)
}

func (f *faults) atIndex(name string, i int, fn func(*faults)) {
	f.at(name+"["+strconv.Itoa(i)+"]", fn)
}

func (f *faults) err() error { return errors.Join(f.list...) }
