package event

import (
	"encoding/json"
	"fmt"
)

// Protocol is the door an event came through.
type Protocol uint8

// The protocols.
const (
	Analytics Protocol = iota // /api/analytics
	Self                      // the service's own requests, recorded as events
	Import                    // events moved here from elsewhere: they keep when they were received
	numProtocols
)

var protocolNames = [numProtocols]string{"analytics", "self", "import"}

func (p Protocol) String() string { return protocolNames[p] }

// Protocols lists every protocol.
func Protocols() []Protocol { return enumerate[Protocol](int(numProtocols)) }

// Reason is why an event was rejected or dead-lettered.
type Reason uint8

// The reasons.
const (
	ReasonInvalid            Reason = iota // breaks a rule of the event
	ReasonMalformed                        // not readable as JSON
	ReasonTooLarge                         // over a size limit
	ReasonFuture                           // its time is further ahead than clocks are wrong
	ReasonDisabled                         // tracking is switched off
	ReasonJournalFull                      // the journal is at its bound
	ReasonJournalUnavailable               // the journal cannot write
	ReasonStoreRefused                     // the database refuses this one event
	ReasonUndecodable                      // a journal record cannot be read back
	ReasonErased                           // its user was erased; nothing of it is kept
	numReasons
)

var reasonNames = [numReasons]string{
	"invalid", "malformed", "too_large", "future", "disabled", "journal_full", "journal_unavailable",
	"store_refused", "undecodable", "erased",
}

func (r Reason) String() string { return reasonNames[r] }

// DoorReasons lists the reasons for which doors reject events.
func DoorReasons() []Reason { return enumerate[Reason](int(ReasonStoreRefused)) }

// StoreReasons lists the reasons for which the store dead-letters events.
func StoreReasons() []Reason { return []Reason{ReasonStoreRefused, ReasonUndecodable, ReasonErased} }

func enumerate[T ~uint8](n int) []T {
	all := make([]T, n)
	for i := range all {
		all[i] = T(i)
	}
	return all
}

// Counts adds up what became of events. The two equations of the ledger are
//
//	received = rejected + sampled_out + accepted
//	accepted = stored + duplicate + dead_lettered + pending
//
// Counts knows no pending: it is what the journal holds beyond the store's cursor.
type Counts struct {
	Received     [numProtocols]uint64
	Rejected     [numReasons]uint64
	SampledOut   uint64
	Accepted     uint64
	Stored       uint64
	Duplicate    uint64
	DeadLettered [numReasons]uint64
}

// Add adds o to c.
func (c *Counts) Add(o *Counts) {
	for i, n := range o.Received {
		c.Received[i] += n
	}
	for i, n := range o.Rejected {
		c.Rejected[i] += n
	}
	for i, n := range o.DeadLettered {
		c.DeadLettered[i] += n
	}
	c.SampledOut += o.SampledOut
	c.Accepted += o.Accepted
	c.Stored += o.Stored
	c.Duplicate += o.Duplicate
}

// IsZero reports whether nothing was counted.
func (c *Counts) IsZero() bool { return *c == Counts{} }

// ReceivedTotal is the sum over all protocols.
func (c *Counts) ReceivedTotal() uint64 { return sum(c.Received[:]) }

// RejectedTotal is the sum over all reasons.
func (c *Counts) RejectedTotal() uint64 { return sum(c.Rejected[:]) }

// DeadLetteredTotal is the sum over all reasons.
func (c *Counts) DeadLetteredTotal() uint64 { return sum(c.DeadLettered[:]) }

// Settled is how many accepted events have reached their end: stored, duplicate or dead-lettered.
func (c *Counts) Settled() uint64 { return c.Stored + c.Duplicate + c.DeadLetteredTotal() }

func sum(ns []uint64) (total uint64) {
	for _, n := range ns {
		total += n
	}
	return total
}

// countsJSON is how Counts is kept in journal messages and in the database: by name, so that
// the numbers behind the constants may change.
type countsJSON struct {
	Received     map[string]uint64 `json:"received,omitempty"`
	Rejected     map[string]uint64 `json:"rejected,omitempty"`
	SampledOut   uint64            `json:"sampled_out,omitempty"`
	Accepted     uint64            `json:"accepted,omitempty"`
	Stored       uint64            `json:"stored,omitempty"`
	Duplicate    uint64            `json:"duplicate,omitempty"`
	DeadLettered map[string]uint64 `json:"dead_lettered,omitempty"`
}

// MarshalJSON writes the counts that are not zero, by name.
func (c Counts) MarshalJSON() ([]byte, error) {
	return json.Marshal(countsJSON{
		Received:     byName(c.Received[:], protocolNames[:]),
		Rejected:     byName(c.Rejected[:], reasonNames[:]),
		SampledOut:   c.SampledOut,
		Accepted:     c.Accepted,
		Stored:       c.Stored,
		Duplicate:    c.Duplicate,
		DeadLettered: byName(c.DeadLettered[:], reasonNames[:]),
	})
}

// UnmarshalJSON reads what MarshalJSON wrote. A name this version does not know is an error:
// dropping it would unbalance the ledger.
func (c *Counts) UnmarshalJSON(b []byte) error {
	var j countsJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	*c = Counts{SampledOut: j.SampledOut, Accepted: j.Accepted, Stored: j.Stored, Duplicate: j.Duplicate}
	for _, f := range []struct {
		from  map[string]uint64
		to    []uint64
		names []string
	}{
		{j.Received, c.Received[:], protocolNames[:]},
		{j.Rejected, c.Rejected[:], reasonNames[:]},
		{j.DeadLettered, c.DeadLettered[:], reasonNames[:]},
	} {
		if err := fromNames(f.from, f.to, f.names); err != nil {
			return err
		}
	}
	return nil
}

func byName(ns []uint64, names []string) map[string]uint64 {
	var m map[string]uint64
	for i, n := range ns {
		if n == 0 {
			continue
		}
		if m == nil {
			m = make(map[string]uint64, 1)
		}
		m[names[i]] = n
	}
	return m
}

func fromNames(from map[string]uint64, to []uint64, names []string) error {
	left := len(from)
	for i, name := range names {
		if n, ok := from[name]; ok {
			to[i] = n
			left--
		}
	}
	if left > 0 {
		return fmt.Errorf("counts hold %d names that this version does not know", left)
	}
	return nil
}
