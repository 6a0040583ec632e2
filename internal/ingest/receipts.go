package ingest

import (
	"bytes"
	"context"
	"time"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/event/eventjson"
	"github.com/tidemark-obs/tidemark/internal/store"
)

var errUnknown = errs.New(errs.NotFound, "no event of this id was ever received, or its receipt is older than seven days")

// Receipt tells what became of one event. While the database is away, it reads the journal.
func (p *Pipeline) Receipt(ctx context.Context, id string) (store.Receipt, error) {
	wait, cancel := context.WithTimeout(ctx, freshness)
	late := p.WaitStored(wait, p.end())
	cancel()
	r, err := p.cfg.Sink.Receipt(ctx, id)
	away := err != nil && !errs.Is(err, errs.NotFound)
	switch {
	case err == nil:
		return r, nil
	case late == nil && away:
		return r, err
	case late == nil:
		return r, errUnknown
	}
	r, found, scanErr := p.scan(ctx, id)
	switch {
	case found:
		return r, nil
	case scanErr != nil:
		return store.Receipt{}, errs.Wrap(errs.Unavailable, "too much waits in the journal to look this event up now", scanErr)
	case away:
		return store.Receipt{}, err
	default:
		return store.Receipt{}, errUnknown
	}
}

// scan looks for an id in what the journal holds beyond the cursor.
func (p *Pipeline) scan(ctx context.Context, id string) (store.Receipt, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, freshness)
	defer cancel()
	cursor, _, _ := p.writer.progress.state()
	end := p.end()
	if end <= cursor.Seq {
		return store.Receipt{}, false, nil
	}
	r, err := p.cfg.Log.Read(ctx, cursor.Seq, false)
	if err != nil {
		return store.Receipt{}, false, err
	}
	defer r.Close()
	for {
		m, err := r.Next(ctx)
		if err != nil {
			return store.Receipt{}, false, err
		}
		if rc, ok := find(m.Lines, id, m.Time); ok {
			return rc, true, nil
		}
		if m.Seq >= end {
			return store.Receipt{}, false, nil
		}
	}
}

func find(lines []byte, id string, at time.Time) (store.Receipt, bool) {
	written := eventjson.AppendID(nil, id)
	for line := range bytes.Lines(lines) {
		line = bytes.TrimSuffix(line, newline)
		if !bytes.Contains(line, written) {
			continue
		}
		if rid, reason, ok := eventjson.ParseRejection(line); ok {
			if rid == id {
				return store.Receipt{EventID: id, Status: store.StatusRejected, Reason: reason, At: at}, true
			}
			continue
		}
		var e event.Event
		if eventjson.Parse(line, &e) == nil && e.ID == id {
			return store.Receipt{EventID: id, Status: store.StatusPending, At: at}, true
		}
	}
	return store.Receipt{}, false
}
