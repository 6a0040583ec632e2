package rollup

import (
	"cmp"
	"encoding/binary"
	"iter"
	"slices"

	"github.com/tidemark-obs/tidemark/internal/declared"
)

// Values is how many events there are of each value of a dimension. The zero Values has none.
//
// Values may be negative in what is to be taken away, and are never once it is settled.
type Values struct {
	Sampled int64 // events with a sample rate below 1, of all
	Long    int64 // events whose text is too long to be kept
	Folded  int64 // events of values that were put away

	counts map[declared.Value]count
	// slack is the most events that any value can have among the folded.
	slack int64
}

// count is a value's events. What it has among the folded is at most slack less known: a value that
// has been counted since before anything was put away has none there.
type count struct{ events, known int64 }

// Add counts n more events of a value.
func (v *Values) Add(value declared.Value, n int64) { v.add(value, count{events: n}) }

func (v *Values) add(value declared.Value, n count) {
	if value.Kind == declared.Long {
		v.Long += n.events
		return
	}
	if v.counts == nil {
		v.counts = map[declared.Value]count{}
	}
	c := v.counts[value]
	v.counts[value] = count{c.events + n.events, c.known + n.known}
}

// Total is how many events there are.
func (v *Values) Total() int64 {
	total := v.Long + v.Folded
	for _, c := range v.counts {
		total += c.events
	}
	return total
}

// Empty reports whether there is nothing to keep.
func (v *Values) Empty() bool {
	if v.Sampled != 0 || v.Long != 0 || v.Folded != 0 {
		return false
	}
	for _, c := range v.counts {
		if c.events != 0 {
			return false
		}
	}
	return true
}

// All are the values that are counted apart, in no order.
func (v *Values) All() iter.Seq2[declared.Value, int64] {
	return func(yield func(declared.Value, int64) bool) {
		for value, c := range v.counts {
			if !yield(value, c.events) {
				return
			}
		}
	}
}

// Of is how many events of a value are counted, and how many there may be beyond, among the folded.
func (v *Values) Of(value declared.Value) (events, missing int64) {
	c := v.counts[value]
	return c.events, min(v.slack-c.known, v.Folded)
}

// Hidden is how many events a value that is not counted at all may have among the folded.
func (v *Values) Hidden() int64 { return min(v.slack, v.Folded) }

// Join adds other, which stays as it is.
func (v *Values) Join(other *Values) {
	v.Sampled += other.Sampled
	v.Long += other.Long
	v.Folded += other.Folded
	v.slack += other.slack
	for value, c := range other.counts {
		v.add(value, c)
	}
}

// Settle makes the counts of a whole: what was taken from a value beyond its count is taken from
// the folded, among which it was. Beyond twice the budget of values all but a budget of the most
// frequent are put away.
func (v *Values) Settle(budget int) {
	for value, c := range v.counts {
		if c.events < 0 {
			v.Folded += c.events
		}
		if c.events <= 0 {
			delete(v.counts, value)
		}
	}
	if v.Folded <= 0 {
		v.Folded, v.slack = 0, 0
		for value, c := range v.counts {
			v.counts[value] = count{events: c.events}
		}
	}
	if len(v.counts) > 2*budget {
		v.fold(budget)
	}
}

// fold puts all but the most frequent away. Events without a value are no value.
func (v *Values) fold(budget int) {
	type entry struct {
		value declared.Value
		count
	}
	entries := make([]entry, 0, len(v.counts))
	for value, c := range v.counts {
		if value.Kind != declared.None {
			entries = append(entries, entry{value, c})
		}
	}
	if len(entries) <= budget {
		return
	}
	slices.SortFunc(entries, func(a, b entry) int {
		return cmp.Or(cmp.Compare(b.events, a.events), cmp.Compare(a.value.Text, b.value.Text), cmp.Compare(a.value.Kind, b.value.Kind))
	})
	was := v.slack
	for _, e := range entries[budget:] {
		v.Folded += e.events
		v.slack = max(v.slack, e.events+was-e.known)
		delete(v.counts, e.value)
	}
	for value, c := range v.counts {
		v.counts[value] = count{c.events, c.known + v.slack - was}
	}
}

// Append writes the counts behind b.
func (v *Values) Append(b []byte) []byte {
	b = append(b, version)
	for _, n := range [...]int64{v.Sampled, v.Long, v.Folded, v.slack} {
		b = binary.AppendVarint(b, n)
	}
	for value, c := range v.counts {
		if c.events == 0 {
			continue
		}
		b = appendText(append(b, byte(value.Kind)), value.Text)
		b = binary.AppendVarint(binary.AppendVarint(b, c.events), c.known)
	}
	return b
}

// Merge adds what Append has written.
func (v *Values) Merge(b []byte) error {
	in := read(b)
	var n [4]int64
	for i := range n {
		n[i] = in.varint()
	}
	v.Sampled += n[0]
	v.Long += n[1]
	v.Folded += n[2]
	v.slack += n[3]
	for len(in.b) > 0 {
		kind, text := declared.Kind(in.byte()), in.text()
		c := count{in.varint(), in.varint()}
		if in.err == nil {
			v.addText(kind, text, c)
		}
	}
	return in.err
}

// addText is add without a new string for a value that is there already.
func (v *Values) addText(kind declared.Kind, text []byte, n count) {
	if c, ok := v.counts[declared.Value{Kind: kind, Text: string(text)}]; ok {
		n.events += c.events
		n.known += c.known
		v.counts[declared.Value{Kind: kind, Text: string(text)}] = n
		return
	}
	v.add(declared.Value{Kind: kind, Text: string(text)}, n)
}
