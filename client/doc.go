// Package client sends events to Tidemark: an event is tracked in one line, an operation timed in
// one line, and Middleware measures every request of a net/http server.
//
//	Track, Time, Middleware
//	      │ made JSON with an id, then copied; the caller goes on
//	      ▼
//	buffer in memory, or spool in a directory      bounded; what does not fit is counted
//	      │ 100 events, 60 s, 512 KiB, Flush or Close
//	      ▼
//	one sender ── POST /api/analytics/batch-track ──▶ Tidemark
//	      └─ waits and tries again until there is a verdict on each event
//
// It promises:
//
//   - Track never panics, and never waits for the network. It waits for room only under the policy
//     Block, and then no longer than BlockFor. Properties are copied: the caller may change them
//     afterwards.
//   - Every event ends in exactly one number of Stats, and the sum always holds:
//     Tracked + Recovered = Sent + Sampled + Refused + Dropped + Pending.
//   - An event's id is made when it is tracked, so that trying again never makes a second event:
//     Tidemark stores an id once, for at least 48 hours.
//   - Only a verdict on the event itself ends an event. A wrong key, a wrong address, 429, 5xx and
//     a broken connection are waited for, as long as the process lives and there is room.
//   - With a spool, Track returns after the event was written to a file (write, not fsync). What
//     was tracked then survives the death of the process, and the next client on that directory
//     sends it. Files are synced every second, so that a power cut can take the last second. What
//     was sent and not yet noted as sent when the process died is sent again, at most one batch.
//   - Memory is bounded by MaxBuffered, disk by SpoolBytes, goroutines by two; Close joins them.
//
// It needs the standard library, the OpenTelemetry API and otelhttp, and is a module of its own.
package client
