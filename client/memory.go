package client

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// chunkBytes is the unit in which the buffer takes memory, spareChunks how many that were emptied
// are kept to be used again.
const (
	chunkBytes  = 64 << 10
	spareChunks = 64
	overhead    = 8 // counted for each event
)

// memory is a queue of events in memory: chunks of bytes, oldest first.
type memory struct {
	limit  int // bytes
	bytes  int
	chunks []*chunk
	spare  []*chunk
	making bool // somebody makes the next chunk
}

// chunk holds some events, one behind the other.
type chunk struct {
	bytes   []byte
	ends    []int // of the events
	read    int   // events that have left
	writers atomic.Int32
}

// room is a place that an event has been given in a chunk. It is filled after the client's lock was
// let go: fresh memory costs more to touch than all that is done under the lock.
type room struct {
	chunk *chunk
	bytes []byte
	makes *memory // where the one who fills it is to make the next chunk
}

func (r room) fill(event []byte) {
	if r.chunk != nil {
		copy(r.bytes, event)
		r.chunk.writers.Add(-1)
	}
}

// prepare makes the next chunk while nobody waits for it. mu is the client's.
func (r room) prepare(mu *sync.Mutex) {
	if r.makes == nil {
		return
	}
	c := newChunk(chunkBytes)
	mu.Lock()
	r.makes.making = false
	r.makes.spare = append(r.makes.spare, c)
	mu.Unlock()
}

func newMemory(limit int) *memory { return &memory{limit: limit} }

// add gives an event its place at the end. It is errFull where there is none.
func (m *memory) add(event []byte) (room, error) {
	if m.bytes+len(event)+overhead > m.limit {
		return room{}, errFull
	}
	last := len(m.chunks) - 1
	if last < 0 || cap(m.chunks[last].bytes)-len(m.chunks[last].bytes) < len(event) {
		m.chunks = append(m.chunks, m.chunk(len(event)))
		last++
	}
	c := m.chunks[last]
	from := len(c.bytes)
	to := from + len(event)
	c.bytes = c.bytes[:to]
	c.ends = append(c.ends, to)
	c.writers.Add(1)
	m.bytes += len(event) + overhead
	r := room{chunk: c, bytes: c.bytes[from:to]}
	if len(c.bytes) > cap(c.bytes)/2 && len(m.spare) == 0 && !m.making && m.bytes < m.limit-chunkBytes {
		m.making, r.makes = true, m
	}
	return r, nil
}

func (m *memory) chunk(need int) *chunk {
	if n := len(m.spare); n > 0 && need <= chunkBytes {
		c := m.spare[n-1]
		m.spare = m.spare[:n-1]
		return c
	}
	return newChunk(max(need, chunkBytes))
}

func newChunk(size int) *chunk {
	return &chunk{bytes: make([]byte, 0, size), ends: make([]int, 0, chunkBytes/128)}
}

// first is where the oldest event stands in the first chunk; false when there is none.
func (m *memory) first() (s span, ok bool) {
	if len(m.chunks) == 0 {
		return s, false
	}
	c := m.chunks[0]
	if c.read > 0 {
		s.from = c.ends[c.read-1]
	}
	s.to = c.ends[c.read]
	return s, true
}

func (m *memory) pop(s span) {
	c := m.chunks[0]
	c.read++
	m.bytes -= s.to - s.from + overhead
	if c.read < len(c.ends) {
		return
	}
	m.chunks[0] = nil
	m.chunks = m.chunks[1:]
	if cap(c.bytes) == chunkBytes && len(m.spare) < spareChunks && c.writers.Load() == 0 {
		c.bytes, c.ends, c.read = c.bytes[:0], c.ends[:0], 0
		m.spare = append(m.spare, c)
	}
}

// take moves the oldest events into b.
func (m *memory) take(b *batch, most, mostBytes int) {
	for len(b.events) < most {
		s, ok := m.first()
		if !ok || len(b.events) > 0 && len(b.raw)+s.to-s.from > mostBytes {
			return
		}
		c := m.chunks[0]
		for c.writers.Load() > 0 { // they only copy, and no new ones come while the lock is held
			runtime.Gosched()
		}
		from := len(b.raw)
		b.raw = append(b.raw, c.bytes[s.from:s.to]...)
		b.events = append(b.events, span{from, len(b.raw)})
		m.pop(s)
	}
}

// settle has nothing to do: what was taken is gone.
func (m *memory) settle(*batch) {}

// dropOldest drops one event and returns how many that were.
func (m *memory) dropOldest() int {
	s, ok := m.first()
	if !ok {
		return 0
	}
	m.pop(s)
	return 1
}

func (m *memory) close() error { return nil }
