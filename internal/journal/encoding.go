package journal

import (
	"fmt"
	"math/bits"
	"sync"

	"github.com/klauspost/compress/s2"
)

const (
	// maxLines is the most that the lines of one message may have. What a message makes of
	// itself is held against it before memory is taken for that.
	maxLines = 8 << 20

	// packFrom is how many bytes of lines are worth compressing: a few events, with something
	// in them that repeats.
	packFrom = 1 << 10

	// packGain is how many bytes compressing must save: more than its header takes.
	packGain = 64
)

// body is what a message carries: lines, as they are or compressed.
type body struct {
	data     []byte
	encoding string  // encodingS2, or empty: data are the lines
	lent     *[]byte // where data lie; nil = in the lines themselves
}

// pack makes the body of a message. It refers to lines or to a lent buffer. S2's fast level is
// used: its better one saves 4 % more, and takes several times as long.
func (b *buffers) pack(lines []byte) body {
	if len(lines) < packFrom {
		return body{data: lines}
	}
	lent := b.lend(s2.MaxEncodedLen(len(lines)))
	data := s2.Encode(*lent, lines)
	if len(data)+packGain > len(lines) {
		b.giveBack(lent)
		return body{data: lines}
	}
	return body{data: data, encoding: encodingS2, lent: lent}
}

// unpack returns the lines that data stand for, in a lent buffer. Data that would make more than
// maxLines of themselves take no memory.
func (b *buffers) unpack(data []byte) (*[]byte, error) {
	n, err := s2.DecodedLen(data)
	if err != nil {
		return nil, err
	}
	if n > maxLines {
		return nil, fmt.Errorf("they say that they are %d bytes, more than %d", n, maxLines)
	}
	lent := b.lend(n)
	lines, err := s2.Decode(*lent, data)
	if err != nil {
		b.giveBack(lent)
		return nil, err
	}
	*lent = lines
	return lent, nil
}

// buffers lends the memory in which messages are compressed and decompressed: many megabytes a
// second at full load. Unused, it is left to the garbage collector, so that an idle journal holds
// none of it.
type buffers struct{ pool sync.Pool }

// lend returns n bytes with anything in them.
func (b *buffers) lend(n int) *[]byte {
	if lent, ok := b.pool.Get().(*[]byte); ok && cap(*lent) >= n {
		*lent = (*lent)[:n]
		return lent
	}
	fresh := make([]byte, n, roomFor(n))
	return &fresh
}

// giveBack takes a buffer that nothing refers to any more; nil is none.
func (b *buffers) giveBack(lent *[]byte) {
	if lent != nil {
		b.pool.Put(lent)
	}
}

// roomFor is the size of a new buffer for n bytes: one of few, so that the next message, a little
// larger, fits as well.
func roomFor(n int) int {
	step := max(4<<10, 1<<bits.Len(uint(n))>>3)
	return (n + step - 1) / step * step
}
