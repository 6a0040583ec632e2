package rollup

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/tidemark-obs/tidemark/internal/declared"
)

func text(s string) declared.Value { return declared.Value{Kind: declared.Text, Text: s} }

// TestFoldedValuesStayWithinTheirBounds adds, takes away, folds and puts together at random, and
// compares with counts that keep everything.
func TestFoldedValuesStayWithinTheirBounds(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		budget := 1 + r.IntN(8)
		truth := map[declared.Value]int64{}
		var whole []*Values
		var delta *Values
		whole = append(whole, &Values{}, &Values{})
		parts := []map[declared.Value]int64{{}, {}} // what each whole was given
		for range 60 {
			at := r.IntN(2)
			delta = &Values{}
			for range r.IntN(40) {
				v := text(fmt.Sprint("v", int(r.ExpFloat64()*10)))
				n := int64(1)
				switch r.IntN(12) {
				case 0:
					v = declared.Value{}
				case 1:
					v = declared.Value{Kind: declared.Long}
				}
				if r.IntN(4) == 0 && parts[at][v] > 0 {
					n = -1
				}
				delta.Add(v, n)
				truth[v] += n
				parts[at][v] += n
			}
			merge(t, whole[at], delta)
			if r.IntN(3) > 0 {
				whole[at].Settle(budget)
				if n := len(whole[at].counts); n > 2*budget+1 {
					t.Fatalf("seed %d: %d values with a budget of %d", seed, n, budget)
				}
			}
		}
		sum := &Values{}
		sum.Join(whole[0])
		merge(t, sum, whole[1])
		within(t, seed, sum, truth)
	}
}

// merge goes through bytes.
func merge(t *testing.T, into, from *Values) {
	t.Helper()
	if err := into.Merge(from.Append(nil)); err != nil {
		t.Fatal(err)
	}
}

func within(t *testing.T, seed uint64, v *Values, truth map[declared.Value]int64) {
	t.Helper()
	total := int64(0)
	for value, n := range truth {
		total += n
		if value.Kind == declared.Long {
			if v.Long != n {
				t.Fatalf("seed %d: %d long texts, want %d", seed, v.Long, n)
			}
			continue
		}
		events, missing := v.Of(value)
		if events > n || max(events, 0)+missing < n {
			t.Fatalf("seed %d: %v has %d to %d events, really %d", seed, value, events, events+missing, n)
		}
		if v.Folded == 0 && events != n {
			t.Fatalf("seed %d: nothing is folded, and %v has %d events, really %d", seed, value, events, n)
		}
	}
	if v.Total() != total {
		t.Fatalf("seed %d: %d events, want %d", seed, v.Total(), total)
	}
}

func TestTheMostFrequentAreKept(t *testing.T) {
	v := &Values{}
	for i := range 100 {
		v.Add(text(fmt.Sprint(i)), int64(i+1))
	}
	v.Add(declared.Value{}, 1)
	v.Settle(100)
	if _, missing := v.Of(text("0")); v.Folded != 0 || missing != 0 {
		t.Fatal("folded within the budget")
	}
	v.Settle(10)
	if n, missing := v.Of(text("99")); n != 100 || missing != 0 {
		t.Errorf("the most frequent has %d events and %d missing", n, missing)
	}
	if n, missing := v.Of(text("50")); n != 0 || missing != 90 {
		t.Errorf("one of the others has %d events and %d missing", n, missing)
	}
	if n, _ := v.Of(declared.Value{}); n != 1 || v.Total() != 5051 {
		t.Errorf("without a value %d, in all %d", n, v.Total())
	}
}

// TestWhatIsTakenAwayLeavesNoText is what erasure relies on.
func TestWhatIsTakenAwayLeavesNoText(t *testing.T) {
	v := &Values{}
	for i := range 30 {
		v.Add(text(fmt.Sprint("someone-", i)), 2)
	}
	v.Settle(10)
	for i := range 30 {
		v.Add(text(fmt.Sprint("someone-", i)), -2)
	}
	v.Settle(10)
	if !v.Empty() || len(v.counts) != 0 || v.Hidden() != 0 {
		t.Errorf("left is %+v", v)
	}
}

func FuzzMergeValues(f *testing.F) {
	v := &Values{Sampled: 1, Long: 2}
	for i := range 30 {
		v.Add(text(fmt.Sprint(i)), int64(i))
	}
	v.Settle(3)
	f.Add(v.Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		v := &Values{}
		if v.Merge(b) != nil {
			return
		}
		again := &Values{}
		merge(t, again, v)
		for value, n := range v.All() {
			if m, _ := again.Of(value); m != n {
				t.Errorf("%v: %d, then %d", value, n, m)
			}
		}
	})
}
