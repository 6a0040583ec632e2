package rollup

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"github.com/axiomhq/hyperloglog"
)

// setOf is a stored set of n ids from the first on.
func setOf(t *testing.T, first, n int) []byte {
	t.Helper()
	var s IDs
	for i := range n {
		s.Add(HashID("user-" + strconv.Itoa(first+i)))
	}
	b, _, err := s.Bytes(ListMost)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func countOf(t testing.TB, s *IDs) int64 {
	t.Helper()
	n, err := s.Count()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestSetsThatAreOnlyCountedLieWithinTheBound(t *testing.T) {
	for _, c := range []struct{ sets, each, step int }{
		{1, 10, 10}, {5, 3, 3}, {90, 20, 10}, {3, 1_200, 1_000}, {90, 300, 100}, {90, 9_000, 1_000}, {10, 50_000, 50_000}, {2, 40_000, 0},
	} {
		var narrow IDs
		wide := IDs{Counted: true}
		for i := range c.sets {
			b := setOf(t, i*c.step, c.each)
			for _, s := range []*IDs{&narrow, &wide} {
				if err := s.Merge(b); err != nil {
					t.Fatal(err)
				}
			}
		}
		want := float64((c.sets-1)*c.step + c.each)
		for name, s := range map[string]*IDs{"narrow": &narrow, "wide": &wide} {
			if got := float64(countOf(t, s)); math.Abs(got-want) > IDsBound*want {
				t.Errorf("%d sets of %d ids: %s estimates %v of %v", c.sets, c.each, name, got, want)
			}
		}
	}
}

func TestAUnionLeavesTheOtherSetAsItIs(t *testing.T) {
	for _, n := range []int{100, 40_000} {
		other := IDs{Counted: true}
		for range 2 {
			if err := other.Merge(setOf(t, 0, n)); err != nil {
				t.Fatal(err)
			}
		}
		other.Add(HashID("one more"))
		before := countOf(t, &other)
		all := IDs{Counted: true}
		if err := all.Union(&other); err != nil {
			t.Fatal(err)
		}
		if got := countOf(t, &all); got != before {
			t.Errorf("the union with a set of %d has %d", before, got)
		}
		if err := all.Merge(setOf(t, 1_000_000, 50_000)); err != nil {
			t.Fatal(err)
		}
		if got := countOf(t, &other); got != before {
			t.Errorf("the set that was added has %v ids now, want its %d", got, before)
		}
	}
}

// TestSetsAreWhatTheLibraryMakesOfThem puts sets together here and there.
func TestSetsAreWhatTheLibraryMakesOfThem(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	rounds := 60
	if testing.Short() {
		rounds = 10
	}
	for range rounds {
		want, err := hyperloglog.NewSketch(precision, true)
		if err != nil {
			t.Fatal(err)
		}
		var narrow IDs
		wide := IDs{Counted: true}
		for range 1 + r.IntN(6) {
			part, err := hyperloglog.NewSketch(precision, true)
			if err != nil {
				t.Fatal(err)
			}
			for range int(math.Pow(60_000, r.Float64())) {
				part.InsertHash(r.Uint64() >> (r.IntN(50) / 49 * 40)) // some begin with many zeros
			}
			if r.IntN(2) == 0 {
				part.Estimate()
			}
			b, err := part.MarshalBinary()
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(want.Merge(part), narrow.Merge(b), wide.Merge(b)); err != nil {
				t.Fatal(err)
			}
		}
		b, n, err := narrow.Bytes([]int{ListMost, FastMost}[r.IntN(2)])
		if err != nil {
			t.Fatal(err)
		}
		wantDense := dense(t, want)
		if !isDense(b) {
			got := new(hyperloglog.Sketch)
			if err := got.UnmarshalBinary(b); err != nil {
				t.Fatalf("what is written of %d ids cannot be read: %v", n, err)
			}
			if !bytes.Equal(wantDense, dense(t, got)) {
				t.Errorf("a set of %d is another one", n)
			}
		}
		var registers registers
		if err := registers.merge(b); err != nil || !bytes.Equal(registers[:], wantDense[headerSize:]) {
			t.Errorf("a set of %d has other registers, %v", n, err)
		}
		for name, n := range map[string]int64{"narrow": n, "wide": countOf(t, &wide), "registers": registers.estimate()} {
			if want := float64(want.Estimate()); math.Abs(float64(n)-want) > 0.01*want+5 {
				t.Errorf("%s counts %d, the library %v", name, n, want)
			}
		}
	}
}

// dense are the registers that the library has for a set.
func dense(t *testing.T, set *hyperloglog.Sketch) []byte {
	t.Helper()
	all, err := hyperloglog.NewSketch(precision, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := all.Merge(set); err != nil {
		t.Fatal(err)
	}
	b, err := all.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestRegistersInHalfTheRoom puts sets in both forms into others: few and many ids, and values far
// above the least.
func TestRegistersInHalfTheRoom(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		least, spread := r.IntN(40), 1+r.IntN(24)
		var set, one, other registers
		for i := range set {
			set[i] = uint8(min(least+int(r.ExpFloat64()*float64(spread)/4), registerMost))
			one[i] = uint8(r.IntN(registerMost + 1))
		}
		other = one
		byBytes := append([]byte{formatVersion, precision, 0, formBytes, 0, 0, registerCount >> 8, 0}, set[:]...)
		if err := errors.Join(one.merge(set.bytes()), other.merge(byBytes)); err != nil {
			t.Fatal(err)
		}
		if one != other {
			t.Fatalf("from %d on, spread over %d: the two forms differ", least, spread)
		}
	}
}

func TestBrokenSetsAreErrors(t *testing.T) {
	small, large := setOf(t, 0, 100), setOf(t, 0, 40_000)
	var high registers
	high[7] = 16
	above := high.bytes()
	for _, b := range [][]byte{
		small[:5], small[:10], small[:len(small)-1], large[:3], large[:100], append(slices.Clone(large), 0),
		append([]byte{9}, small[1:]...), append([]byte{formatVersion, 14}, large[2:]...), append([]byte{formatVersion, precision, 0, 7}, small[4:]...),
		append([]byte{formatVersion, precision, 0, formBytes, 0, 0, registerCount >> 8, 0}, bytes.Repeat([]byte{200}, registerCount)...),
		append([]byte{formatVersion, precision, registerMost + 1}, large[3:]...), above[:len(above)-1], above[:len(above)-aboveSize],
		append(slices.Clone(above[:len(above)-aboveSize]), 0x80, 7, 16), append(slices.Clone(above[:len(above)-1]), registerMost+1),
	} {
		s := IDs{Counted: true}
		if err := errors.Join(s.Merge(b), s.Merge(large)); !errors.Is(err, errBroken) {
			t.Errorf("%d bytes: %v", len(b), err)
		}
	}
}

func BenchmarkCountUsersOfNinetyDays(b *testing.B) {
	var s IDs
	for i := range 9_000 {
		s.Add(HashID(strconv.Itoa(i)))
	}
	day, _, err := s.Bytes(ListMost)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		all := IDs{Counted: true}
		for range 90 {
			if err := all.Merge(day); err != nil {
				b.Fatal(err)
			}
		}
		if countOf(b, &all) == 0 {
			b.Fatal("no users")
		}
	}
}

func TestDistinctKeys(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 7))
	for range 2_000 {
		list := make(keys, r.IntN(300))
		most := r.Uint32N(400)
		for i := range list {
			list[i] = r.Uint32N(most + 1)
		}
		got := list.distinct()
		slices.Sort(list)
		if want := len(slices.Compact(slices.Clone(list))); got != want {
			t.Fatalf("%d different keys, want %d of %v", got, want, list)
		}
	}
}
