package journal

import (
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"

	"github.com/tidemark-obs/tidemark/internal/event"
)

// writer numbers the messages of this process and adds up what they accept. It is used by one
// goroutine.
type writer struct {
	base   string
	doubts int    // how often the fate of a message stayed unknown
	drafts uint64 // how many messages were drafted
	total  uint64 // events accepted under the present id
}

// draft is a message on its way. Its id is the same however often it is sent.
type draft struct {
	id       string
	writer   string
	msg      *nats.Msg
	total    uint64
	doubtful bool // it may be stored or yet be stored
}

func newWriter(base string) writer { return writer{base: base} }

// id is who the messages say they are from. After a doubt it is a new one, with a new total, so
// that both totals are true whether the doubtful message is stored or not.
func (w *writer) id() string {
	if w.doubts == 0 {
		return w.base
	}
	return fmt.Sprintf("%s.%06d", w.base, w.doubts) // sorts by time, as the bases do
}

func (w *writer) draft(counts *event.Counts, b body) (*draft, error) {
	w.drafts++
	d := &draft{
		id:     w.base + "-" + strconv.FormatUint(w.drafts, 10),
		writer: w.id(),
		total:  w.total + counts.Accepted,
	}
	var err error
	d.msg, err = encode(d.id, d.writer, d.total, counts, b)
	return d, err
}

func (w *writer) wrote(d *draft) { w.total = d.total }

func (w *writer) doubt() {
	w.doubts++
	w.total = 0
}
