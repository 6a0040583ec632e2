// Package destination carries accepted events on to external services.
//
//	journal ─▶ Runner, one a destination: filter ─▶ gather ─▶ mask ─▶ send, one request at a time
//	             │ cursor of its own         │ refused for good        │ try again, for ever
//	             ▼                           ▼                         ▼
//	          database                  dead letters              breaker, backoff
//	             ▲
//	          Manager: who runs, configuration, cursors saved once a second for all together
//
// It promises, for each destination: every event that was accepted after it began, and that its
// filter lets through, is delivered at least once, under the event_id it has everywhere, in the order
// of the journal; over kill -9 and for as long as the receiver is away. One that is slow or dead
// delays no other and never the store, to which all give way while it is busy. An event that is
// refused for good is kept as a dead letter before the next one is sent. Of all replicas on one
// stream one delivers.
//
// Destinations read the journal and not the database: there the order is the one in which events
// were accepted, and a position says all about what was delivered. The database has no such
// position: its transactions end in another order than they begin, so that a cursor over times
// misses what is committed late, and a column that orders them would cost every insert. The price
// is that what one destination has yet to deliver stays in the journal, at most until that is
// holdShare full: from there on the oldest messages leave it all the same, so that the doors go on.
// They are in the database by then, and nothing else may leave the journal. Whoever needed them
// finds the gap and reads what lies in it from there, by the time of receipt, with slack on both
// sides: some events are then delivered twice, none is missed, except those that retention has
// deleted by then, or imports whose receipt is older. A destination that is switched off holds
// nothing and catches up in the same way, and so does one that an erasure overtakes, which empties
// the journal. What was received of an erased person is not delivered any more; what has been
// cannot be called back.
//
// Each destination decodes the journal for itself. A common reader would save that, and would have
// to wait for the slowest or know which have left it. So that the store has the processors,
// destinations give way while it is busy: all together they then take about one in yieldTo
// of the processors, however many they are, and catch up when it is not. What this does
// not spare the store is the memory of a journal that keeps for them what is stored; see
// docs/performance.md. What they leave meanwhile is as safe as while a receiver is away. They never
// stand still.
package destination
