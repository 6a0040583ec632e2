package journal

import (
	"context"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// backend is a JetStream: one inside the process or one of somebody else's.
type backend interface {
	// connect returns a connection that can be trusted; where the last one could not, a new one.
	connect(ctx context.Context) (*nats.Conn, error)
	// adopt prepares the stream, which exists by then, before it is used.
	adopt(ctx context.Context, js jetstream.JetStream, info *jetstream.StreamInfo) error
	// create says how the stream is to be made; a backend may have more than one wish.
	create(ctx context.Context, js jetstream.JetStream) (jetstream.Stream, error)
	// check says why what is stored cannot be trusted, nil when it can.
	check() error
	// room refuses n more bytes where the disk has none to spare.
	room(n int) error
	// roomToPurge refuses where the disk has no room for what a purge writes.
	roomToPurge() error
	// settle puts on disk what JetStream leaves to the file system after a write.
	settle() error
	// exclusive tells whether this process alone writes to the stream.
	exclusive() bool
	// close ends the connection and everything that was started.
	close()
}
