// Package ingest takes events from the doors to the database and accounts for every one.
//
//	Pipeline.Submit    validate, sample, one journal append; the caller answers after it
//	Writer             journal → one transaction: events, receipts, cursor and counts → purge
//	exporter           metrics of stored events, from the totals that the transaction kept
//	Ledger             what was received and what became of it; the sums always hold
//
// It promises: an accepted event is on disk when Submit returns; it ends exactly once as stored,
// duplicate or dead-lettered, over crashes on either side; a refused one leaves nothing behind
// but its count and receipt. What is pending is bounded by the journal.
package ingest
