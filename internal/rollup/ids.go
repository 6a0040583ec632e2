package rollup

import (
	"bytes"
	"slices"

	"github.com/axiomhq/hyperloglog"
	"github.com/cespare/xxhash/v2"
)

// IDsBound is how far a number of different ids may be off, as a share of it: 2.6 standard errors, which
// hold it in 99 of 100 cases.
const IDsBound = 0.015

const (
	// ListMost is the size in bytes up to which a set can be written as a list of keys, some thousand ids: it
	// is more exact than registers.
	ListMost = registerCount
	// FastMost is the size up to which such a list is put together about as fast as registers are.
	FastMost = 12 << 10
	// foldFrom is the size from which on what was put together is made one, so that a set takes
	// little memory however many are added to it.
	foldFrom = 2 * registerCount
)

// IDs estimates how many different ids there are. Single ids are added by the library, written sets are
// put together here: it does so several times slower. The zero IDs is an empty set.
type IDs struct {
	// Lost is how many of the ids may be there no more, which the set cannot forget.
	Lost int64
	// Counted says that the set is counted and not written, so its form need not be small.
	Counted bool

	ids   *hyperloglog.Sketch // those that were added one by one
	parts [][]byte            // written sets
	size  int                 // of them, in bytes
	dense *registers          // all written sets, where they are large
}

// HashID is the hash of an id in sets; written ones depend on it.
func HashID(id string) uint64 { return xxhash.Sum64String(id) }

// Add puts the hash of an id into the set.
func (s *IDs) Add(hash uint64) {
	if s.ids == nil {
		s.ids, _ = hyperloglog.NewSketch(precision, true) // fails for other precisions only
	}
	s.ids.InsertHash(hash)
}

// Merge adds all ids of a set as Bytes wrote it, which nobody may change afterwards.
func (s *IDs) Merge(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	if s.dense != nil {
		return s.dense.merge(b)
	}
	s.parts, s.size = append(s.parts, b), s.size+len(b)
	if limit := s.limit(); len(s.parts) > 1 && s.size >= limit {
		return s.fold(ListMost)
	}
	return nil
}

// MergeCopy is Merge for a set that is about to change.
func (s *IDs) MergeCopy(b []byte) error {
	if s.dense == nil {
		b = bytes.Clone(b)
	}
	return s.Merge(b)
}

func (s *IDs) limit() int {
	if s.Counted {
		return FastMost
	}
	return foldFrom
}

// Union adds all ids of another set, which stays as it is.
func (s *IDs) Union(other *IDs) error {
	s.Lost += other.Lost
	if other.ids != nil {
		b, err := written(other.ids)
		if err != nil {
			return err
		}
		if err := s.Merge(b); err != nil {
			return err
		}
	}
	for _, b := range other.parts {
		if err := s.Merge(b); err != nil {
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
func (s *IDs) fold(most int) error {
	large := s.Counted && s.size >= FastMost
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
func (s *IDs) spread() error {
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
func (s *IDs) gather() error {
	if s.ids == nil {
		return nil
	}
	b, err := written(s.ids)
	if err == nil {
		err = s.Merge(b)
	}
	s.ids = nil
	return err
}

// Bytes are the set to be stored, empty where it is, and how many ids it counts. A list of keys has at
// most so many bytes.
func (s *IDs) Bytes(most int) (b []byte, n int64, err error) {
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
	n, err = s.Count()
	return b, n, err
}

// Count is how many different ids there are.
func (s *IDs) Count() (int64, error) {
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
