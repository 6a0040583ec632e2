package ingest

import (
	"maps"
	"slices"

	"github.com/tidemark-obs/tidemark/internal/journal"
	"github.com/tidemark-obs/tidemark/internal/store"
)

// continuity checks that no message vanished between two that were read: every message states
// how many events its writer had accepted by then.
type continuity struct {
	seen map[string]uint64
	// adopt is set when a database takes over a journal whose beginning another one stored: what
	// unknown writers accepted before is not missed.
	adopt bool
}

// continueFrom returns the continuity of a reader that begins after position after.
func continueFrom(c store.Cursor, after uint64) *continuity {
	seen := maps.Clone(c.Totals)
	if seen == nil {
		seen = make(map[string]uint64, 1)
	}
	return &continuity{seen: seen, adopt: c.Seq == 0 && after > 0}
}

// accepted is how many events the message's writer accepted since its last message. Where one in
// between is gone, that is more than this message states, and the ledger shows the rest as lost.
func (c *continuity) accepted(m *journal.Message) uint64 {
	was, known := c.seen[m.Writer]
	c.seen[m.Writer] = m.Total
	if m.Total < was || !known && c.adopt {
		return m.Counts.Accepted
	}
	return m.Total - was
}

// mostWriters bounds the writers a cursor remembers. Their ids sort by the time they started, so
// the oldest go first: processes long gone.
const mostWriters = 1000

// mergeTotals returns the cursor's totals after a batch.
func mergeTotals(was, seen map[string]uint64) map[string]uint64 {
	all := make(map[string]uint64, len(was)+len(seen))
	maps.Copy(all, was)
	maps.Copy(all, seen)
	if len(all) > mostWriters {
		ids := slices.Sorted(maps.Keys(all))
		for _, id := range ids[:len(ids)-mostWriters] {
			delete(all, id)
		}
	}
	return all
}

// startAfter is the position after which a reader of this cursor begins: behind the cursor, or
// where the journal begins, when that is later.
func startAfter(c store.Cursor, s journal.State) uint64 {
	if s.FirstSeq > c.Seq+1 {
		return s.FirstSeq - 1
	}
	return c.Seq
}
