package journal

// recentMessages is how many of its own messages a process remembers.
const recentMessages = 1024

// recent remembers the newest messages of this process, without their lines. An answer of the stream
// which is older than they are can be completed: what was written before the oldest of them goes
// uncounted then, until the next answer. And who reads headers only need not ask JetStream for them.
type recent struct {
	messages [recentMessages]struct {
		Message
		size int64
	}
	news chan struct{} // closed by the next message; nil = nobody waits for it
}

func (r *recent) add(m Message, size int) {
	at := &r.messages[m.Seq%recentMessages]
	at.Message, at.size = m, int64(size)
	if r.news != nil {
		close(r.news)
		r.news = nil
	}
}

// at returns the message at a position, where it is remembered.
func (r *recent) at(seq uint64) (Message, bool) {
	m := &r.messages[seq%recentMessages]
	return m.Message, m.Seq == seq && seq > 0
}

// next is closed by the next message.
func (r *recent) next() <-chan struct{} {
	if r.news == nil {
		r.news = make(chan struct{})
	}
	return r.news
}

// after returns how many bytes the messages beyond a position have.
func (r *recent) after(seq uint64) (bytes int64) {
	for i := range r.messages {
		if m := &r.messages[i]; m.Seq > seq {
			bytes += m.size
		}
	}
	return bytes
}
