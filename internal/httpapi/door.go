package httpapi

import (
	"context"
	"net/http"
	"sync"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/event/eventjson"
	"github.com/tidemark-obs/tidemark/internal/ingest"
)

// intakes are reused: a door makes no garbage of its own.
type intakes struct{ pool sync.Pool }

// intake is the scratch space of one request at a door.
type intake struct {
	items []ingest.Item
	out   []byte
}

func (p *intakes) get() *intake {
	if in, ok := p.pool.Get().(*intake); ok {
		return in
	}
	return &intake{}
}

// put gives an intake back; nothing of the request stays in it.
func (p *intakes) put(in *intake) {
	clear(in.items)
	in.items, in.out = in.items[:0], in.out[:0]
	p.pool.Put(in)
}

// next is the item to decode into.
func (in *intake) next() *ingest.Item {
	in.items = append(in.items, ingest.Item{})
	return &in.items[len(in.items)-1]
}

// received reads the body of a request at a door. One that cannot be read is counted as one
// event received and rejected; one that was never looked at is not.
func (s *Server) received(w http.ResponseWriter, r *http.Request) (*body, error) {
	b, err := s.bodies.read(w, r)
	if err != nil {
		s.countUnread(r, event.Analytics, err)
		return nil, err
	}
	return b, nil
}

func (s *Server) countUnread(r *http.Request, proto event.Protocol, err error) {
	if k := errs.KindOf(err); k == errs.Malformed || k == errs.TooLarge || k == errs.UnsupportedMedia {
		s.deps.Intake.Reject(context.WithoutCancel(r.Context()), proto, err)
	}
}

// single is the door for one event, in the form it takes.
func (s *Server) single(form eventjson.Form, message string) handler {
	head := []byte(`{"success":true,"message":"` + message + `","event_id":`)
	return func(w http.ResponseWriter, r *http.Request) error {
		in := s.intakes.get()
		defer s.intakes.put(in)
		item, _, err := s.takeOne(w, r, in, form)
		if err != nil {
			return err
		}
		in.out = appendQuoted(append(in.out, head...), item.Event.ID)
		if item.Sampled {
			in.out = append(in.out, `,"sampled":true`...)
		}
		if len(item.Warnings) > 0 && s.deps.Settings.Current().DebugMode {
			in.out = appendFields(append(in.out, `,"warnings":`...), item.Warnings)
		}
		in.out = append(in.out, '}', '\n')
		writeRaw(w, http.StatusOK, in.out)
		return nil
	}
}

// takeOne reads one event and submits it. The item is valid until in is put back.
func (s *Server) takeOne(w http.ResponseWriter, r *http.Request, in *intake, form eventjson.Form) (*ingest.Item, uint64, error) {
	b, err := s.received(w, r)
	if err != nil {
		return nil, 0, err
	}
	item := in.next()
	item.Warnings, item.Err = s.deps.Decoder.DecodeAs(form, b.buf, &item.Event)
	b.release()
	seq, err := s.deps.Intake.Submit(r.Context(), event.Analytics, in.items)
	if err != nil {
		return nil, 0, err
	}
	return item, seq, item.Err
}

// appendQuoted appends a JSON string. Event ids are valid UTF-8, so this cannot fail.
func appendQuoted(dst []byte, s string) []byte {
	dst, _ = jsontext.AppendQuote(dst, s)
	return dst
}

func appendFields(dst []byte, fields []errs.Field) []byte {
	dst = append(dst, '[')
	for i := range fields {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendQuoted(append(dst, `{"location":`...), fields[i].Location)
		dst = appendQuoted(append(dst, `,"message":`...), fields[i].Message)
		dst = append(dst, '}')
	}
	return append(dst, ']')
}
