package httpapi

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"

	"github.com/tidemark-obs/tidemark/internal/access"
	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/ingest"
	"github.com/tidemark-obs/tidemark/internal/transfer"
)

const (
	// importRows bounds the events of one request.
	importRows = 10_000
	// importBacklog is how many events may wait for the database before an import waits for it.
	importBacklog = 100_000
)

// ImportAnswer is the answer of POST /events/import.
type ImportAnswer struct {
	Received int             `json:"received"`
	Accepted int             `json:"accepted" doc:"On disk, to be stored exactly once"`
	Rejected int             `json:"rejected"`
	Errors   []ImportRefusal `json:"errors" nullable:"false" doc:"The first 1,000 refused events"`
}

// ImportRefusal is one event that was refused.
type ImportRefusal struct {
	Row    int64  `json:"row" doc:"Which line of the body, from 1"`
	Reason string `json:"reason"`
}

const maxRefusals = 1_000

func (s *Server) registerImport() {
	s.plain(operation{route: route{method: http.MethodPost, path: base + "/events/import", scope: access.Admin, door: true},
		id: "import-events", tag: "events", takes: transfer.NDJSON.ContentType(), summary: "Take in events that another service kept",
		detail: "NDJSON (application/x-ndjson): one event a line, as GET /events/export writes them, at most 10,000. event_id, received_at, processed and processed_at are kept; " +
			"an event whose id is stored already is a duplicate. 200 means that the accepted ones are on disk; the good ones count even when others are bad.",
		faults: []int{http.StatusBadRequest, http.StatusServiceUnavailable}},
		Event{}, map[int]payload{200: ImportAnswer{}}, s.importEvents)
}

func (s *Server) importEvents(w http.ResponseWriter, r *http.Request) error {
	b, err := s.bodies.readAs(w, r, isNDJSON, "the Content-Type must be application/x-ndjson")
	if err != nil {
		s.countUnread(r, event.Import, err)
		return err
	}
	in := s.intakes.get()
	defer s.intakes.put(in)
	numbers, err := s.decodeLines(in, b.buf)
	b.release()
	if err != nil {
		s.deps.Intake.Reject(context.WithoutCancel(r.Context()), event.Import, err)
		return err
	}
	seq, err := s.deps.Intake.Submit(r.Context(), event.Import, in.items)
	if err != nil {
		return err
	}
	if s.deps.Backlog.Status().Buffered > importBacklog { // so that the journal keeps room for others
		if err := s.deps.Intake.WaitStored(r.Context(), seq); err != nil && r.Context().Err() != nil {
			return err
		}
	}
	return writeJSON(w, http.StatusOK, importAnswer(in.items, numbers))
}

// decodeLines decodes a body of lines and returns where in it each event stands.
func (s *Server) decodeLines(in *intake, body []byte) (numbers []int64, err error) {
	rows, err := transfer.NewReader(transfer.NDJSON, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for {
		row, err := rows.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if len(in.items) == importRows {
			return nil, badRequest(errs.New(errs.Invalid, "an import may have at most "+strconv.Itoa(importRows)+" events a request"))
		}
		item := in.next()
		item.Err = row.Err
		if item.Err == nil {
			item.Warnings, item.Err = s.deps.Decoder.DecodeMoved(row.JSON, &item.Event)
		}
		numbers = append(numbers, row.Number)
	}
	if len(in.items) == 0 {
		return nil, badRequest(errs.New(errs.Invalid, "an import must have at least one event"))
	}
	return numbers, nil
}

func importAnswer(items []ingest.Item, numbers []int64) ImportAnswer {
	a := ImportAnswer{Received: len(items), Errors: []ImportRefusal{}}
	for i := range items {
		if items[i].Err == nil {
			a.Accepted++
			continue
		}
		a.Rejected++
		if len(a.Errors) < maxRefusals {
			a.Errors = append(a.Errors, ImportRefusal{Row: numbers[i], Reason: transfer.ReasonOf(items[i].Err)})
		}
	}
	return a
}
