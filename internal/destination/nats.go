package destination

import (
	"cmp"
	"context"
	"errors"
	"net"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/event/eventjson"
	"github.com/tidemark-obs/tidemark/internal/outbound"
)

// natsSender publishes one message an event. A stream acknowledges every message, and recognises it
// by its id when it comes again. Only where it was set up without a stream, a delivery has
// succeeded when the server has all messages: core NATS promises no more. It is not found out by
// asking, because a cluster without a leader for a moment looks like one without streams.
type natsSender struct {
	cfg    Config
	quoter quoter
	nc     *nats.Conn
	js     jetstream.JetStream
}

func newNATS(c *Config) *natsSender { return &natsSender{cfg: *c, quoter: c.Secrets.quoter()} }

func (n *natsSender) close() {
	if n.nc != nil {
		n.nc.Close()
		n.nc = nil
	}
}

// guardedDialer dials as all that leaves the service does. Until it is released, the end of ctx
// closes what it has dialled: the client greets without a context.
type guardedDialer struct {
	ctx   context.Context
	dial  func(ctx context.Context, network, address string) (net.Conn, error)
	stops []func() bool
}

// Dial connects.
func (d *guardedDialer) Dial(network, address string) (net.Conn, error) {
	conn, err := d.dial(d.ctx, network, address)
	if err == nil {
		d.stops = append(d.stops, context.AfterFunc(d.ctx, func() { _ = conn.Close() }))
	}
	return conn, err
}

func (d *guardedDialer) release() {
	for _, stop := range d.stops {
		stop()
	}
}

func (n *natsSender) connect(ctx context.Context) error {
	if n.nc != nil && n.nc.IsConnected() {
		return nil
	}
	n.close()
	dialer := &guardedDialer{ctx: ctx, dial: outbound.Dialer(n.cfg.AllowPrivateAddresses)}
	defer dialer.release()
	options := []nats.Option{
		nats.Name("tidemark destination " + n.cfg.Name), nats.NoReconnect(), nats.Timeout(n.cfg.timeout()),
		nats.SetCustomDialer(dialer), nats.IgnoreDiscoveredServers(),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}), // by itself it prints what LastError says
	}
	if n.cfg.encrypted() { // not even when the server offers none
		options = append(options, nats.Secure(n.cfg.tls("")))
	}
	s := &n.cfg.Secrets
	if s.Token != "" {
		options = append(options, nats.Token(s.Token))
	}
	if s.Username != "" {
		options = append(options, nats.UserInfo(s.Username, s.Password))
	}
	nc, err := nats.Connect(n.cfg.URL, options...)
	if err != nil {
		return n.failure(err)
	}
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(maxEvents)) // a whole batch, however late the answers
	if err != nil {
		nc.Close()
		return n.failure(err)
	}
	n.nc, n.js = nc, js
	return nil
}

func (n *natsSender) send(ctx context.Context, events []event.Event) (string, error) {
	if err := n.connect(ctx); err != nil {
		return "", err
	}
	if n.cfg.NoStream {
		return n.toCore(ctx, events)
	}
	stream, err := n.js.StreamNameBySubject(ctx, n.cfg.Subject)
	if err != nil {
		n.close()
		return "", n.failure(err)
	}
	return n.toStream(ctx, stream, events)
}

// message has an id of the destination's own: a stream takes an id once, on whichever of its subjects it
// comes, and another destination may have the same stream.
func (n *natsSender) message(e *event.Event) *nats.Msg {
	return &nats.Msg{
		Subject: n.cfg.Subject, Data: eventjson.Append(nil, e),
		Header: nats.Header{nats.MsgIdHdr: {n.cfg.Name + "/" + e.ID}},
	}
}

func (n *natsSender) toStream(ctx context.Context, stream string, events []event.Event) (string, error) {
	futures := make([]jetstream.PubAckFuture, len(events))
	for i := range events {
		f, err := n.js.PublishMsgAsync(n.message(&events[i]), jetstream.WithExpectStream(stream), jetstream.WithRetryAttempts(0))
		if err != nil {
			n.close()
			return "", n.failure(err)
		}
		futures[i] = f
	}
	for _, f := range futures {
		select {
		case <-f.Ok():
		case err := <-f.Err():
			n.close()
			return "", n.failure(err)
		case <-ctx.Done():
			err := cmp.Or(n.nc.LastError(), ctx.Err()) // who may not publish is told so, but not in an answer
			n.close()
			return "", n.failure(err)
		}
	}
	return "stored by stream " + stream, nil
}

func (n *natsSender) toCore(ctx context.Context, events []event.Event) (string, error) {
	for i := range events {
		if err := n.nc.PublishMsg(n.message(&events[i])); err != nil {
			n.close()
			return "", n.failure(err)
		}
	}
	// What the server does not let pass it says before it answers the flush.
	if err := cmp.Or(n.nc.FlushWithContext(ctx), n.nc.LastError()); err != nil {
		n.close()
		return "", n.failure(err)
	}
	return "taken by the server; no stream keeps the subject", nil
}

// failure tells what is too large for the server or the stream, which no other try mends, from the rest.
func (n *natsSender) failure(err error) error {
	var api *jetstream.APIError
	switch {
	case errors.Is(err, outbound.ErrPrivate):
		return &failure{cause: outbound.ErrPrivate.Error()}
	case errors.Is(err, nats.ErrMaxPayload):
		return &failure{cause: err.Error(), refused: true}
	case errors.Is(err, jetstream.ErrStreamNotFound), errors.Is(err, nats.ErrNoResponders):
		return &failure{cause: "no stream keeps the subject; make one, or set no_stream"}
	case errors.Is(err, context.DeadlineExceeded):
		return &failure{cause: "no answer in time"}
	case errors.As(err, &api):
		return &failure{cause: n.quoter.quote(api.Description), refused: api.ErrorCode == jetstream.JSErrCodeStreamMessageExceedsMaximum}
	}
	return &failure{cause: n.quoter.quote(err.Error())}
}
