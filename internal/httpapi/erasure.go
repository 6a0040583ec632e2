package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/tidemark-obs/tidemark/internal/access"
	"github.com/tidemark-obs/tidemark/internal/store"
	"github.com/tidemark-obs/tidemark/internal/upkeep"
)

// ErasureAnswer is the receipt of a person's removal.
type ErasureAnswer struct {
	ErasureID   string     `json:"erasure_id" doc:"GET /erasures/{erasure_id} shows this again"`
	Status      string     `json:"status" enum:"removed,complete" doc:"removed: no answer shows the person any more, but deleted bytes are still in files; complete: they are not"`
	RequestedAt time.Time  `json:"requested_at"`
	Refuse      bool       `json:"refuse" doc:"Whether later events of the same user are refused"`
	Events      int64      `json:"events" doc:"Events removed"`
	DeadLetters int64      `json:"dead_letters" doc:"Dead letters removed"`
	Late        int64      `json:"late" doc:"Events that came to be stored afterwards and were not"`
	JournalAt   *time.Time `json:"journal_clean_at" doc:"When the journal's files were free of the person; null = not yet, or not known"`
	CompactedAt *time.Time `json:"database_clean_at" doc:"When the database's files were; null = not yet: tidemark maintenance --compact writes them anew"`
}

type (
	eraseInput struct {
		UserID string `path:"user_id" maxLength:"100"`
		Refuse bool   `query:"refuse" doc:"Refuse later events of the same user as well"`
	}
	erasureInput struct {
		ID string `path:"erasure_id" maxLength:"100"`
	}
	erasureOutput struct{ Body ErasureAnswer }
)

func (s *Server) registerErasures() {
	read(s, operation{route: route{method: http.MethodDelete, path: base + "/users/{user_id}", scope: access.Admin},
		id: "erase-user", tag: "privacy", summary: "Erase a person everywhere",
		detail: "Removes the user's events from the database, the dead letters and the journal. Events received before the request are not stored any more, whatever way they come.",
		faults: []int{http.StatusServiceUnavailable}}, s.eraseUser)
	read(s, operation{route: route{method: http.MethodGet, path: base + "/erasures/{erasure_id}", scope: access.Admin},
		id: "get-erasure", tag: "privacy", summary: "The receipt of an erasure",
		faults: []int{http.StatusNotFound, http.StatusServiceUnavailable}}, s.getErasure)
	s.plain(operation{route: route{method: http.MethodPost, path: base + "/maintenance", scope: access.Admin},
		id: "maintain", tag: "service", summary: "Keep the database within its bounds now",
		detail: "What the service does by itself every hour: deletes what is over the configured age and size. Answers when it is done.",
		params: []*huma.Param{{Name: "compact", In: "query", Schema: s.schema(false),
			Description: "true: write the database's files anew, without what was deleted. Nothing is stored meanwhile"}},
		faults: []int{http.StatusConflict, http.StatusUnprocessableEntity, http.StatusServiceUnavailable}},
		nil, map[int]payload{200: upkeep.Report{}}, s.maintain)
}

func (s *Server) eraseUser(ctx context.Context, in *eraseInput) (*erasureOutput, error) {
	var p params
	user := p.text("user_id", in.UserID)
	if err := p.err(); err != nil {
		return nil, err
	}
	e, err := s.deps.Erasures.Erase(ctx, user, in.Refuse)
	if err != nil {
		return nil, err
	}
	if kept, err := s.deps.Events.Erasure(ctx, e.ID); err == nil { // as it is shown again
		e = kept
	}
	return &erasureOutput{Body: erasureAnswer(&e)}, nil
}

func (s *Server) getErasure(ctx context.Context, in *erasureInput) (*erasureOutput, error) {
	var p params
	id := p.text("erasure_id", in.ID)
	if err := p.err(); err != nil {
		return nil, err
	}
	e, err := s.deps.Events.Erasure(ctx, id)
	if err != nil {
		return nil, err
	}
	return &erasureOutput{Body: erasureAnswer(&e)}, nil
}

func erasureAnswer(e *store.Erasure) ErasureAnswer {
	a := ErasureAnswer{
		ErasureID: e.ID, Status: "removed", RequestedAt: e.RequestedAt, Refuse: e.Refuse, Events: e.Events,
		DeadLetters: e.DeadLetters, Late: e.Late, JournalAt: moment(e.JournalAt), CompactedAt: moment(e.CompactedAt),
	}
	if a.JournalAt != nil && a.CompactedAt != nil {
		a.Status = "complete"
	}
	return a
}

// maintain goes on when its client leaves: half a round is worth nothing. It may take longer than
// answers usually do.
func (s *Server) maintain(w http.ResponseWriter, r *http.Request) error {
	compact := false
	switch r.URL.Query().Get("compact") {
	case "", "false":
	case "true":
		compact = true
	default:
		return invalid("compact", "must be true or false")
	}
	_ = http.NewResponseController(w).SetWriteDeadline(time.Time{}) // unsupported only where there is no connection
	report, err := s.deps.Upkeep.Once(context.WithoutCancel(r.Context()), compact)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, report)
}
