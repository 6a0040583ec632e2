package rollup

import (
	"math"

	"github.com/DataDog/sketches-go/ddsketch"
	"github.com/DataDog/sketches-go/ddsketch/encoding"
	"github.com/DataDog/sketches-go/ddsketch/store"
)

// mostBins is more than there are bins of one sign within Accuracy.
const mostBins = 1 << 16

// mergeSketch adds an encoded sketch of count numbers. The library's own decoder trusts what it
// reads: a damaged byte makes it ask for any amount of memory, or panic.
func mergeSketch(to *ddsketch.DDSketch, b []byte, count int64) error {
	left := float64(count)
	for len(b) > 0 {
		flag, err := encoding.DecodeFlag(&b)
		if err != nil {
			return errBroken
		}
		n := 0.0
		switch {
		case flag == encoding.FlagZeroCountVarFloat:
			if n, err = encoding.DecodeVarfloat64(&b); err == nil && isCount(n) {
				err = to.AddWithCount(0, n)
			}
		case flag.Type() == encoding.FlagTypePositiveStore:
			n, err = mergeBins(to.GetPositiveValueStore(), &b, flag.SubFlag())
		case flag.Type() == encoding.FlagTypeNegativeStore:
			n, err = mergeBins(to.GetNegativeValueStore(), &b, flag.SubFlag())
		default:
			err = errBroken
		}
		if left -= n; err != nil || !isCount(n) {
			return errBroken
		}
	}
	if left != 0 {
		return errBroken
	}
	return nil
}

// mergeBins returns how many numbers the bins have.
func mergeBins(to store.Store, b *[]byte, how encoding.SubFlag) (sum float64, err error) {
	bins, err := encoding.DecodeUvarint64(b)
	if err != nil || bins > uint64(len(*b)) { // each takes a byte or more
		return 0, errBroken
	}
	index, step := int64(0), int64(0)
	if how == encoding.BinEncodingContiguousCounts {
		if index, err = encoding.DecodeVarint64(b); err == nil {
			step, err = encoding.DecodeVarint64(b)
		}
		index -= step
	}
	for ; bins > 0 && err == nil; bins-- {
		count := 1.0
		if how != encoding.BinEncodingContiguousCounts {
			step, err = encoding.DecodeVarint64(b)
		}
		if how != encoding.BinEncodingIndexDeltas && err == nil {
			count, err = encoding.DecodeVarfloat64(b)
		}
		index += step
		switch {
		case err != nil || index < -mostBins || index > mostBins || count != 0 && !isCount(count):
			return 0, errBroken
		case count == 1:
			to.Add(int(index))
		case count != 0: // those between others may be empty
			to.AddWithCount(int(index), count)
		}
		sum += count
	}
	return sum, err
}

// isCount reports whether n is how many there are of something.
func isCount(n float64) bool { return n > 0 && n <= 1<<53 && n == math.Trunc(n) }
