package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/event/eventjson"
	"github.com/tidemark-obs/tidemark/internal/ingest"
)

// batch is one list of events on its way through a door.
type batch struct {
	*intake
	at   string // where the list stands in the body
	seq  uint64
	outs counts
}

// maxResultFaults bounds the faults told of one event among many: a small bad request must not
// ask for a large answer.
const maxResultFaults = 10

// counts is what became of a batch's events.
type counts struct{ tracked, sampled, rejected int }

// batchTrack is the door for a JSON array of events.
func (s *Server) batchTrack(w http.ResponseWriter, r *http.Request) error {
	b, err := s.received(w, r)
	if err != nil {
		return err
	}
	in := s.intakes.get()
	defer s.intakes.put(in)
	bt := batch{intake: in}
	err = s.decodeAll(r, &bt, b.buf, s.deps.Limits.BatchEvents)
	b.release()
	if err != nil {
		return err
	}
	if err := s.submit(w, r, &bt); err != nil {
		return err
	}
	bt.answer()
	writeRaw(w, http.StatusOK, bt.out)
	return nil
}

// decodeAll decodes every element of a list, the bad ones into their errors. A list that is
// none, empty or too long is refused whole.
func (s *Server) decodeAll(r *http.Request, bt *batch, list []byte, most int) error {
	over := false
	err := s.deps.Decoder.Elements(list, func(i int, element []byte) bool {
		if over = i >= most; over {
			return false
		}
		item := bt.next()
		item.Warnings, item.Err = s.deps.Decoder.DecodeAs(eventjson.FormAny, element, &item.Event)
		return true
	})
	switch {
	case err != nil:
	case over:
		err = badRequest(errs.New(errs.Invalid, fmt.Sprintf("a batch may have at most %d events", most)))
	case len(bt.items) == 0:
		err = badRequest(errs.New(errs.Invalid, "a batch must have at least one event"))
	}
	if err != nil {
		s.deps.Intake.Reject(context.WithoutCancel(r.Context()), event.Analytics, err)
	}
	return err
}

// submit hands a batch in. It is an error when none of its events is valid.
func (s *Server) submit(w http.ResponseWriter, r *http.Request, bt *batch) error {
	if err := s.charge(w, r, len(bt.items)); err != nil {
		return err
	}
	seq, err := s.deps.Intake.Submit(r.Context(), event.Analytics, bt.items)
	if err != nil {
		return err
	}
	bt.seq = seq
	for i := range bt.items {
		switch it := &bt.items[i]; {
		case it.Err != nil:
			bt.outs.rejected++
		case it.Sampled:
			bt.outs.sampled++
		default:
			bt.outs.tracked++
		}
	}
	if bt.outs.rejected == len(bt.items) {
		return bt.refusal()
	}
	return nil
}

// refusal is the error of a batch without one valid event.
func (bt *batch) refusal() error {
	e := &errs.Error{Kind: errs.Invalid, Detail: "none of the events is valid"}
	for i := range bt.items {
		at := bt.at + "/" + strconv.Itoa(i)
		faults, detail := faultsOf(bt.items[i].Err)
		if len(faults) == 0 {
			faults = []errs.Field{{Message: detail}}
		}
		for _, f := range faults {
			if len(e.Fields) == maxFaults {
				return e
			}
			e.Fields = append(e.Fields, errs.Field{Location: at + f.Location, Message: f.Message})
		}
	}
	return e
}

// faultsOf is what a client may read about a refused event.
func faultsOf(err error) ([]errs.Field, string) {
	p := problemOf(err)
	return p.Errors, p.Detail
}

// answer writes what became of each event to bt.out.
func (bt *batch) answer() {
	out := append(bt.out, `{"success":true,"message":"Tracked `...)
	out = strconv.AppendInt(out, int64(bt.outs.tracked), 10)
	out = append(out, ` of `...)
	out = strconv.AppendInt(out, int64(len(bt.items)), 10)
	out = append(out, ` events","tracked_count":`...)
	out = strconv.AppendInt(out, int64(bt.outs.tracked), 10)
	out = append(out, `,"rejected_count":`...)
	out = strconv.AppendInt(out, int64(bt.outs.rejected), 10)
	out = append(out, `,"sampled_count":`...)
	out = strconv.AppendInt(out, int64(bt.outs.sampled), 10)
	out = append(out, `,"results":[`...)
	for i := range bt.items {
		if i > 0 {
			out = append(out, ',')
		}
		out = appendResult(out, i, &bt.items[i])
	}
	bt.out = append(out, ']', '}', '\n')
}

func appendResult(out []byte, i int, it *ingest.Item) []byte {
	out = append(out, `{"index":`...)
	out = strconv.AppendInt(out, int64(i), 10)
	out = append(out, `,"event_id":`...)
	if it.Event.ID == "" {
		out = append(out, `null`...)
	} else {
		out = appendQuoted(out, it.Event.ID)
	}
	switch {
	case it.Err != nil:
		faults, detail := faultsOf(it.Err)
		faults = faults[:min(len(faults), maxResultFaults)]
		out = appendQuoted(append(out, `,"status":"rejected","error":`...), sentence(detail, faults))
		if len(faults) > 0 {
			out = appendFields(append(out, `,"errors":`...), faults)
		}
	case it.Sampled:
		out = append(out, `,"status":"sampled","error":null`...)
	default:
		out = append(out, `,"status":"accepted","error":null`...)
	}
	if len(it.Warnings) > 0 {
		out = appendFields(append(out, `,"warnings":`...), it.Warnings)
	}
	return append(out, '}')
}

// sentence puts what is wrong with one event into one line.
func sentence(detail string, faults []errs.Field) string {
	if len(faults) == 0 {
		return detail
	}
	var b strings.Builder
	b.WriteString(detail)
	for i, f := range faults {
		sep := ": "
		if i > 0 {
			sep = "; "
		}
		b.WriteString(sep)
		if f.Location != "" {
			b.WriteString(f.Location + " ")
		}
		b.WriteString(f.Message)
	}
	return b.String()
}
