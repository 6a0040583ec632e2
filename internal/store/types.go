package store

import (
	"time"

	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/question"
)

// Cursor is how far one journal stream has been stored and what became of its events so far.
// It is one row, changed only in the transaction that stores the events it speaks of.
type Cursor struct {
	Stream string
	Seq    uint64            // every message up to and including Seq is settled
	Counts event.Counts      // totals since the stream began
	Totals map[string]uint64 // last journal.Message.Total seen of each writer
}

// Batch is what one storing transaction does: it moves the cursor from From.Seq to Seq and
// stores everything in between.
type Batch struct {
	From     Cursor
	Seq      uint64
	Totals   map[string]uint64
	Counts   event.Counts  // to add: received, rejected, sampled_out, accepted (what the messages state)
	Events   []event.Event // in journal order
	Dead     []DeadLetter  // events that cannot be stored, already known
	Receipts []Receipt     // of rejected events
}

// Receipt says what became of one event id that is not (only) stored.
type Receipt struct {
	EventID string
	Status  Status
	Reason  string
	At      time.Time
}

// Status is the state of one event.
type Status string

// The states of an event.
const (
	StatusPending      Status = "pending"
	StatusStored       Status = "stored"
	StatusDuplicate    Status = "duplicate"
	StatusRejected     Status = "rejected"
	StatusDeadLettered Status = "dead_lettered"
)

// DeadLetter is an accepted event that cannot be stored, kept whole with the reason.
type DeadLetter struct {
	EventID string
	Reason  event.Reason
	Detail  string // what the database or decoder said, for the operator
	Payload []byte // the journal line
	At      time.Time
}

// Filter selects events; empty fields select all. Start is inclusive, End exclusive.
type Filter struct {
	EventType, EventName, UserID, SessionID, Severity string
	Processed                                         *bool
	Tags                                              []string // all of them
	Start, End                                        time.Time
	// Where are conditions that a question's Parser let through; all must hold.
	Where []question.Condition `json:",omitempty"`
}

// Page is a place in a listing, newest first: events strictly after (Timestamp, EventID).
type Page struct {
	Limit     int
	Timestamp time.Time // zero = from the newest
	EventID   string
}

// Patch changes one event; nil fields stay.
type Patch struct {
	Processed *bool
	Severity  *event.Severity
	Tags      *[]string
	Metadata  *event.Object
}

// Stats is the answer of GET /events/stats.
type Stats struct {
	TotalEvents, ProcessedEvents, UnprocessedEvents, UniqueUsers int64
	ByType, BySeverity                                           map[string]int64
	TopUsers, TopEvents                                          []Count // at most 10, most first

	UsersBound   float64 // how far UniqueUsers may be off, as a share of it
	TopUsersMore int64   // how many events any user may have more than TopUsers says

	CompleteFrom *time.Time // before it events may be missing; nil where none are
}

// Count is one value and how often it stands.
type Count struct {
	Value string
	Count int64
}

// Key is an access key as it is kept; the key itself is not.
type Key struct {
	ID         string
	Name       string
	Hash       []byte // SHA-256 of the key
	Hint       string // the first characters, to recognise it by
	Scopes     []string
	CreatedAt  time.Time
	LastUsedAt time.Time // zero = never
	RevokedAt  time.Time // zero = valid
}
