package store

import (
	"bytes"
	"slices"

	"github.com/axiomhq/hyperloglog"
	"github.com/cespare/xxhash/v2"
)

// SketchBound is how far a number of users or sessions from roll-ups may be off, as a share of it:
// 2.6 standard errors, which hold it in 99 of 100 cases.
const SketchBound = 0.015

const (
	// wideFrom is the size in bytes, of all that was put together, from which on a set that is only
	// counted gives up its small form: some thousand ids.
	wideFrom = 12 << 10
	// keysMost is the size up to which a stored set is a list of keys, which is more exact than registers.
	keysMost = registerCount
	// foldFrom is the size from which on what was put together is made one, so that a set takes
	// little memory however many are added to it.
	foldFrom = 2 * registerCount
)

// sketch estimates how many different ids there are, of which some may be lost. Single ids are added
// by the library, stored sets are put together here: it does so several times slower. The zero
// sketch is an empty set.
type sketch struct {
	lost  int64
	ids   *hyperloglog.Sketch // those that were added one by one
	parts [][]byte            // stored sets
	size  int                 // of them, in bytes
	dense *registers          // all stored sets, where they are large
	wide  bool                // the set is counted and not stored, so its form need not be small
}

// hashID is the hash of an id in sketches; stored ones depend on it.
func hashID(id string) uint64 { return xxhash.Sum64String(id) }

// add puts the hash of an id into the set.
func (s *sketch) add(hash uint64) {
	if s.ids == nil {
		s.ids, _ = hyperloglog.NewSketch(precision, true) // fails for other precisions only
	}
	s.ids.InsertHash(hash)
}

// merge adds all ids of a set as bytes wrote it, which nobody may change afterwards.
func (s *sketch) merge(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	if s.dense != nil {
		return s.dense.merge(b)
	}
	s.parts, s.size = append(s.parts, b), s.size+len(b)
	if limit := s.limit(); len(s.parts) > 1 && s.size >= limit {
		return s.fold(keysMost)
	}
	return nil
}

// mergeCopy is merge for a set that is about to change.
func (s *sketch) mergeCopy(b []byte) error {
	if s.dense == nil {
		b = bytes.Clone(b)
	}
	return s.merge(b)
}

func (s *sketch) limit() int {
	if s.wide {
		return wideFrom
	}
	return foldFrom
}

// union adds all ids of another sketch, which stays as it is.
func (s *sketch) union(other *sketch) error {
	s.lost += other.lost
	if other.ids != nil {
		b, err := written(other.ids)
		if err != nil {
			return err
		}
		if err := s.merge(b); err != nil {
			return err
		}
	}
	for _, b := range other.parts {
		if err := s.merge(b); err != nil {
			return err
		}
	}
	if other.dense == nil {
		return nil
	}
	if err := s.spread(); err != nil {
		return err
	}
	s.dense.union(other.dense)
	return nil
}

// written is what the library makes of its sketch, in its smallest form.
func written(ids *hyperloglog.Sketch) ([]byte, error) {
	ids.Estimate() // puts it into that form
	return ids.MarshalBinary()
}

// fold makes one of all parts, in the form that is needed: a list of keys has at most some bytes.
func (s *sketch) fold(most int) error {
	large := s.wide && s.size >= wideFrom
	if large || slices.ContainsFunc(s.parts, isDense) {
		return s.spread()
	}
	var all keys
	for _, b := range s.parts {
		if err := all.read(b); err != nil {
			return err
		}
	}
	b := all.bytes()
	if len(b) > most {
		return s.spread()
	}
	s.parts, s.size = append(s.parts[:0], b), len(b)
	return nil
}

// spread puts all parts into registers.
func (s *sketch) spread() error {
	if s.dense == nil {
		s.dense = &registers{}
	}
	for _, b := range s.parts {
		if err := s.dense.merge(b); err != nil {
			return err
		}
	}
	s.parts, s.size = nil, 0
	return nil
}

// gather leaves nothing outside of the parts or the registers.
func (s *sketch) gather() error {
	if s.ids == nil {
		return nil
	}
	b, err := written(s.ids)
	if err == nil {
		err = s.merge(b)
	}
	s.ids = nil
	return err
}

// bytes are the set to be stored, empty where it is, and how many ids it counts. A list of keys has at
// most some bytes.
func (s *sketch) bytes(most int) (b []byte, n int64, err error) {
	err = s.gather()
	switch {
	case err != nil:
	case len(s.parts) > 1:
		err = s.fold(most)
	case s.size > most:
		err = s.spread()
	}
	if err != nil {
		return nil, 0, err
	}
	switch {
	case s.dense != nil:
		b = s.dense.bytes()
	case len(s.parts) > 0:
		b = s.parts[0]
	default:
		return []byte{}, 0, nil
	}
	n, err = s.estimate()
	return b, n, err
}

// estimate is how many different ids there are.
func (s *sketch) estimate() (int64, error) {
	err := s.gather()
	if err == nil && len(s.parts) > 1 && slices.ContainsFunc(s.parts, isDense) {
		err = s.spread()
	}
	switch {
	case err != nil:
		return 0, err
	case s.dense != nil:
		return s.dense.estimate(), nil
	case len(s.parts) == 0:
		return 0, nil
	case len(s.parts) == 1:
		return estimateStored(s.parts[0])
	}
	all := make(keys, 0, s.size/2)
	for _, b := range s.parts {
		if err := all.read(b); err != nil {
			return 0, err
		}
	}
	return countKeys(all.distinct()), nil
}
