package journal

// recent remembers the newest messages of this process, so that an answer of the stream which is
// older than they are can be completed. What was written before the oldest of them goes uncounted
// then, until the next answer.
type recent struct {
	messages [64]struct {
		seq  uint64
		size int64
	}
	next int
}

func (r *recent) add(seq uint64, size int) {
	m := &r.messages[r.next%len(r.messages)]
	m.seq, m.size = seq, int64(size)
	r.next++
}

// after returns how many bytes the messages beyond a position have.
func (r *recent) after(seq uint64) (bytes int64) {
	for _, m := range r.messages {
		if m.seq > seq {
			bytes += m.size
		}
	}
	return bytes
}
