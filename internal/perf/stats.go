package perf

import (
	"math"

	"github.com/DataDog/sketches-go/ddsketch"
)

// OperationStats is one operation over the window, times in milliseconds. The pointers are nil
// (null) when nothing was recorded.
type OperationStats struct {
	Count      uint64   `json:"count" doc:"Operations in the window"`
	AvgMS      *float64 `json:"avg_ms" doc:"Mean, in milliseconds; null when there were none"`
	MinMS      *float64 `json:"min_ms" doc:"Shortest, in milliseconds"`
	MaxMS      *float64 `json:"max_ms" doc:"Longest, in milliseconds"`
	P50MS      *float64 `json:"p50_ms" doc:"Median, in milliseconds, within 1 %"`
	P90MS      *float64 `json:"p90_ms" doc:"90th percentile, in milliseconds, within 1 %"`
	P95MS      *float64 `json:"p95_ms" doc:"95th percentile, in milliseconds, within 1 %"`
	P99MS      *float64 `json:"p99_ms" doc:"99th percentile, in milliseconds, within 1 %"`
	ErrorCount uint64   `json:"error_count" doc:"How many of them failed"`
}

// summary adds up what needs no sketch. Times are in milliseconds.
type summary struct {
	count, errors uint64
	sum, min, max float64
}

func (s *summary) record(ms float64, failed bool) {
	if s.count == 0 || ms < s.min {
		s.min = ms
	}
	s.max = max(s.max, ms)
	s.sum += ms
	s.count++
	if failed {
		s.errors++
	}
}

func (s *summary) merge(o summary) {
	if o.count == 0 {
		return
	}
	if s.count == 0 || o.min < s.min {
		s.min = o.min
	}
	s.max = max(s.max, o.max)
	s.sum += o.sum
	s.count += o.count
	s.errors += o.errors
}

// stats reads the percentiles from sketch, which holds the same values as s.
func (s *summary) stats(sketch *ddsketch.DDSketch) (OperationStats, error) {
	stats := OperationStats{Count: s.count, ErrorCount: s.errors}
	if s.count == 0 {
		return stats, nil
	}
	quantiles, err := sketch.GetValuesAtQuantiles([]float64{0.5, 0.9, 0.95, 0.99})
	if err != nil {
		return OperationStats{}, err
	}
	stats.AvgMS = rounded(s.sum / float64(s.count))
	stats.MinMS, stats.MaxMS = rounded(s.min), rounded(s.max)
	for i, to := range []**float64{&stats.P50MS, &stats.P90MS, &stats.P95MS, &stats.P99MS} {
		// A sketch's value is the middle of a bin: keep it from lying outside of what was seen.
		*to = rounded(min(max(quantiles[i], s.min), s.max))
	}
	return stats, nil
}

// rounded cuts the digits below a nanosecond, which no clock has seen.
func rounded(ms float64) *float64 {
	ms = math.Round(ms*1e6) / 1e6
	return &ms
}
