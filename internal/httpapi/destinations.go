package httpapi

import (
	"context"
	"encoding/json"
	"net/http"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/tidemark-obs/tidemark/internal/access"
	"github.com/tidemark-obs/tidemark/internal/destination"
	"github.com/tidemark-obs/tidemark/internal/event/eventjson"
	"github.com/tidemark-obs/tidemark/internal/store"
)

// Destinations carry events on to other services.
type Destinations interface {
	Enabled() []string
	List(ctx context.Context) ([]destination.View, error)
	Get(ctx context.Context, name string) (destination.View, error)
	Put(ctx context.Context, q *destination.Request) (v destination.View, created bool, err error)
	Delete(ctx context.Context, name string) error
	SetEnabled(ctx context.Context, name string, on bool) (destination.View, error)
	Test(ctx context.Context, name string) (destination.TestResult, error)
	Replay(ctx context.Context, name, what string, from, to time.Time) error
	Undelivered(ctx context.Context, name, after string, limit int) ([]store.Undelivered, error)
	DropUndelivered(ctx context.Context, name string) error
}

// DestinationsAnswer is the answer of GET /destinations.
type DestinationsAnswer struct {
	Destinations []destination.View `json:"destinations" nullable:"false"`
}

// ReplayRequest is the body of POST /destinations/{name}/replay.
type ReplayRequest struct {
	What string     `json:"what" enum:"dead_letters,history"`
	From *time.Time `json:"from,omitempty" doc:"Of history: received from then on"`
	To   *time.Time `json:"to,omitempty" doc:"Of history: received before; now where it is absent"`
}

// DeadLettersAnswer is the answer of GET /destinations/{name}/dead-letters.
type DeadLettersAnswer struct {
	DeadLetters []DeadLetter `json:"dead_letters" nullable:"false" doc:"Oldest first"`
}

// DeadLetter is an event that a destination refused for good.
type DeadLetter struct {
	ID     string          `json:"id" doc:"Goes into after, for the next page"`
	Event  json.RawMessage `json:"event" doc:"As it was accepted: without the destination's transformations"`
	Detail string          `json:"detail" doc:"What the destination answered"`
	At     time.Time       `json:"at"`
}

type (
	destinationsOutput struct{ Body DestinationsAnswer }
	destinationOutput  struct{ Body destination.View }
	destinationInput   struct {
		Name string `path:"name" maxLength:"50"`
	}
	deadLettersInput struct {
		Name  string `path:"name" maxLength:"50"`
		After string `query:"after" maxLength:"100" doc:"The id of the last one of the page before"`
		Limit int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
	}
	deadLettersOutput struct{ Body DeadLettersAnswer }
)

// schemaName is a type's name in the OpenAPI document. Those of destinations are called by the
// package that they are in, which the document does not show.
func schemaName(t reflect.Type, hint string) string {
	name, named := huma.DefaultSchemaNamer(t, hint), t
	for named.Kind() == reflect.Pointer {
		named = named.Elem()
	}
	if named.PkgPath() == reflect.TypeFor[destination.View]().PkgPath() {
		return "Destination" + name
	}
	return name
}

func (s *Server) registerDestinations() {
	const path = base + "/destinations"
	one := func(method, sub, id, summary, detail string) operation {
		return operation{route: route{method: method, path: path + "/{name}" + sub, scope: access.Admin}, id: id,
			tag: "destinations", summary: summary, detail: detail, faults: []int{http.StatusNotFound, http.StatusServiceUnavailable}}
	}
	read(s, operation{route: route{method: http.MethodGet, path: path, scope: access.Admin},
		id: "list-destinations", tag: "destinations", summary: "External services that events go on to",
		faults: []int{http.StatusServiceUnavailable}}, s.listDestinations)
	s.plain(operation{route: route{method: http.MethodPost, path: path, scope: access.Admin},
		id: "put-destination", tag: "destinations", summary: "Make a destination, or change the one of that name",
		detail: "All settings are given anew; secrets that are absent stay, unless the kind or the URL changes; those that are null are removed.",
		faults: []int{http.StatusConflict, http.StatusServiceUnavailable}},
		destination.Request{}, map[int]payload{200: destination.View{}, 201: destination.View{}}, s.putDestination)
	read(s, one(http.MethodGet, "", "get-destination", "One destination", ""), s.getDestination)
	read(s, one(http.MethodDelete, "", "delete-destination", "Forget a destination and all that waits for it", ""), s.deleteDestination)
	read(s, one(http.MethodPost, "/pause", "pause-destination", "Switch a destination off", "Events go on to be stored; it gets them when it is switched on again."), s.pauseDestination)
	read(s, one(http.MethodPost, "/resume", "resume-destination", "Switch a destination on", ""), s.resumeDestination)
	s.namedPlain(one(http.MethodPost, "/test", "test-destination", "Send one event and show the answer", "Sent at once and tried once, past the filter."),
		nil, map[int]payload{200: destination.TestResult{}}, s.testDestination)
	s.namedPlain(one(http.MethodPost, "/replay", "replay-destination", "Deliver dead letters or history again", "Answers at once; the replay comes before what the journal still has."),
		ReplayRequest{}, map[int]payload{202: Done{}}, s.replayDestination)
	read(s, one(http.MethodGet, "/dead-letters", "list-dead-letters", "Events that the destination refused for good", ""), s.listDeadLetters)
	read(s, one(http.MethodDelete, "/dead-letters", "drop-dead-letters", "Remove a destination's dead letters", ""), s.dropDeadLetters)
}

// namedPlain is plain for a path with a name in it.
func (s *Server) namedPlain(op operation, in payload, out map[int]payload, h handler) {
	op.params = []*huma.Param{{Name: "name", In: "path", Required: true, Schema: s.schema("")}}
	s.plain(op, in, out, h)
}

func (s *Server) listDestinations(ctx context.Context, _ *struct{}) (*destinationsOutput, error) {
	list, err := s.deps.Destinations.List(ctx)
	if err != nil {
		return nil, err
	}
	return &destinationsOutput{Body: DestinationsAnswer{Destinations: list}}, nil
}

func (s *Server) putDestination(w http.ResponseWriter, r *http.Request) error {
	b, err := s.bodies.read(w, r)
	if err != nil {
		return err
	}
	defer b.release()
	var in destination.Request
	if err := decode(b.buf, &in); err != nil {
		return err
	}
	v, created, err := s.deps.Destinations.Put(r.Context(), &in)
	if err != nil {
		return err
	}
	status := http.StatusOK
	if created {
		status = http.StatusCreated
	}
	return writeJSON(w, status, v)
}

func (s *Server) getDestination(ctx context.Context, in *destinationInput) (*destinationOutput, error) {
	v, err := s.deps.Destinations.Get(ctx, in.Name)
	if err != nil {
		return nil, err
	}
	return &destinationOutput{Body: v}, nil
}

func (s *Server) deleteDestination(ctx context.Context, in *destinationInput) (*doneOutput, error) {
	if err := s.deps.Destinations.Delete(ctx, in.Name); err != nil {
		return nil, err
	}
	return &doneOutput{Body: Done{Success: true, Message: "Destination deleted"}}, nil
}

func (s *Server) pauseDestination(ctx context.Context, in *destinationInput) (*destinationOutput, error) {
	v, err := s.deps.Destinations.SetEnabled(ctx, in.Name, false)
	if err != nil {
		return nil, err
	}
	return &destinationOutput{Body: v}, nil
}

func (s *Server) resumeDestination(ctx context.Context, in *destinationInput) (*destinationOutput, error) {
	v, err := s.deps.Destinations.SetEnabled(ctx, in.Name, true)
	if err != nil {
		return nil, err
	}
	return &destinationOutput{Body: v}, nil
}

// testDestination takes no body; one that is sent is left unread.
func (s *Server) testDestination(w http.ResponseWriter, r *http.Request) error {
	result, err := s.deps.Destinations.Test(r.Context(), r.PathValue("name"))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, result)
}

func (s *Server) replayDestination(w http.ResponseWriter, r *http.Request) error {
	b, err := s.bodies.read(w, r)
	if err != nil {
		return err
	}
	defer b.release()
	var in ReplayRequest
	if err := decode(b.buf, &in); err != nil {
		return err
	}
	var from, to time.Time
	if in.From != nil {
		from = *in.From
	}
	if in.To != nil {
		to = *in.To
	}
	if err := s.deps.Destinations.Replay(r.Context(), r.PathValue("name"), in.What, from, to); err != nil {
		return err
	}
	return writeJSON(w, http.StatusAccepted, Done{Success: true, Message: "Replay begins"})
}

func (s *Server) listDeadLetters(ctx context.Context, in *deadLettersInput) (*deadLettersOutput, error) {
	var p params
	after := p.text("after", in.After)
	if err := p.err(); err != nil {
		return nil, err
	}
	list, err := s.deps.Destinations.Undelivered(ctx, in.Name, after, in.Limit)
	if err != nil {
		return nil, err
	}
	out := &deadLettersOutput{Body: DeadLettersAnswer{DeadLetters: make([]DeadLetter, len(list))}}
	for i := range list {
		out.Body.DeadLetters[i] = DeadLetter{ID: list[i].ID, Event: eventjson.Append(nil, &list[i].Event), Detail: list[i].Detail, At: list[i].At}
	}
	return out, nil
}

func (s *Server) dropDeadLetters(ctx context.Context, in *destinationInput) (*doneOutput, error) {
	if err := s.deps.Destinations.DropUndelivered(ctx, in.Name); err != nil {
		return nil, err
	}
	return &doneOutput{Body: Done{Success: true, Message: "Dead letters removed"}}, nil
}
