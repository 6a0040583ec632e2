// Package faults has only tests: stories in which the real program is killed, starved of disk or
// cut off from its database while clients go on sending.
//
// Each story keeps a ledger of its own outside the faulted process: every id that was sent, and
// whether it was answered with yes, refused, or never answered. When the fault is over and nothing
// is pending, the database must hold every acknowledged id once, an unanswered one at most once
// and a refused one not at all, and the service's own ledger must add up with nothing lost.
//
// A pass takes some minutes; -faults=long runs the full counts, -short none. The stories need
// Linux; some also need root (small file systems), strace or PostgreSQL and say loudly when they
// are skipped for want of it. Under CI=true as root, what cannot run is a failure.
package faults
