// Package perf measures the service and its machine: how long each operation takes, and how
// full memory, CPU and disk are.
//
//	Operations.Record ─▶ one sketch per operation and minute ─▶ merged over the window ─▶ Stats
//	Machine.Read      ─▶ System, every few seconds           ─▶ Read, Health
//
// It promises: percentiles within 1 % of the exact ones and never averaged, the rest exact;
// nothing older than the window; a bounded number of operations and so of bytes; readings that
// are instant and, inside a container, are about its limits.
package perf
