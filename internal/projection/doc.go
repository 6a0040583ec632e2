// Package projection turns stored events into the counters and histograms that were declared of
// them.
//
//	storing transaction ─▶ State.Tally ─▶ rows of the touched series ─▶ COMMIT ─▶ Exporter ─▶ /metrics
//
// It promises that what is exported is what was stored: totals change only in the transaction that
// stores their events, so that neither a crash nor a duplicate counts anything twice or not at all,
// and no counter ever goes back. Of all replicas on one journal stream at most one exports it, by
// an office in the database with a term: the sum over replicas is the number of stored events. A
// replica that does not know the totals, or whose term has ended, exports nothing rather than
// something older.
//
// Series are bounded: each label keeps apart the values known beforehand and after them those that
// come first, up to its dimension's budget; events with any other value are counted in the series
// whose label is declared.Other.
package projection
