package client

// verdict is what the service said of one event.
type verdict uint8

const (
	none verdict = iota
	sent
	sampled
	refused
)

// batch is the events of one request, copied out of the queue. It is reused.
type batch struct {
	raw      []byte
	events   []span
	verdicts []verdict
	reasons  []string // of the refused
	lost     int      // events that could not be read back
	next     mark     // where the queue goes on behind it
}

type span struct{ from, to int }

// mark is a place in a spool.
type mark struct {
	segment uint64
	offset  int64
}

func (b *batch) reset() {
	b.raw, b.events, b.verdicts, b.reasons = b.raw[:0], b.events[:0], b.verdicts[:0], b.reasons[:0]
	b.lost, b.next = 0, mark{}
}

// judged makes room for the verdicts, once all events are in.
func (b *batch) judged() {
	for range b.events {
		b.verdicts = append(b.verdicts, none)
		b.reasons = append(b.reasons, "")
	}
}

func (b *batch) event(i int) []byte { return b.raw[b.events[i].from:b.events[i].to] }

// all lists every event.
func (b *batch) all() []int {
	all := make([]int, len(b.events))
	for i := range all {
		all[i] = i
	}
	return all
}

func (b *batch) count(v verdict) (n uint64) {
	for _, is := range b.verdicts {
		if is == v {
			n++
		}
	}
	return n
}

func (b *batch) refuse(i int, why string) { b.verdicts[i], b.reasons[i] = refused, why }

// openOf lists those of some events that have no verdict.
func (b *batch) openOf(which []int) (left []int) {
	for _, i := range which {
		if b.verdicts[i] == none {
			left = append(left, i)
		}
	}
	return left
}
