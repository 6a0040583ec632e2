package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tidemark-obs/tidemark/internal/access"
	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/store"
)

// EventPatch is the body of PATCH /events/{event_id}. What is not named stays.
type EventPatch struct {
	Processed *bool           `json:"processed,omitempty"`
	Severity  *string         `json:"severity,omitempty" enum:"low,medium,high,critical"`
	Tags      *[]string       `json:"tags,omitempty" nullable:"false" maxItems:"20" doc:"Takes the place of the tags there are"`
	Metadata  *map[string]any `json:"metadata,omitempty" doc:"Takes the place of the metadata there is"`
}

// patchBody is EventPatch with the metadata as it was sent.
type patchBody struct {
	Processed *bool          `json:"processed"`
	Severity  *string        `json:"severity"`
	Tags      *[]string      `json:"tags"`
	Metadata  jsontext.Value `json:"metadata"`
}

// ProcessedRequest is the body of POST /events/processed.
type ProcessedRequest struct {
	EventIDs []string `json:"event_ids" nullable:"false" minItems:"1" maxItems:"1000"`
}

// ProcessedAnswer is the answer of POST /events/processed.
type ProcessedAnswer struct {
	ProcessedCount int64 `json:"processed_count" doc:"How many of them are stored and were not processed before"`
}

func (s *Server) registerEventChanges() {
	one := route{method: http.MethodPatch, path: base + "/events/{event_id}", scope: access.Admin}
	s.plain(operation{route: one, id: "change-event", tag: "events", summary: "Change a stored event",
		params: []*huma.Param{{Name: "event_id", In: "path", Required: true, Description: "The event's id", Schema: s.schema("")}},
		faults: []int{http.StatusNotFound, http.StatusServiceUnavailable}},
		EventPatch{}, map[int]payload{200: Event{}}, s.changeEvent)
	read(s, operation{route: route{method: http.MethodDelete, path: base + "/events/{event_id}", scope: access.Admin},
		id: "delete-event", tag: "events", summary: "Delete a stored event",
		faults: []int{http.StatusNotFound, http.StatusServiceUnavailable}}, s.deleteEvent)
	s.plain(operation{route: route{method: http.MethodPost, path: base + "/events/processed", scope: access.Admin},
		id: "mark-processed", tag: "events", summary: "Mark stored events as processed",
		faults: []int{http.StatusServiceUnavailable}},
		ProcessedRequest{}, map[int]payload{200: ProcessedAnswer{}}, s.markProcessed)
}

func (s *Server) changeEvent(w http.ResponseWriter, r *http.Request) error {
	var p params
	id := p.text("event_id", r.PathValue("event_id"))
	if err := p.err(); err != nil {
		return err
	}
	var body patchBody
	if err := s.bodies.decode(w, r, &body); err != nil {
		return err
	}
	patch, err := s.patchOf(&body)
	if err != nil {
		return err
	}
	e, err := s.deps.Events.Update(r.Context(), id, patch, s.deps.Now())
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, eventView{&e})
}

// patchOf checks a patch by the rules of the event.
func (s *Server) patchOf(b *patchBody) (store.Patch, error) {
	limits := &s.deps.Limits.Event
	patch := store.Patch{Processed: b.Processed, Tags: b.Tags}
	var p params
	if b.Severity != nil {
		severity := event.Severity(*b.Severity)
		if !slices.Contains(event.Severities, severity) {
			p.fail("/severity", "must be low, medium, high or critical")
		}
		patch.Severity = &severity
	}
	if b.Tags != nil {
		p.tags("/tags", *b.Tags, limits)
	}
	if b.Metadata != nil {
		metadata, faults := s.deps.Decoder.Object(b.Metadata)
		for _, f := range faults {
			p.fail("/metadata"+f.Location, f.Message)
		}
		patch.Metadata = &metadata
	}
	if b.Processed == nil && b.Severity == nil && b.Tags == nil && b.Metadata == nil {
		p.fail("", "names nothing to change: processed, severity, tags or metadata")
	}
	return patch, p.err()
}

// tags checks tags by the rules of the event.
func (p *params) tags(name string, tags []string, l *event.Limits) {
	if len(tags) > l.Tags {
		p.fail(name, fmt.Sprintf("must have at most %d tags", l.Tags))
		return
	}
	for i, tag := range tags {
		at := name + "/" + strconv.Itoa(i)
		switch {
		case tag == "":
			p.fail(at, "must not be empty")
		case utf8.RuneCountInString(tag) > l.TagLength:
			p.fail(at, fmt.Sprintf("must have at most %d characters", l.TagLength))
		default:
			p.text(at, tag)
		}
	}
}

func (s *Server) deleteEvent(ctx context.Context, in *eventInput) (*doneOutput, error) {
	var p params
	id := p.text("event_id", in.ID)
	if err := p.err(); err != nil {
		return nil, err
	}
	if err := s.deps.Events.Delete(ctx, id); err != nil {
		return nil, err
	}
	return &doneOutput{Body: Done{Success: true, Message: "Event deleted"}}, nil
}

func (s *Server) markProcessed(w http.ResponseWriter, r *http.Request) error {
	var in ProcessedRequest
	if err := s.bodies.decode(w, r, &in); err != nil {
		return err
	}
	if err := s.checkIDs(in.EventIDs); err != nil {
		return err
	}
	n, err := s.deps.Events.MarkProcessed(r.Context(), in.EventIDs, s.deps.Now())
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, ProcessedAnswer{ProcessedCount: n})
}

func (s *Server) checkIDs(ids []string) error {
	var p params
	switch most := s.deps.Limits.BulkEvents; {
	case len(ids) == 0:
		p.fail("/event_ids", "must name at least one event")
	case len(ids) > most:
		p.fail("/event_ids", fmt.Sprintf("must name at most %d events", most))
	default:
		for i, id := range ids {
			if id == "" || utf8.RuneCountInString(id) > s.deps.Limits.Event.IDLength || strings.IndexByte(id, 0) >= 0 {
				p.fail("/event_ids/"+strconv.Itoa(i), fmt.Sprintf("must have 1 to %d characters", s.deps.Limits.Event.IDLength))
			}
			if len(p.faults) == maxFaults {
				break
			}
		}
	}
	return p.err()
}

// maxFaults bounds how many faults one answer lists.
const maxFaults = 100
