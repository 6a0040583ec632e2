package httpapi

import (
	"context"
	"net/http"

	"github.com/tidemark-obs/tidemark/internal/access"
	"github.com/tidemark-obs/tidemark/internal/ingest"
)

// ReceiptAnswer is the answer of GET /receipts/{event_id}.
type ReceiptAnswer struct {
	EventID string `json:"event_id"`
	Status  string `json:"status" enum:"pending,stored,duplicate,rejected,dead_lettered" doc:"What became of the event"`
	Reason  string `json:"reason,omitempty" doc:"Why, where it was rejected or dead-lettered"`
}

type (
	ledgerOutput struct{ Body ingest.Ledger }
	receiptInput struct {
		ID string `path:"event_id" maxLength:"100" doc:"The event's id"`
	}
	receiptOutput struct{ Body ReceiptAnswer }
)

func (s *Server) registerAccounts() {
	read(s, operation{route: route{method: http.MethodGet, path: base + "/ledger", scope: access.Read},
		id: "ledger", tag: "accounts", summary: "Where all events are",
		detail: "received = rejected + sampled_out + accepted, accepted = stored + duplicate + dead_lettered + pending, and lost is 0.",
		faults: []int{http.StatusServiceUnavailable}}, s.ledger)
	read(s, operation{route: route{method: http.MethodGet, path: base + "/receipts/{event_id}", scope: access.Read},
		id: "receipt", tag: "accounts", summary: "What became of one event",
		faults: []int{http.StatusNotFound, http.StatusServiceUnavailable}}, s.receipt)
}

func (s *Server) ledger(ctx context.Context, _ *struct{}) (*ledgerOutput, error) {
	l, err := s.deps.Accounts.Ledger(ctx)
	if err != nil {
		return nil, err
	}
	return &ledgerOutput{Body: l}, nil
}

func (s *Server) receipt(ctx context.Context, in *receiptInput) (*receiptOutput, error) {
	var p params
	id := p.text("event_id", in.ID)
	if err := p.err(); err != nil {
		return nil, err
	}
	r, err := s.deps.Accounts.Receipt(ctx, id)
	if err != nil {
		return nil, err
	}
	return &receiptOutput{Body: ReceiptAnswer{EventID: r.EventID, Status: string(r.Status), Reason: r.Reason}}, nil
}
