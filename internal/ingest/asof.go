package ingest

import (
	"sort"
	"time"

	"github.com/tidemark-obs/tidemark/internal/journal"
)

// maxMarks bounds the memory of marks; a backlog of any length is known to one part in this.
const maxMarks = 256

// marks remember when some of the journal's messages were written. When there are too many, every
// second one is forgotten and fewer are noted from then on.
type marks struct {
	list    []mark
	spacing time.Duration
}

type mark struct {
	seq uint64
	at  time.Time
}

// note takes the messages in their order.
func (m *marks) note(msg *journal.Message) {
	if n := len(m.list); n > 0 && msg.Time.Sub(m.list[n-1].at) < max(m.spacing, time.Millisecond) {
		return
	}
	if len(m.list) == maxMarks {
		for i := range maxMarks / 2 {
			m.list[i] = m.list[2*i+1]
		}
		m.list = m.list[:maxMarks/2]
		m.spacing = max(2*m.spacing, 10*time.Millisecond)
	}
	m.list = append(m.list, mark{msg.Seq, msg.Time})
}

// settled is when the newest known message up to seq was written; what lies before it is forgotten.
func (m *marks) settled(seq uint64) (time.Time, bool) {
	i := sort.Search(len(m.list), func(i int) bool { return m.list[i].seq > seq })
	if i == 0 {
		return time.Time{}, false
	}
	m.list = append(m.list[:0], m.list[i-1:]...)
	if len(m.list) < maxMarks/4 {
		m.spacing /= 2
	}
	return m.list[0].at, true
}

// AsOf is a moment such that all events accepted before it are stored: now when nothing waits. It
// is the zero time when that is not known yet. Ask before reading the store.
func (p *Pipeline) AsOf() time.Time {
	now := p.cfg.Now()
	cursor, known, _ := p.writer.progress.state()
	if known && cursor.Seq >= p.end() {
		return now
	}
	if at, ok := p.tail.settledAt(cursor.Seq); ok {
		return at
	}
	return p.cfg.Log.State().Oldest
}
