// Package upkeep keeps the database within what is configured, in the background: it deletes the
// oldest events by age and by size, and has erased persons' bytes leave the files.
//
// It works in small steps with a rest between them, in one process of all that share a database,
// and promises to delete nothing but what the configuration says: events older than the age, or the
// oldest ones above the size, and of these only such as were received before the window in which
// their ids count as duplicates. Totals that are made of events do not change by it. Of
// roll-ups it deletes what is older than they are kept.
package upkeep
