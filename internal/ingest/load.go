package ingest

import (
	"bytes"
	"context"
	"time"

	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/event/eventjson"
	"github.com/tidemark-obs/tidemark/internal/journal"
	"github.com/tidemark-obs/tidemark/internal/store"
)

var newline = []byte{'\n'}

// load is one journal message, decoded.
type load struct {
	msg      journal.Message // without its lines, which belong to the reader
	bytes    int             // of lines
	events   []event.Event
	dead     []store.DeadLetter
	receipts []store.Receipt
}

// load reads and decodes messages until reading fails or ctx ends.
func (w *writer) load(ctx context.Context, after uint64, to chan<- load) error {
	r, err := w.cfg.Log.Read(ctx, after, false)
	if err != nil {
		return err
	}
	defer r.Close()
	for {
		m, err := r.Next(ctx)
		if err != nil {
			return err
		}
		select {
		case to <- w.decode(m):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (w *writer) decode(m journal.Message) load {
	lines := m.Lines
	m.Lines = nil
	l := load{msg: m, bytes: len(lines), events: make([]event.Event, 0, m.Counts.Accepted)}
	for line := range bytes.Lines(lines) {
		line = bytes.TrimSuffix(line, newline)
		if isPadding(line) {
			continue
		}
		if id, reason, ok := eventjson.ParseRejection(line); ok {
			l.receipts = append(l.receipts, store.Receipt{EventID: id, Status: store.StatusRejected, Reason: reason, At: m.Time})
			continue
		}
		var e event.Event
		if err := eventjson.Parse(line, &e); err != nil {
			d := deadLetter(&e, event.ReasonUndecodable, err, w.cfg.Now())
			d.Payload = bytes.Clone(line)
			l.dead = append(l.dead, d)
			w.logger.Error("a journal record cannot be read back; it is kept as a dead letter", "seq", m.Seq, "cause", err)
			continue
		}
		event.Turn(len(l.events))
		l.events = append(l.events, e)
	}
	return l
}

func deadLetter(e *event.Event, reason event.Reason, cause error, now time.Time) store.DeadLetter {
	return store.DeadLetter{
		EventID: e.ID, Reason: reason, Detail: cause.Error(),
		Payload: eventjson.Append(nil, e), At: now,
	}
}
