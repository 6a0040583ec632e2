package journal

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tidemark-obs/tidemark/internal/errs"
)

const (
	// fetchBytes and fetchMessages bound what a Reader holds that nobody has taken yet. A single
	// larger message is held all the same.
	fetchBytes    = 1 << 20
	fetchMessages = 512

	fetchExpires   = 30 * time.Second
	fetchHeartbeat = 2 * time.Second
	fetchSilence   = 3 * fetchHeartbeat // without a word for so long, JetStream has forgotten us

	consumerIdle = time.Minute // after which JetStream forgets a reader that is gone
	retryWait    = 100 * time.Millisecond
)

// Reader reads the messages of a journal in order. It is for one goroutine at a time.
type Reader struct {
	j           *Journal
	headersOnly bool
	streamID    string
	last        uint64    // position of the last message given out
	sub         *fetcher  // nil while there is no consumer
	fresh       bool      // nothing has come from this consumer yet
	short       time.Time // since when the stream ends before last; zero = it does not
	lent        *[]byte   // where the lines of the last message lie; nil = not in a buffer of the journal's
	err         error     // once set, every call returns it
}

// Read returns a Reader of the messages after a position. It fails with errs.Conflict where the
// stream does not hold them: they are purged, or the stream ends before that position. With
// headersOnly the messages come without their lines.
func (j *Journal) Read(ctx context.Context, after uint64, headersOnly bool) (*Reader, error) {
	if _, err := j.current(); err != nil {
		return nil, err
	}
	r := &Reader{j: j, headersOnly: headersOnly, streamID: j.State().StreamID, last: after}
	if err := r.reopen(ctx); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// Next returns the next message and waits for it until ctx ends. Lost connections and restarts
// of JetStream it sits out. It fails with errs.Conflict at a gap; the Reader is then of no more use.
// The lines of the message before must not be used any more.
func (r *Reader) Next(ctx context.Context) (Message, error) {
	r.release()
	for r.err == nil {
		if err := ctx.Err(); err != nil {
			return Message{}, fmt.Errorf("reading the journal: %w", err)
		}
		if m, ok := r.remembered(ctx); ok {
			return m, nil
		}
		if r.sub == nil {
			if err := r.reopen(ctx); err != nil {
				return Message{}, err
			}
		}
		m, ok, err := r.receive(ctx, fetchSilence)
		if err != nil || ok {
			return m, err
		}
	}
	return Message{}, r.err
}

// Close ends the Reader. It must not be called while Next runs, nor while the lines of the last
// message are used.
func (r *Reader) Close() {
	r.release()
	r.drop()
	if r.err == nil {
		r.err = errs.New(errs.Unavailable, "the reader is closed")
	}
}

// remembered returns the next message, by headers only, where this process wrote it and remembers it;
// where it is not written yet, it waits for it. False says that JetStream is to be asked, or that ctx
// has ended. Every part of the stream that is read while it is new stays in JetStream's memory for ten
// seconds: who follows the end would have it hold all that is written in that time.
func (r *Reader) remembered(ctx context.Context) (Message, bool) {
	for r.headersOnly && r.j.backend.exclusive() {
		changed, closed := r.j.changes()
		m, ok, news := r.j.status.following(r.last)
		if !ok && (news == nil || closed) {
			break
		}
		r.drop()
		if ok {
			r.last, r.fresh = m.Seq, false
			return m, true
		}
		select {
		case <-news:
		case <-changed:
		case <-ctx.Done():
			return Message{}, false
		}
	}
	return Message{}, false
}

// receive waits for one message. Where none comes although JetStream owes a word, the consumer
// is given up. Without a message and without an error the caller is to try again.
func (r *Reader) receive(ctx context.Context, silence time.Duration) (Message, bool, error) {
	wait, cancel := context.WithTimeout(ctx, silence)
	defer cancel()
	msg, err := r.sub.next(wait)
	if err == nil {
		return r.accept(msg)
	}
	if ctx.Err() != nil {
		return Message{}, false, nil // it is the caller who waits no longer
	}
	r.j.log.Debug("reading the journal again from where it was", "after", r.last, "error", err)
	r.drop()
	return Message{}, false, nil
}

// accept checks that msg is the one that follows and decodes it.
func (r *Reader) accept(msg *nats.Msg) (Message, bool, error) {
	meta, err := msg.Metadata()
	if err != nil {
		return Message{}, false, r.end(errs.Wrap(errs.Internal, "reading the journal", err))
	}
	seq := meta.Sequence.Stream
	if seq != r.last+1 {
		if seq <= r.last {
			return Message{}, false, nil // given out already
		}
		if r.fresh {
			return Message{}, false, r.end(errs.Wrap(errs.Conflict, "the journal lacks messages in its midst",
				fmt.Errorf("%d follows on %d", seq, r.last)))
		}
		// Either messages were lost on the way here, or they are gone: opening anew will tell.
		r.drop()
		return Message{}, false, nil
	}
	m, ours, err := decode(msg.Header, seq, meta.Timestamp)
	if err == nil && ours && !r.headersOnly {
		r.lent, err = r.j.buffers.lines(&m, msg.Data)
	}
	if err != nil {
		return Message{}, false, r.end(err)
	}
	if !ours {
		r.j.log.Error("a message in the journal is not from Tidemark; it is passed over", "seq", seq)
	}
	r.last, r.fresh = seq, false
	return m, true, nil
}

// release gives back what the last message was read into.
func (r *Reader) release() {
	r.j.buffers.giveBack(r.lent)
	r.lent = nil
}

// end makes err the answer of every further call.
func (r *Reader) end(err error) error {
	r.drop()
	r.err = err
	return err
}

// drop forgets the consumer.
func (r *Reader) drop() {
	if r.sub != nil {
		r.sub.close()
		r.sub = nil
	}
}

// reopen opens the Reader again until it works, ctx ends or the messages turn out to be gone.
func (r *Reader) reopen(ctx context.Context) error {
	for {
		err := r.open(ctx)
		if err == nil || r.err != nil {
			return err
		}
		if _, closed := r.j.standing(); closed {
			return r.end(errClosed())
		}
		r.j.log.Debug("the journal cannot be read yet", "error", err)
		select {
		case <-time.After(retryWait):
		case <-ctx.Done():
			return fmt.Errorf("reading the journal: %w", ctx.Err())
		}
	}
}

// open makes a consumer that starts after the last message given out.
func (r *Reader) open(ctx context.Context) error {
	l, err := r.j.awaitLink(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, r.j.cfg.AppendTimeout)
	defer cancel()
	info, err := l.stream.Info(ctx)
	if err != nil {
		return unavailable("reading the journal", err)
	}
	if err := r.gap(info); err != nil {
		return err
	}
	c, err := l.stream.CreateConsumer(ctx, jetstream.ConsumerConfig{
		DeliverPolicy:     jetstream.DeliverByStartSequencePolicy,
		OptStartSeq:       r.last + 1,
		AckPolicy:         jetstream.AckNonePolicy,
		ReplayPolicy:      jetstream.ReplayInstantPolicy,
		HeadersOnly:       r.headersOnly,
		InactiveThreshold: consumerIdle,
		MemoryStorage:     true,
		Replicas:          1,
	})
	if err != nil {
		return unavailable("reading the journal", err)
	}
	r.sub, err = newFetcher(l, c.CachedInfo().Name)
	if err != nil {
		return unavailable("reading the journal", err)
	}
	r.fresh = true
	return nil
}

// gap says why the messages after the last one cannot be had; nil when they can. A gap ends the
// Reader, except that the new leader of a cluster is given time to find all that it has.
func (r *Reader) gap(info *jetstream.StreamInfo) error {
	first, last := info.State.FirstSeq, info.State.LastSeq
	switch {
	case identity(info) != r.streamID:
		return r.end(errs.New(errs.Conflict, "the journal is another one than before"))
	case first > r.last+1:
		return r.end(errs.Wrap(errs.Conflict, "the journal no longer holds the position asked for",
			fmt.Errorf("it begins at %d, asked for after %d", first, r.last)))
	case last >= r.last:
		r.short = time.Time{}
		return nil
	}
	err := errs.Wrap(errs.Conflict, "the journal ends before the position asked for",
		fmt.Errorf("it ends at %d, asked for after %d", last, r.last))
	now := time.Now()
	if r.short.IsZero() {
		r.short = now
	}
	if r.j.backend.exclusive() || now.Sub(r.short) > r.j.cfg.AppendTimeout {
		return r.end(err)
	}
	return err
}
