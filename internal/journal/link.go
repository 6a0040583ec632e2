package journal

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// link is one connection to the stream. It is used until it is lost; then there is another one.
type link struct {
	nc     *nats.Conn
	js     jetstream.JetStream
	stream jetstream.Stream
	lost   context.Context // ends when the link must not be trusted any more; its cause says why
	lose   context.CancelCauseFunc
}

func newLink(nc *nats.Conn, js jetstream.JetStream, stream jetstream.Stream) *link {
	l := &link{nc: nc, js: js, stream: stream}
	l.lost, l.lose = context.WithCancelCause(context.Background())
	return l
}

// publish sends m and waits for the answer, until ctx ends or the link is lost. With expect ≥ 0
// the message is stored only if the last one in the stream has that position.
func (l *link) publish(ctx context.Context, m *nats.Msg, expect int64) (uint64, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(l.lost, func() { cancel(context.Cause(l.lost)) })()
	if expect >= 0 {
		m.Header.Set(jetstream.ExpectedLastSeqHeader, strconv.FormatInt(expect, 10))
	}
	ack, err := l.js.PublishMsg(ctx, m, jetstream.WithRetryAttempts(0))
	if err != nil {
		return 0, cause(ctx, err)
	}
	return ack.Sequence, nil
}

// idAt returns the id of the message at seq; empty when there is none.
func (l *link) idAt(ctx context.Context, seq uint64) (string, error) {
	if seq == 0 {
		return "", nil
	}
	m, err := l.stream.GetMsg(ctx, seq)
	if err != nil {
		return "", fmt.Errorf("reading message %d: %w", seq, err)
	}
	return m.Header.Get(headerID), nil
}

// holds makes sure that the message at seq can be read.
func (l *link) holds(ctx context.Context, seq uint64) error {
	_, err := l.stream.GetMsg(ctx, seq)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return errMissing(fmt.Errorf("the last one, %d", seq))
	}
	return err
}

// timeAt returns when the message at seq was written.
func (l *link) timeAt(ctx context.Context, seq uint64) (time.Time, error) {
	m, err := l.stream.GetMsg(ctx, seq)
	if err != nil {
		return time.Time{}, fmt.Errorf("reading message %d: %w", seq, err)
	}
	return m.Time, nil
}
