package rollup

import (
	"encoding/binary"
	"math"
	"math/bits"
	"slices"
)

// Sets as package hyperloglog documents them in Sketch.UnmarshalBinary: registers, a byte each, or
// for small sets a sorted list of keys, of which each is 25 bits of a hash and what a register needs
// of the rest. Tests compare with what the package itself makes of them. Registers are written in half
// the room, as the package does not have them; those of a byte each are of versions before.

const (
	// precision makes 32,768 registers, for a standard error of 0.57 %. Small sets take some bytes an id.
	precision       = 15
	registerCount   = 1 << precision
	sparsePrecision = 25
	formatVersion   = 2
	headerSize      = 8
)

// The forms of sets, by the fourth byte.
const (
	formBytes = iota
	formKeys
	// formHalves is half a byte for each register, what it has more than the least of all, which is the
	// third byte; as many as have 15 more or above stand behind them, with their places.
	formHalves
)

const (
	halves       = registerCount / 2
	halfMost     = 15
	aboveSize    = 3
	registerMost = 64 - precision + 1
)

func isDense(b []byte) bool { return len(b) > 3 && (b[3] == formBytes || b[3] == formHalves) }

// registers have for each group of hashes the most zeros that one begins with, and one more.
type registers [registerCount]uint8

func (r *registers) merge(b []byte) error {
	if isDense(b) {
		values, err := stored(b)
		if err != nil {
			return err
		}
		if b[3] == formHalves {
			return r.maxHalves(values, b[2], int64(binary.BigEndian.Uint32(b[4:])))
		}
		return r.max(values)
	}
	list, err := readKeys(b)
	if err != nil {
		return err
	}
	var some [64]uint32
	for n := list.next(some[:]); n > 0; n = list.next(some[:]) {
		r.keep(some[:n])
	}
	return nil
}

// keep raises registers to what keys say.
func (r *registers) keep(some []uint32) {
	for _, key := range some {
		at, value := register(key)
		r[at] = max(r[at], value)
	}
}

func (r *registers) union(other *registers) { _ = r.max(other[:]) }

// Registers are looked at eight at a time: none has the highest bit of a byte.
const (
	each = 0x0101010101010101
	high = 0x80 * each
	half = 0x0f * each
)

func (r *registers) eight(i int) uint64 { return binary.LittleEndian.Uint64(r[i:]) }

// notBelow has all bits of the bytes in which a is not below b: its highest bit is left there.
func notBelow(a, b uint64) uint64 { return ((a | high) - b) & high >> 7 * 0xff }

// max raises registers to those of another set.
func (r *registers) max(values []byte) error {
	if len(values) != registerCount {
		return errBroken
	}
	for i := 0; i < registerCount; i += 8 {
		b := binary.LittleEndian.Uint64(values[i:])
		if b&high != 0 {
			return errBroken
		}
		r.raise(i, b)
	}
	return nil
}

// raise is max for eight registers.
func (r *registers) raise(i int, b uint64) {
	a := r.eight(i)
	keep := notBelow(a, b)
	binary.LittleEndian.PutUint64(r[i:], a&keep|b&^keep)
}

// maxHalves raises registers to those of a set in formHalves.
func (r *registers) maxHalves(values []byte, least uint8, above int64) error {
	if least > registerMost || int64(len(values)) != halves+aboveSize*above {
		return errBroken
	}
	add := uint64(least) * each
	for i := 0; i < halves; i += 8 {
		v := binary.LittleEndian.Uint64(values[i:])
		r.raise(i, v&half+add)
		r.raise(halves+i, v>>4&half+add)
	}
	for list := values[halves:]; len(list) > 0; list = list[aboveSize:] {
		at, value := binary.BigEndian.Uint16(list), list[2]
		if at >= registerCount || value > registerMost {
			return errBroken
		}
		r[at] = max(r[at], value)
	}
	return nil
}

// stored is what follows the header.
func stored(b []byte) ([]byte, error) {
	if len(b) < headerSize || b[0] != formatVersion || b[1] != precision {
		return nil, errBroken
	}
	return b[headerSize:], nil
}

// bytes are the set in formHalves.
func (r *registers) bytes() []byte {
	const over = (0x80 - halfMost) * each // brings halfMost and above to the highest bit
	least := r.least()
	b := make([]byte, headerSize+halves, headerSize+halves+32*aboveSize)
	for i := 0; i < halves; i += 8 {
		low, up := r.eight(i)-least*each, r.eight(halves+i)-least*each
		if ((low+over)|(up+over))&high != 0 {
			b, low = r.above(b, i, low)
			b, up = r.above(b, halves+i, up)
		}
		binary.LittleEndian.PutUint64(b[headerSize+i:], low|up<<4)
	}
	b[0], b[1], b[2], b[3] = formatVersion, precision, uint8(least), formHalves
	binary.BigEndian.PutUint32(b[4:], uint32(len(b)-headerSize-halves)/aboveSize)
	return b
}

// above appends those of eight registers that have halfMost more than the least, or above, and
// takes what is too much from what they have more.
func (r *registers) above(b []byte, at int, more uint64) ([]byte, uint64) {
	for i := range 8 {
		if v := more >> (8 * i) & 0xff; v >= halfMost {
			b = append(binary.BigEndian.AppendUint16(b, uint16(at+i)), r[at+i])
			more -= (v - halfMost) << (8 * i)
		}
	}
	return b, more
}

func (r *registers) least() uint64 {
	least := r.eight(0)
	for i := 8; i < registerCount; i += 8 {
		v := r.eight(i)
		below := notBelow(least, v)
		least = v&below | least&^below
	}
	one := uint64(registerMost)
	for i := range 8 {
		one = min(one, least>>(8*i)&0xff)
	}
	return one
}

// estimate is that of Otmar Ertl, New cardinality estimation algorithms for HyperLogLog sketches,
// 2017, algorithm 6: it needs no correction for small or large sets.
func (r *registers) estimate() int64 {
	const m, most = registerCount, registerMost
	var counts [4][256]uint32 // by turns, since equal registers follow each other
	for i := 0; i < registerCount; i += 4 {
		counts[0][r[i]]++
		counts[1][r[i+1]]++
		counts[2][r[i+2]]++
		counts[3][r[i+3]]++
	}
	var count [256]float64
	for v := range count {
		count[v] = float64(counts[0][v] + counts[1][v] + counts[2][v] + counts[3][v])
	}
	z := m * tau(1-count[most]/m)
	for v := most - 1; v > 0; v-- {
		z = (z + count[v]) / 2
	}
	z += m * sigma(count[0]/m)
	return int64(math.Round(m * m / (2 * math.Ln2 * z)))
}

// sigma is x + x² + 2x⁴ + 4x⁸ and so on.
func sigma(x float64) float64 {
	if x == 1 {
		return math.Inf(1)
	}
	sum, times := x, 1.0
	for before := 0.0; sum != before; times *= 2 {
		x *= x
		before = sum
		sum += x * times
	}
	return sum
}

// tau is a third of 1 - x - (1-√x)²/2 - (1-⁴√x)²/4 and so on.
func tau(x float64) float64 {
	if x == 0 || x == 1 {
		return 0
	}
	sum, share := 1-x, 1.0
	for before := 0.0; sum != before; {
		x = math.Sqrt(x)
		before = sum
		share /= 2
		sum -= (1 - x) * (1 - x) * share
	}
	return sum / 3
}

// register is the place and value of a key.
func register(key uint32) (at uint32, value uint8) {
	if key&1 == 1 { // the value stands in it
		return key >> (32 - precision), uint8(key>>1&63) + sparsePrecision - precision
	}
	rest := key << (32 - sparsePrecision + precision - 1)
	return key >> (sparsePrecision - precision + 1) & (registerCount - 1), uint8(bits.LeadingZeros32(rest)) + 1
}

// keyList reads the keys of a small set, in order but for those that are not sorted in yet.
type keyList struct {
	unsorted []byte // four bytes each
	sorted   []byte // numbers to be added to the key before, of seven bits a byte, the last without the highest bit
	key      uint32
}

func readKeys(b []byte) (k keyList, err error) {
	list, err := stored(b)
	if err != nil || b[3] != formKeys {
		return k, errBroken
	}
	unsorted := 4 * int64(binary.BigEndian.Uint32(b[4:]))
	if int64(len(list)) < unsorted+listHeader {
		return k, errBroken
	}
	k.unsorted, k.sorted = list[:unsorted], list[unsorted+listHeader:]
	if n := len(k.sorted); n > 0 && k.sorted[n-1] >= 0x80 {
		return k, errBroken // so each number ends within the list
	}
	return k, nil
}

// next fills a place for two keys or more, as far as there are some.
func (k *keyList) next(into []uint32) (n int) {
	for ; n < len(into) && len(k.unsorted) > 0; n++ {
		into[n], k.unsorted = binary.BigEndian.Uint32(k.unsorted), k.unsorted[4:]
	}
	list, key, i := k.sorted, k.key, 0
	for n+2 <= len(into) && i < len(list) {
		if i+8 <= len(list) { // mostly two numbers at once, without a branch for each byte
			v := binary.LittleEndian.Uint64(list[i:])
			ends := ^v & high
			first := ends & -ends
			second := (ends ^ first) & -(ends ^ first)
			size := uint(bits.TrailingZeros64(first)) + 1
			if both := second >> (size & 63); second != 0 && first|both < 1<<32 {
				d := sevens(v&(first-1) | v>>(size&63)&(both-1)<<32)
				into[n] = key + uint32(d)
				key = into[n] + uint32(d>>32)
				into[n+1] = key
				n += 2
				i += (bits.TrailingZeros64(second) + 1) / 8
				continue
			}
		}
		for shift := 0; ; shift += 7 {
			c := uint32(list[i])
			key += c & 0x7f << shift
			if i++; c < 0x80 {
				break
			}
		}
		into[n] = key
		n++
	}
	k.sorted, k.key = list[i:], key
	return n
}

// sevens puts the lower seven bits of each byte together, in both halves of v.
func sevens(v uint64) uint64 {
	v = v&0x007f007f007f007f | v>>1&0x3f803f803f803f80
	return v&0x00003fff00003fff | v>>2&0x0fffc0000fffc000
}

// listHeader has how many keys there are, the last one, and the size of the list.
const listHeader = 12

// estimateStored is how many ids a stored set has.
func estimateStored(b []byte) (int64, error) {
	if isDense(b) {
		var r registers
		if err := r.merge(b); err != nil {
			return 0, err
		}
		return r.estimate(), nil
	}
	list, err := stored(b)
	if err != nil || len(list) < listHeader {
		return 0, errBroken
	}
	if binary.BigEndian.Uint32(b[4:]) == 0 {
		return countKeys(int(binary.BigEndian.Uint32(list))), nil
	}
	var all keys // some may be there twice
	err = all.read(b)
	return countKeys(all.distinct()), err
}

// countKeys is how many ids leave so many different keys.
func countKeys(n int) int64 {
	const all = 1 << sparsePrecision
	return int64(math.Round(-all * math.Log1p(-float64(n)/all)))
}

// keys are those of small sets, put together.
type keys []uint32

func (k *keys) read(b []byte) error {
	list, err := readKeys(b)
	if err != nil {
		return err
	}
	var some [64]uint32
	for n := list.next(some[:]); n > 0; n = list.next(some[:]) {
		*k = append(*k, some[:n]...)
	}
	return nil
}

// distinct is how many different keys there are. It does not sort them, which takes several times as long.
func (k keys) distinct() (n int) {
	width := bits.Len(uint(2 * len(k)))
	places := make([]uint32, 1<<width) // at most half are taken; 0 is free
	zero := false
	for _, key := range k {
		if key == 0 {
			zero = true
			continue
		}
		at := key * 0x9e3779b1 >> (32 - width) // by the golden ratio, as Knuth has it
		for places[at] != 0 && places[at] != key {
			at = (at + 1) & (1<<width - 1)
		}
		if places[at] == 0 {
			places[at] = key
			n++
		}
	}
	if zero {
		n++
	}
	return n
}

// bytes are the set of the keys. They need their order no more.
func (k keys) bytes() []byte {
	slices.Sort(k)
	k = slices.Compact(k)
	b := make([]byte, headerSize+listHeader, headerSize+listHeader+3*len(k))
	b[0], b[1], b[3] = formatVersion, precision, formKeys
	list := b[headerSize:]
	binary.BigEndian.PutUint32(list, uint32(len(k)))
	if len(k) > 0 {
		binary.BigEndian.PutUint32(list[4:], k[len(k)-1])
	}
	var before uint32
	for _, key := range k {
		b = binary.AppendUvarint(b, uint64(key-before))
		before = key
	}
	binary.BigEndian.PutUint32(b[headerSize+8:], uint32(len(b)-headerSize-listHeader))
	return b
}
