package client

// Stats is what became of events. At any moment
//
//	Tracked + Recovered = Sent + Sampled + Refused + Dropped.Total() + Pending
type Stats struct {
	Tracked   uint64 // by this client
	Recovered uint64 // found in the spool when the client was made
	Sent      uint64 // the service said yes
	Sampled   uint64 // the service said yes and left them out, as its sampling is configured
	Refused   uint64 // reported to OnRefused
	Dropped   Dropped
	Pending   uint64 // in the buffer, the spool or on their way

	Retries uint64 // attempts that brought no verdict
	Corrupt uint64 // records of the spool that could not be read back when the client was made
}

// Dropped is how many events were lost, by reason.
type Dropped struct {
	Full   uint64 // there was no room
	Closed uint64 // tracked after Close, or still in memory when Close ran out of time
	IO     uint64 // the spool, or the output of Console, could not be written or read
}

// Total is the sum over all reasons.
func (d Dropped) Total() uint64 { return d.Full + d.Closed + d.IO }
