package store

import (
	"cmp"
	"encoding/binary"
	"slices"
	"time"

	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/rollup"
)

// Marks of users. On PostgreSQL an index over users would cost a fifth of the insert rate and more as it
// grows. Instead each transaction that stores events adds marks: which user, by a hash, had an event
// when. A row has dozens of them, those of a day whose hashes begin alike. Nobody updates a row; the
// background puts small sets together into larger ones, in which a user's marks are fewer rows.
//
// An event with a user always has its mark. A mark may have no event any more, or one of another user
// with the same hash: who reads them looks at the events.

// mark is an event of a user: the hash of the id, and when in its day.
type mark struct {
	user uint32
	at   int64 // microseconds
}

const (
	markBytes = 9 // 4 of the hash, 5 of the time
	// A row has at least markRow marks on the average, and sets come in sizes of four times as many.
	markRow   = 64
	markSize  = 2  // bits of the hash
	markDepth = 12 // bits, of the largest sets, which are not put together
	// markSet is how many marks a set has at most.
	markSet = 1 << 18
)

func userHash(id string) uint32 { return uint32(rollup.HashID(id) >> 32) }

// markNode is the row that the marks of a user are in, in sets with rows for so many bits.
func markNode(user uint32, bits int) int32 { return int32(1<<bits | user>>(32-bits)) }

// markNodes are the rows that marks of a user may be in.
func markNodes(user uint32) (nodes []int32) {
	for bits := 0; bits <= markDepth; bits += markSize {
		nodes = append(nodes, markNode(user, bits))
	}
	return nodes
}

func appendMark(b []byte, m mark) []byte {
	b = binary.BigEndian.AppendUint32(b, m.user)
	return append(b, byte(m.at>>32), byte(m.at>>24), byte(m.at>>16), byte(m.at>>8), byte(m.at))
}

// eachMark hands over the marks of a row.
func eachMark(b []byte, fn func(mark)) {
	for ; len(b) >= markBytes; b = b[markBytes:] {
		fn(mark{binary.BigEndian.Uint32(b), int64(b[4])<<32 | int64(binary.BigEndian.Uint32(b[5:]))})
	}
}

// dayMarks are the marks of some days.
type dayMarks map[time.Time][]mark

func (m dayMarks) add(user string, at time.Time) {
	if user == "" {
		return
	}
	of := at.Truncate(day)
	m[of] = append(m[of], mark{userHash(user), at.Sub(of).Microseconds()})
}

// markColumns are in the table's order.
var markColumns = []string{"day", "set_id", "node", "marks"}

// rows make a set of each day's marks, or more where they are many.
func (m dayMarks) rows(set int64) (rows [][]any) {
	for of, list := range m {
		for part := range slices.Chunk(list, markSet) {
			rows = appendMarkRows(rows, of, set, part)
		}
	}
	return rows
}

func appendMarkRows(rows [][]any, of time.Time, set int64, list []mark) [][]any {
	bits := markDepth
	for bits > 0 && len(list)>>bits < markRow {
		bits -= markSize
	}
	slices.SortFunc(list, func(a, b mark) int { return cmp.Or(cmp.Compare(a.user, b.user), cmp.Compare(a.at, b.at)) })
	node, row := int32(1)<<bits, []byte{}
	for _, m := range list {
		if next := markNode(m.user, bits); next != node {
			if len(row) > 0 || node == 1<<bits {
				rows = append(rows, []any{of, set, node, row})
			}
			node, row = next, make([]byte, 0, 2*markRow*markBytes)
		}
		row = appendMark(row, m)
	}
	return append(rows, []any{of, set, node, row})
}

// marksOf are the marks of some events of a batch, given as their places in it.
func marksOf(events []event.Event, places []int) [][]any {
	if len(places) == 0 {
		return nil
	}
	m := dayMarks{}
	for _, i := range places {
		m.add(events[i].UserID, micro(events[i].Timestamp).UTC())
	}
	return m.rows(int64(rollup.HashID(events[places[0]].ID)))
}
