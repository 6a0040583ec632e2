package httpapi

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/event/eventjson"
	"github.com/tidemark-obs/tidemark/internal/ingest"
	"github.com/tidemark-obs/tidemark/internal/store"
)

// createEvent takes one event in, waits until it is stored and shows it as it is stored.
func (s *Server) createEvent(w http.ResponseWriter, r *http.Request) error {
	in := s.intakes.get()
	defer s.intakes.put(in)
	item, seq, err := s.takeOne(w, r, in, eventjson.FormAny)
	if err != nil {
		return err
	}
	if item.Sampled {
		return writeJSON(w, http.StatusOK, Tracked{Success: true, Message: "Event left out by sampling",
			EventID: item.Event.ID, Sampled: true})
	}
	ctx, cancel := context.WithTimeout(r.Context(), s.deps.Limits.StoreWait)
	defer cancel()
	w.Header().Set("Location", base+"/events/"+url.PathEscape(item.Event.ID))
	stored, err := s.awaitStored(ctx, seq, item)
	switch {
	case err == nil:
	case errs.Is(err, errs.Invalid), errs.Is(err, errs.Conflict), r.Context().Err() != nil:
		w.Header().Del("Location")
		return err
	default: // it is on disk all the same: a failure would make the client send it again
		s.deps.Logger.DebugContext(r.Context(), "an event was accepted and cannot be shown", "request_id", requestIDOf(w), "error", err)
		return writeJSON(w, http.StatusAccepted, ReceiptAnswer{EventID: item.Event.ID, Status: string(store.StatusPending)})
	}
	status := http.StatusOK
	if stored.ReceivedAt.Equal(item.Event.ReceivedAt) { // this very event, not one of the same id before it
		status = http.StatusCreated
	}
	in.out = append(eventjson.Append(in.out, &stored), '\n')
	writeRaw(w, status, in.out)
	return nil
}

// awaitStored returns the event that is stored under the item's id.
func (s *Server) awaitStored(ctx context.Context, seq uint64, item *ingest.Item) (event.Event, error) {
	if err := s.deps.Intake.WaitStored(ctx, seq); err != nil {
		return event.Event{}, err
	}
	stored, err := s.deps.Events.Get(ctx, item.Event.ID)
	if !errs.Is(err, errs.NotFound) {
		return stored, err
	}
	receipt, err := s.deps.Accounts.Receipt(ctx, item.Event.ID)
	if err != nil && !errs.Is(err, errs.NotFound) {
		return event.Event{}, err
	}
	if receipt.Status == store.StatusDeadLettered {
		return event.Event{}, errs.New(errs.Invalid, "the database refuses this event; it is kept among the dead letters")
	}
	return event.Event{}, errs.New(errs.Conflict, "an event of this id was stored before and has been deleted")
}

// createEvents takes many events in and waits until they are stored.
func (s *Server) createEvents(w http.ResponseWriter, r *http.Request) error {
	b, err := s.received(w, r)
	if err != nil {
		return err
	}
	in := s.intakes.get()
	defer s.intakes.put(in)
	bt := batch{intake: in, at: "/events"}
	list, err := listOf(b.buf)
	if err != nil {
		s.deps.Intake.Reject(context.WithoutCancel(r.Context()), event.Analytics, err)
	} else {
		err = s.decodeAll(r, &bt, list, s.deps.Limits.BulkEvents)
	}
	b.release()
	if err != nil {
		return err
	}
	if err := s.submit(w, r, &bt); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), s.deps.Limits.StoreWait)
	defer cancel()
	status := http.StatusCreated
	if err := s.deps.Intake.WaitStored(ctx, bt.seq); err != nil {
		status = http.StatusAccepted // on disk all the same
	}
	bt.answer()
	writeRaw(w, status, bt.out)
	return nil
}

// listOf finds the list in {"events": [...]}. What is wrong inside the list is each event's own.
func listOf(raw []byte) (jsontext.Value, error) {
	d := jsontext.NewDecoder(bytes.NewBuffer(raw), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if d.PeekKind() != '{' {
		return nil, notAList(d)
	}
	var list jsontext.Value
	if _, err := d.ReadToken(); err != nil {
		return nil, syntaxError(err)
	}
	for d.PeekKind() == '"' {
		name, err := d.ReadToken()
		if err != nil {
			return nil, syntaxError(err)
		}
		if name.String() != "events" {
			return nil, invalid("", "has a member other than events")
		}
		if list != nil {
			return nil, invalid("/events", "stands twice")
		}
		value, err := d.ReadValue()
		if err != nil {
			return nil, syntaxError(err)
		}
		list = value.Clone()
	}
	if _, err := d.ReadToken(); err != nil {
		return nil, syntaxError(err)
	}
	if _, err := d.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, syntaxError(err)
	}
	if list.Kind() != '[' {
		return nil, invalid("/events", "must be a list of events")
	}
	return list, nil
}

func notAList(d *jsontext.Decoder) error {
	if err := d.SkipValue(); err != nil {
		return syntaxError(err)
	}
	return invalid("", "must be an object with events, a list")
}

func syntaxError(err error) error {
	return errs.Wrap(errs.Malformed, "the body is not valid JSON", err)
}
