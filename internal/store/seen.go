package store

import (
	"hash/maphash"
	"time"
)

// seen is a filter over the event ids of DuckDB: it never forgets an id it was given and holds on
// to, and very rarely knows one it was not given (about one in 2^26). So an id it does not know is
// new, and only the others need a look into the table.
//
// It is a row of segments, each an open-addressed table of 32-bit tags in buckets of eight, one
// cache line and 5 to 8 bytes an id. When it holds more than its bound the oldest segment goes,
// and until that one's ids have left the window the table is asked about every id.
//
// It belongs to the connection that writes and has no lock of its own.
type seen struct {
	seed     maphash.Seed
	bound    int
	segments []*segment // oldest first
	count    int
	// dropped is the newest received_at among the ids that the filter does not hold; zero when
	// it holds all there are.
	dropped time.Time
}

type segment struct {
	shift  uint // a hash's bucket is hash >> shift
	tags   [][8]uint32
	count  int
	newest time.Time
}

const (
	firstSegment   = 1 << 13 // buckets: 256 KiB
	largestSegment = 1 << 19 // buckets: 16 MiB
)

func newSeen(bound int) *seen { return &seen{seed: maphash.MakeSeed(), bound: bound} }

// add remembers an id and reports whether it may have been there already.
func (f *seen) add(id string, received time.Time) bool {
	h := maphash.String(f.seed, id)
	for i := len(f.segments) - 1; i >= 0; i-- {
		if f.segments[i].has(h) {
			return true
		}
	}
	f.keep(h, received)
	return false
}

// renew tells that an id which may have been there before is stored now: the segment that holds it
// must not be taken for older than its newest row.
func (f *seen) renew(id string, received time.Time) {
	h := maphash.String(f.seed, id)
	for _, s := range f.segments {
		if s.has(h) && received.After(s.newest) {
			s.newest = received
		}
	}
}

// addNew remembers an id that is known to be new, without a look at every segment.
func (f *seen) addNew(id string, received time.Time) { f.keep(maphash.String(f.seed, id), received) }

func (f *seen) keep(h uint64, received time.Time) {
	last := len(f.segments) - 1
	if last < 0 || f.segments[last].full() {
		f.grow()
		last = len(f.segments) - 1
	}
	s := f.segments[last]
	s.put(h)
	if received.After(s.newest) {
		s.newest = received
	}
	f.count++
}

// grow opens a segment twice as large as the last, and lets the oldest go while there are more
// ids than the bound.
func (f *seen) grow() {
	buckets := firstSegment
	if n := len(f.segments); n > 0 {
		buckets = min(2*len(f.segments[n-1].tags), largestSegment)
	}
	for f.count > f.bound && len(f.segments) > 0 {
		old := f.segments[0]
		f.segments = f.segments[1:]
		f.count -= old.count
		if old.newest.After(f.dropped) {
			f.dropped = old.newest
		}
	}
	shift := uint(64)
	for n := buckets; n > 1; n >>= 1 {
		shift--
	}
	f.segments = append(f.segments, &segment{shift: shift, tags: make([][8]uint32, buckets)})
}

// complete reports whether an id that the filter does not know is new: whether it holds all that
// were received since.
func (f *seen) complete(since time.Time) bool { return f.dropped.Before(since) }

func (s *segment) full() bool { return s.count >= len(s.tags)*8*4/5 }

// tagOf is what is kept of a hash; 0 marks a free place.
func tagOf(h uint64) uint32 { return max(uint32(h), 1) }

func (s *segment) has(h uint64) bool {
	tag := tagOf(h)
	for b := h >> s.shift; ; b = (b + 1) % uint64(len(s.tags)) {
		for _, t := range s.tags[b] {
			if t == tag {
				return true
			}
			if t == 0 {
				return false
			}
		}
	}
}

func (s *segment) put(h uint64) {
	for b := h >> s.shift; ; b = (b + 1) % uint64(len(s.tags)) {
		for i, t := range s.tags[b] {
			if t == 0 {
				s.tags[b][i] = tagOf(h)
				s.count++
				return
			}
		}
	}
}
