//go:build linux

package main

import (
	"io"
	"testing"
)

func TestEachTargetOfTheClientIsMissedAlone(t *testing.T) {
	for missed, change := range map[string]func(*tracking){
		"":                        func(*tracking) {},
		"Track on one goroutine":  func(w *tracking) { w.Track.Nanoseconds++ },
		"   allocations":          func(w *tracking) { w.Track.Allocations++ },
		"Track on all processors": func(w *tracking) { w.PerSecond-- },
		"middleware over bare":    func(w *tracking) { w.Whole.Nanoseconds++ },
		"   alloc":                func(w *tracking) { w.Bare.Allocations-- },
	} {
		w := &tracking{Track: cost{1000, 3}, PerSecond: 2_000_000, Bare: cost{2000, 20}, Whole: cost{5000, 30}}
		change(w)
		wantMissed(t, w.judge(), missed)
	}
	if all := new(tracking).judge(); len(all) > 0 {
		t.Errorf("verdicts without measurements: %v", all)
	}
}

// A call that allocates is counted with what it allocates.
func TestCostCountsAllocations(t *testing.T) {
	var kept []*[64]byte
	c := costOf(1000, func() { kept = append(kept[:0], new([64]byte)) })
	if c.Nanoseconds <= 0 || c.Allocations < 1 || c.Allocations > 2 {
		t.Errorf("%+v", c)
	}
	if got := medianCost([]cost{{1, 9}, {3, 7}, {2, 8}}); got != (cost{2, 8}) {
		t.Errorf("median %+v", got)
	}
}

func TestClientIsMeasured(t *testing.T) {
	if testing.Short() {
		t.Skip("measuring takes many events, which a -short run has not")
	}
	b := &bench{progress: io.Discard, plan: plan{Rounds: 1}}
	var w tracking
	if err := b.track(t.Context(), &w); err != nil {
		t.Fatal(err)
	}
	if w.Track.Nanoseconds <= 0 || w.PerSecond <= 0 || w.Buffered < 50_000 || w.Whole.Nanoseconds <= 0 || w.Whole.Allocations <= w.Bare.Allocations {
		t.Errorf("%+v", w)
	}
}
