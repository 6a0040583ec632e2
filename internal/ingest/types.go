package ingest

import (
	"context"
	"time"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/journal"
	"github.com/tidemark-obs/tidemark/internal/store"
)

// Item is one event on its way in. The door fills Event, or Err where it could not be decoded;
// Submit fills the rest.
type Item struct {
	Event    event.Event
	Warnings []errs.Field
	Err      error // why it is refused, nil when it is not
	Sampled  bool  // left out by sampling
}

// Ledger is where all events are. Received = Rejected + SampledOut + Accepted and
// Accepted = Stored + Duplicate + DeadLettered + Pending + Lost, and Lost is 0.
type Ledger struct {
	Received     uint64 `json:"received"`
	Rejected     uint64 `json:"rejected"`
	SampledOut   uint64 `json:"sampled_out"`
	Accepted     uint64 `json:"accepted"`
	Stored       uint64 `json:"stored"`
	Duplicate    uint64 `json:"duplicate"`
	DeadLettered uint64 `json:"dead_lettered"`
	Pending      uint64 `json:"pending"`
	Lost         int64  `json:"lost" doc:"Accepted events that are nowhere; always 0. Below zero, more was settled than accepted"`
}

// Status is how the store writer stands.
type Status struct {
	Buffered  uint64    // events accepted and not yet settled
	LastFlush time.Time // of the last transaction that stored something; zero = none yet
}

// Log is what ingest needs of the journal.
type Log interface {
	Append(ctx context.Context, e journal.Entry) (seq uint64, err error)
	Read(ctx context.Context, after uint64, headersOnly bool) (*journal.Reader, error)
	Settle(ctx context.Context, stored, upTo uint64) error
	State() journal.State
}

// Sink is what ingest needs of the store.
type Sink interface {
	Cursor(ctx context.Context, stream string) (store.Cursor, error)
	Commit(ctx context.Context, b *store.Batch) (store.Result, error)
	Probe(ctx context.Context, events []event.Event) error
	Lease(ctx context.Context, stream string) (release func(), ok bool, err error)
	Receipt(ctx context.Context, id string) (store.Receipt, error)
	List(ctx context.Context, f store.Filter, p store.Page) ([]event.Event, error)
	Prune(ctx context.Context, before time.Time) error
	Erase(ctx context.Context, id, userID string, refuse bool) (store.Erasure, error)
	JournalClean(ctx context.Context, ids ...string) error
	CountErasures(ctx context.Context) (int64, error)
}
