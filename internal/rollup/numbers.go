package rollup

import (
	"encoding/binary"
	"math"

	"github.com/DataDog/sketches-go/ddsketch"
	"github.com/DataDog/sketches-go/ddsketch/mapping"
	"github.com/DataDog/sketches-go/ddsketch/store"
)

// Accuracy is how far a percentile may be off, as a share of it.
const Accuracy = 0.01

// Numbers is what there is to say about a number of events. The zero Numbers is about none.
type Numbers struct {
	Events int64 // with or without the number
	Count  int64 // events that have it
	Sum    float64
	Min    float64 // where Count is above 0
	Max    float64

	sketch *ddsketch.DDSketch
}

// newSketch keeps little where there are few numbers, however far apart.
func newSketch() *ddsketch.DDSketch {
	m, _ := mapping.NewLogarithmicMapping(Accuracy) // fails for other accuracies only
	return ddsketch.NewDDSketch(m, store.NewBufferedPaginatedStore(), store.NewBufferedPaginatedStore())
}

// Add takes n events with a number; NaN stands for none.
func (s *Numbers) Add(value float64, n int64) error {
	s.Events += n
	if math.IsNaN(value) {
		return nil
	}
	if s.Count == 0 || value < s.Min {
		s.Min = value
	}
	if s.Count == 0 || value > s.Max {
		s.Max = value
	}
	s.Count += n
	s.Sum += value * float64(n)
	if s.sketch == nil {
		s.sketch = newSketch()
	}
	most := s.sketch.MaxIndexableValue() // a little below the largest there is
	return s.sketch.AddWithCount(min(max(value, -most), most), float64(n))
}

// Join adds other, which stays as it is.
func (s *Numbers) Join(other *Numbers) error {
	s.join(other)
	if other.sketch == nil {
		return nil
	}
	if s.sketch == nil {
		s.sketch = newSketch()
	}
	return s.sketch.MergeWith(other.sketch)
}

// join adds all but the sketch.
func (s *Numbers) join(other *Numbers) {
	s.Events += other.Events
	if other.Count == 0 {
		return
	}
	if s.Count == 0 || other.Min < s.Min {
		s.Min = other.Min
	}
	if s.Count == 0 || other.Max > s.Max {
		s.Max = other.Max
	}
	s.Count += other.Count
	s.Sum += other.Sum
}

// Percentile is the one between neighbours, as databases have it. It is within Accuracy of the true
// one if sure; that is not so between a negative and a positive number. There must be a number.
func (s *Numbers) Percentile(percent int) (value float64, sure bool) {
	at := float64(percent) / 100 * float64(s.Count-1)
	low := int64(at)
	part := at - float64(low)
	a := s.at(low)
	if part == 0 {
		return a, true
	}
	b := s.at(low + 1)
	return a + (b-a)*part, a >= 0 || b <= 0
}

// at is the number of a rank, from 0.
func (s *Numbers) at(rank int64) float64 {
	switch rank {
	case 0:
		return s.Min
	case s.Count - 1:
		return s.Max
	}
	r, negative := float64(rank), s.sketch.GetNegativeValueStore().TotalCount()
	value := 0.0
	switch zero := s.sketch.GetZeroCount(); {
	case r < negative:
		value = -s.sketch.Value(s.sketch.GetNegativeValueStore().KeyAtRank(negative - 1 - r))
	case r >= negative+zero:
		value = s.sketch.Value(s.sketch.GetPositiveValueStore().KeyAtRank(r - negative - zero))
	}
	return min(max(value, s.Min), s.Max)
}

// Append writes the numbers behind b.
func (s *Numbers) Append(b []byte) []byte {
	b = binary.AppendVarint(append(b, version), s.Events)
	b = binary.AppendVarint(b, s.Count)
	if s.Count == 0 {
		return b
	}
	b = appendFloat(appendFloat(appendFloat(b, s.Sum), s.Min), s.Max)
	s.sketch.Encode(&b, true)
	return b
}

// Merge adds what Append has written. What it cannot have written is refused, and whoever asked
// must forget s.
func (s *Numbers) Merge(b []byte) error {
	sketch, count, err := s.mergeSums(b)
	if err != nil || count == 0 {
		return err
	}
	if s.sketch == nil {
		s.sketch = newSketch()
	}
	return mergeSketch(s.sketch, sketch, count)
}

// MergeSums is Merge without what percentiles need, of which there must be no question then. It
// takes a fraction of the time.
func (s *Numbers) MergeSums(b []byte) error {
	_, _, err := s.mergeSums(b)
	return err
}

// mergeSums returns the sketch and how many numbers are in it.
func (s *Numbers) mergeSums(b []byte) (sketch []byte, count int64, err error) {
	in := read(b)
	other := Numbers{Events: in.varint(), Count: in.varint()}
	if other.Count > 0 {
		other.Sum, other.Min, other.Max = in.float(), in.float(), in.float()
	}
	if in.err == nil && (other.Count < 0 || !(other.Min <= other.Max)) {
		in.fail()
	}
	if in.err != nil {
		return nil, 0, in.err
	}
	s.join(&other)
	return in.b, other.Count, nil
}
