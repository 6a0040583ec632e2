//go:build linux

package main

import (
	"slices"
	"time"
)

// quantiles of measured times, each of them kept until they are sorted here: nothing is estimated.
type quantiles struct {
	N    int           `json:"n"`
	P50  time.Duration `json:"p50_ns"`
	P99  time.Duration `json:"p99_ns"`
	P999 time.Duration `json:"p999_ns"`
	Max  time.Duration `json:"max_ns"`
}

func quantilesOf(took []time.Duration) quantiles {
	if len(took) == 0 {
		return quantiles{}
	}
	sorted := slices.Sorted(slices.Values(took))
	at := func(q float64) time.Duration { return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))] }
	return quantiles{N: len(sorted), P50: at(0.50), P99: at(0.99), P999: at(0.999), Max: sorted[len(sorted)-1]}
}

// latencies picks the times of the requests that were due in one of the windows; none means all.
func latencies(all []answered, in ...window) []time.Duration {
	var took []time.Duration
	for _, a := range all {
		if len(in) == 0 || slices.ContainsFunc(in, func(w window) bool { return a.due >= w.from && a.due < w.to }) {
			took = append(took, a.took)
		}
	}
	return took
}

// window is a part of a load's time, counted from its start.
type window struct{ from, to time.Duration }
