package journal

import (
	"time"

	"github.com/tidemark-obs/tidemark/internal/event"
)

// Entry is what one request asks to have written: its events and what else it settles.
type Entry struct {
	Lines  []byte       // newline-terminated JSON records, see event/eventjson; may be empty
	Counts event.Counts // what these lines settle at the doors: received, rejected, sampled_out, accepted
}

// Message is one group of entries as the journal keeps it: the unit of writing and of reading.
type Message struct {
	Seq    uint64 // position in the stream, from 1, without gaps
	Time   time.Time
	Writer string // the process that wrote it
	// Total is how many events Writer had accepted when it wrote this message, these included.
	// A reader that sees it jump knows that a message in between is gone.
	Total  uint64
	Counts event.Counts
	// Lines are nil when read by headers only. They belong to the Reader: its next call may put
	// other ones in their place.
	Lines []byte

	encoding string // of what was written; empty = as it is
}

// State is the journal as it stands.
type State struct {
	StreamID string // a new one whenever the stream is made anew: positions of another id mean nothing
	FirstSeq uint64
	LastSeq  uint64
	Bytes    int64
	MaxBytes int64
	Oldest   time.Time // of the first message not known to be settled; zero when there is none
	Err      error     // why the journal takes nothing now, nil when it does
}
