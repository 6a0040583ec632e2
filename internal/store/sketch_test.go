package store

import (
	"math"
	"strconv"
	"testing"
)

// setOf is a stored set of n ids from the first on.
func setOf(t *testing.T, first, n int) []byte {
	t.Helper()
	var s sketch
	for i := range n {
		s.add(hashID("user-" + strconv.Itoa(first+i)))
	}
	b, err := s.bytes()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestSetsThatAreOnlyCountedLieWithinTheBound(t *testing.T) {
	for _, c := range []struct{ sets, each, step int }{
		{1, 10, 10}, {5, 3, 3}, {90, 20, 10}, {3, 1_200, 1_000}, {90, 300, 100}, {90, 9_000, 1_000}, {10, 50_000, 50_000}, {2, 40_000, 0},
	} {
		var narrow sketch
		wide := sketch{wide: true}
		for i := range c.sets {
			b := setOf(t, i*c.step, c.each)
			for _, s := range []*sketch{&narrow, &wide} {
				if err := s.merge(b); err != nil {
					t.Fatal(err)
				}
			}
		}
		want := float64((c.sets-1)*c.step + c.each)
		for name, s := range map[string]*sketch{"narrow": &narrow, "wide": &wide} {
			if got := s.estimate(); math.Abs(got-want) > SketchBound*want {
				t.Errorf("%d sets of %d ids: %s estimates %v of %v", c.sets, c.each, name, got, want)
			}
		}
	}
}

func TestAUnionLeavesTheOtherSetAsItIs(t *testing.T) {
	small, err := readSketch(setOf(t, 0, 100))
	if err != nil {
		t.Fatal(err)
	}
	var all sketch
	if err := all.union(&small); err != nil {
		t.Fatal(err)
	}
	for i := range 1_000 {
		all.add(hashID("other-" + strconv.Itoa(i)))
	}
	if got := small.estimate(); got != 100 {
		t.Errorf("the set that was added has %v ids now, want its 100", got)
	}
}

func BenchmarkCountUsersOfNinetyDays(b *testing.B) {
	var s sketch
	for i := range 9_000 {
		s.add(hashID(strconv.Itoa(i)))
	}
	day, err := s.bytes()
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		all := sketch{wide: true}
		for range 90 {
			if err := all.merge(day); err != nil {
				b.Fatal(err)
			}
		}
		if all.estimate() == 0 {
			b.Fatal("no users")
		}
	}
}
