package access

import (
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/tidemark-obs/tidemark/internal/store"
)

// snapshot is all keys as they were read last. It is never changed.
type snapshot struct {
	any   bool // whether there are keys, revoked ones included
	valid map[hash]*entry
}

// entry is one valid key.
type entry struct {
	hash   hash
	id     string
	name   string
	scopes Scope
	state  *state
}

// state is what outlives a snapshot.
type state struct {
	used   atomic.Int64  // Unix seconds of the last use
	stored atomic.Int64  // of the last use that was written down
	bucket *rate.Limiter // nil = no limit
}

// newSnapshot takes over the state of keys that old held. Once there were keys, finding none
// does not open the service: a table that lost its rows is no reason to let everybody in.
func newSnapshot(keys []store.Key, old *snapshot, perKey Rate) *snapshot {
	s := &snapshot{any: len(keys) > 0, valid: make(map[hash]*entry, len(keys))}
	if old != nil {
		s.any = s.any || old.any
	}
	for _, k := range keys {
		if !k.RevokedAt.IsZero() || len(k.Hash) != len(hash{}) {
			continue
		}
		scopes, _ := scopesOf(k.Scopes)
		e := &entry{hash: hash(k.Hash), id: k.ID, name: k.Name, scopes: scopes}
		e.state = old.stateOf(e.hash)
		if e.state == nil {
			e.state = &state{bucket: perKey.limiter()}
		}
		s.valid[e.hash] = e
	}
	return s
}

func (s *snapshot) stateOf(h hash) *state {
	if s == nil || s.valid[h] == nil {
		return nil
	}
	return s.valid[h].state
}

// touch notes a use; in the same second again it writes nothing that others read.
func (st *state) touch(now time.Time) {
	if seconds := now.Unix(); st.used.Load() < seconds {
		st.used.Store(seconds)
	}
}

func (s *snapshot) unsaved() map[string]time.Time {
	used := map[string]time.Time{}
	for _, e := range s.valid {
		if at := e.state.used.Load(); at > e.state.stored.Load() {
			used[e.id] = time.Unix(at, 0).UTC()
		}
	}
	return used
}

func (s *snapshot) saved(used map[string]time.Time) {
	for _, e := range s.valid {
		if at, ok := used[e.id]; ok {
			e.state.stored.Store(at.Unix())
		}
	}
}
