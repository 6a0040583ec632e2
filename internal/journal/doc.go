// Package journal is the durable log between the doors and the database.
//
//	Append ─▶ group ─▶ one JetStream message, fsynced ─▶ every caller of the group returns
//	                        │
//	Reader ◀────────────────┘        Purge forgets what the database has
//
// With no URL it runs a JetStream of its own inside the process; with one it uses a JetStream
// cluster. The same code appends, reads and purges in both cases.
//
// It promises:
//
//   - When Append returns nil the entry is on disk: fsynced by the embedded JetStream,
//     acknowledged by a quorum of an external one. While one message is under way the entries
//     that arrive gather into the next; there is no timer, and an entry is never split.
//   - Messages are read in the order of their positions, without gaps. A gap, which only a purge
//     or a stream made anew can cause, is an error of kind errs.Conflict, never silence.
//   - Who reads headers only is given what this process wrote lately from memory, where nobody else
//     can write. Reading the end costs JetStream nothing then, whatever waits before it.
//   - It is bounded: over MaxBytes, beyond MaxAge or below MinFree on disk it refuses new
//     entries with errs.Overloaded. Nothing is ever dropped to make room.
//   - Lines of more than a KiB are compressed where that makes them smaller, and read back as they
//     were. Bytes are always those of the stream, after compression. What cannot be read back is an
//     error that names its position; however it is damaged, it takes no more memory than the
//     largest message.
//   - After a write error it refuses with errs.Unavailable, State says why, and it opens itself
//     anew as soon as the disk can be written again. If the last acknowledged message were
//     missing then, it would go on refusing.
//   - The newest message is never purged, so positions never start over.
//
// When an append fails without a clear answer, the message is looked for, or sent again under
// the same id, until AppendTimeout. If its fate is still unknown then, the entries are refused,
// and the writer goes on under a new id with a total of its own: should the message turn out to
// be stored after all, it is whole, it is counted by its own headers, and no total is wrong.
// With the embedded JetStream its fate is settled before anything else is written.
package journal
