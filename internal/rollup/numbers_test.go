package rollup

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestNumbersEqualARecomputation puts numbers of every size together in parts.
func TestNumbersEqualARecomputation(t *testing.T) {
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 2))
		whole, sums := &Numbers{}, &Numbers{}
		var all []float64
		events := int64(0)
		for range 1 + r.IntN(20) {
			part := &Numbers{}
			for range r.IntN(50) {
				v := math.NaN()
				switch r.IntN(6) {
				case 0:
				case 1:
					v = 0
				case 2:
					v = math.Exp(r.NormFloat64() * 100)
				case 3:
					v = float64(r.IntN(5)) * []float64{1, 1, 1, -1}[seed%4]
				default:
					v = math.Exp(r.NormFloat64()*3) * []float64{1, -1, 1, 1}[seed%4]
				}
				events++
				if !math.IsNaN(v) {
					all = append(all, v)
				}
				if err := part.Add(v, 1); err != nil {
					t.Fatal(err)
				}
			}
			if r.IntN(2) == 0 {
				if err := whole.Join(part); err != nil {
					t.Fatal(err)
				}
			} else if err := whole.Merge(part.Append(nil)); err != nil {
				t.Fatal(err)
			}
			if err := sums.MergeSums(part.Append(nil)); err != nil {
				t.Fatal(err)
			}
		}
		compareNumbers(t, whole, all, events)
		if got, want := fmt.Sprint(sums.Events, sums.Count, sums.Min, sums.Max), fmt.Sprint(whole.Events, whole.Count, whole.Min, whole.Max); got != want ||
			math.Abs(sums.Sum-whole.Sum) > 1e-9*math.Abs(whole.Sum) {
			t.Fatalf("without percentiles %s, sum %v; want %s, sum %v", got, sums.Sum, want, whole.Sum)
		}
	}
}

func compareNumbers(t *testing.T, got *Numbers, all []float64, events int64) {
	t.Helper()
	slices.Sort(all)
	sum := 0.0
	for _, v := range all {
		sum += v
	}
	if got.Events != events || got.Count != int64(len(all)) {
		t.Fatalf("%d events and %d numbers, want %d and %d", got.Events, got.Count, events, len(all))
	}
	if len(all) == 0 {
		return
	}
	if got.Min != all[0] || got.Max != all[len(all)-1] || math.Abs(got.Sum-sum) > 1e-9*max(math.Abs(sum), -all[0], all[len(all)-1]) {
		t.Fatalf("%v to %v, sum %v; want %v to %v, sum %v", got.Min, got.Max, got.Sum, all[0], all[len(all)-1], sum)
	}
	for percent := 1; percent < 100; percent++ {
		at := float64(percent) / 100 * float64(len(all)-1)
		low := int(at)
		a, b := all[low], all[min(low+1, len(all)-1)]
		want := a + (b-a)*(at-float64(low))
		value, sure := got.Percentile(percent)
		if !sure {
			if a >= 0 || b <= 0 {
				t.Fatalf("p%d lies between %v and %v, and is not sure", percent, a, b)
			}
			continue
		}
		if math.Abs(value-want) > (Accuracy+1e-9)*math.Abs(want) && math.Abs(want) > 1e-300 {
			t.Fatalf("p%d of %d numbers is %v, want %v", percent, len(all), value, want)
		}
	}
}

func TestExtremesAreNumbersToo(t *testing.T) {
	s := &Numbers{}
	for _, v := range []float64{math.MaxFloat64, -math.MaxFloat64, math.SmallestNonzeroFloat64, 0, 1} {
		if err := s.Add(v, 1); err != nil {
			t.Fatal(err)
		}
	}
	again := &Numbers{}
	if err := again.Merge(s.Append(nil)); err != nil || again.Max != math.MaxFloat64 || again.Min != -math.MaxFloat64 {
		t.Errorf("%+v, %v", again, err)
	}
}

func FuzzMergeNumbers(f *testing.F) {
	s := &Numbers{}
	for i := range 50 {
		_ = s.Add(float64(i*i)-100, 1)
	}
	f.Add(s.Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := &Numbers{} // must not panic, or take more memory than it was given bytes
		if s.Merge(b) == nil && s.Count > 0 {
			s.Percentile(50)
		}
	})
}

func TestParts(t *testing.T) {
	b := AppendPart(AppendPart(nil, "é", []byte("one")), "", nil)
	var got []string
	if err := Parts(b, func(name string, data []byte) error { got = append(got, name+"="+string(data)); return nil }); err != nil || !slices.Equal(got, []string{"é=one", "="}) {
		t.Errorf("%q, %v", got, err)
	}
	for i := 1; i < len(b)-1; i++ {
		if err := Parts(b[:i], func(string, []byte) error { return nil }); err == nil && i != 7 {
			t.Errorf("%d of %d bytes are whole parts", i, len(b))
		}
	}
}
