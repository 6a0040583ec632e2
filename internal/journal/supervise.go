package journal

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	refreshEvery = time.Second
	healFirst    = 100 * time.Millisecond
	healAtMost   = 5 * time.Second
)

// supervise keeps the status fresh and mends what is broken, until ctx ends.
func (j *Journal) supervise(ctx context.Context) {
	defer j.loseLink()
	var healed time.Time
	var backoff time.Duration
	for ctx.Err() == nil {
		l, closed := j.standing()
		switch {
		case l != nil:
			if time.Since(healed) > healAtMost {
				backoff = 0 // it has lasted
			}
			j.look(ctx, l)
			j.queue.shrink()
			pause(ctx, refreshEvery, j.kick)
		case closed:
			pause(ctx, refreshEvery, nil)
		default:
			pause(ctx, backoff, nil)
			backoff = min(max(2*backoff, healFirst), healAtMost)
			if j.mend(ctx) {
				healed = time.Now()
			}
		}
	}
}

// pause waits for d, or until it is woken or ctx ends.
func pause(ctx context.Context, d time.Duration, wake <-chan struct{}) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-wake:
	case <-ctx.Done():
	}
}

// look refreshes the status, and gives up a link that cannot be trusted.
func (j *Journal) look(ctx context.Context, l *link) {
	j.status.setDisk(j.backend.room(0))
	if err := j.backend.check(); err != nil {
		j.fail(l, err)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, j.cfg.AppendTimeout)
	defer cancel()
	err := j.status.refresh(ctx, l)
	if err != nil && j.status.silence() > j.cfg.AppendTimeout {
		j.fail(l, err)
	}
}

// mend tries to open the stream anew. It never makes one: a stream that is gone took events with it.
func (j *Journal) mend(ctx context.Context) bool {
	l, err := j.connect(ctx, func(ctx context.Context, js jetstream.JetStream) (jetstream.Stream, error) {
		return js.Stream(ctx, streamName)
	})
	if err == nil {
		j.heal(l)
		return true
	}
	if ctx.Err() == nil {
		j.status.fail(err)
		j.log.Error("the journal still cannot write", "error", err)
	}
	return false
}

// standing returns the link, if there is one, and whether the journal is being closed.
func (j *Journal) standing() (*link, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.link, j.closed
}

// loseLink ends what still uses the link.
func (j *Journal) loseLink() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.link != nil {
		j.link.lose(errClosed())
	}
}
