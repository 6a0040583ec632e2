package store

import (
	"github.com/axiomhq/hyperloglog"
	"github.com/cespare/xxhash/v2"
)

// SketchBound is how far a number of users or sessions from roll-ups may be off, as a share of it:
// 2.6 standard errors, which hold it in 99 of 100 cases.
const SketchBound = 0.015

// sketchPrecision makes 32,768 registers, for a standard error of 0.57 %. Small sets take some
// bytes an id.
const sketchPrecision = 15

// wideFrom is the size in bytes, of all that was put together, from which on a set that is only
// counted gives up its small form: some thousand ids. Adding to the small form of a large set costs a
// hundred times as much.
const wideFrom = 12 << 10

// sketch estimates how many different ids there are, of which some may be lost. The zero sketch is an
// empty set.
type sketch struct {
	hll  *hyperloglog.Sketch
	lost int64
	size int  // of what was merged, in bytes
	wide bool // the set is counted and not stored, so its form need not be small
	full bool // it has given up its small form
}

func (s *sketch) init() {
	if s.hll == nil {
		s.hll, _ = hyperloglog.NewSketch(sketchPrecision, true) // fails for other precisions only
	}
}

// hashID is the hash of an id in sketches; stored ones depend on it.
func hashID(id string) uint64 { return xxhash.Sum64String(id) }

// add puts the hash of an id into the set.
func (s *sketch) add(hash uint64) {
	s.init()
	s.hll.InsertHash(hash)
}

// readSketch reads a set as bytes wrote it.
func readSketch(b []byte) (sketch, error) {
	if len(b) == 0 {
		return sketch{}, nil
	}
	s := sketch{hll: new(hyperloglog.Sketch), size: len(b)}
	return s, s.hll.UnmarshalBinary(b)
}

// merge adds all ids of a sketch as bytes wrote it.
func (s *sketch) merge(b []byte) error {
	other, err := readSketch(b)
	if err != nil {
		return err
	}
	return s.absorb(&other)
}

// absorb is union with a sketch that nobody needs afterwards.
func (s *sketch) absorb(other *sketch) error {
	if s.hll != nil || other.hll == nil {
		return s.union(other)
	}
	s.lost += other.lost
	s.hll, s.size = other.hll, s.size+other.size
	return nil
}

// union adds all ids of another sketch, which stays as it is.
func (s *sketch) union(other *sketch) error {
	s.lost += other.lost
	if other.hll == nil {
		return nil
	}
	s.size += other.size
	switch {
	case s.hll == nil:
		s.hll = other.hll.Clone()
		return nil
	case s.wide && !s.full && s.size >= wideFrom:
		full, err := hyperloglog.NewSketch(sketchPrecision, false)
		if err != nil {
			return err
		}
		if err := full.Merge(s.hll); err != nil {
			return err
		}
		s.hll, s.full = full, true
	}
	return s.hll.Merge(other.hll)
}

func (s *sketch) bytes() ([]byte, error) {
	if s.hll == nil {
		return []byte{}, nil
	}
	s.hll.Estimate() // puts it into its smallest form, which is read fastest
	return s.hll.MarshalBinary()
}

func (s *sketch) estimate() float64 {
	if s.hll == nil {
		return 0
	}
	return float64(s.hll.Estimate())
}
