// Package store keeps events, the journal's cursor and what else must survive in one database:
// the embedded DuckDB, or PostgreSQL.
//
// It promises that a Batch is stored in one transaction or not at all: its events, the receipts and
// dead letters beside them, the totals of metrics made from them, and the cursor row that says so.
// An event_id is stored once, for at least Window after it was first received, by whatever replica
// and under whatever timestamp; deleting an event does not make its id new.
//
//	Commit ─▶ fence (cursor row) ─▶ duplicates out ─▶ events in ─▶ cursor row on ─▶ COMMIT
//
// On PostgreSQL the primary key decides what is a duplicate. On DuckDB, where this process is the
// only writer, a filter of fingerprints in memory names the suspects and a query inside the
// storing transaction decides: a unique index there costs half the speed and two thirds of
// the disk, and grows in memory.
//
// The events are also counted, by minute, hour and day and a few columns, in the transaction that
// stores, changes or deletes them, and their users and sessions are sketched (package rollup); the
// background adds totals by one column, and sketches of many days. Questions that these roll-ups can
// answer are answered from them: counts exactly, users and sessions within a bound. So are declared dimensions
// and numbers, by hour and day: all processes count what any of them declares, and an answer says
// how far off it may be where a dimension has more values than it may.
//
// Other questions are answered from the events. On DuckDB the properties that were found to be frequent
// are kept in columns of their own as well, so that their JSON need not be read; where a row has no
// such column or a value does not fit into it, the JSON answers, and nobody can tell.
//
// A list reads what lies near in time. That of one user, who may have few events among millions, goes by
// marks: on PostgreSQL they say when a user had events, on DuckDB each row has one of its user. They are
// stored with the events, so the list lacks none.
//
// Every error has a kind: Invalid when the data itself is refused and the same data will be
// refused again, Unavailable when the database is away, full or slow and a retry helps, Conflict
// when somebody else has moved the cursor, NotFound, and Internal for the rest.
package store
