package destination

import (
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
// by its event_id when it comes again. Only where it was set up without a stream, a delivery has
// succeeded when the server has all messages: core NATS promises no more. It is not found out by
// asking, because a cluster without a leader for a moment looks like one without streams.
type natsSender struct {
	cfg Config
	nc  *nats.Conn
	js  jetstream.JetStream
}

func newNATS(c *Config) *natsSender { return &natsSender{cfg: *c} }

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
		return natsFailure(err)
	}
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(maxEvents)) // a whole batch, however late the answers
	if err != nil {
		nc.Close()
		return natsFailure(err)
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
		return "", natsFailure(err)
	}
	return n.toStream(ctx, stream, events)
}

func (n *natsSender) message(e *event.Event) *nats.Msg {
	return &nats.Msg{Subject: n.cfg.Subject, Data: eventjson.Append(nil, e), Header: nats.Header{nats.MsgIdHdr: {e.ID}}}
}

func (n *natsSender) toStream(ctx context.Context, stream string, events []event.Event) (string, error) {
	futures := make([]jetstream.PubAckFuture, len(events))
	for i := range events {
		f, err := n.js.PublishMsgAsync(n.message(&events[i]), jetstream.WithExpectStream(stream), jetstream.WithRetryAttempts(0))
		if err != nil {
			n.close()
			return "", natsFailure(err)
		}
		futures[i] = f
	}
	for _, f := range futures {
		select {
		case <-f.Ok():
		case err := <-f.Err():
			n.close()
			return "", natsFailure(err)
		case <-ctx.Done():
			n.close()
			return "", &failure{cause: "no answer in time"}
		}
	}
	return "stored by stream " + stream, nil
}

func (n *natsSender) toCore(ctx context.Context, events []event.Event) (string, error) {
	for i := range events {
		if err := n.nc.PublishMsg(n.message(&events[i])); err != nil {
			n.close()
			return "", natsFailure(err)
		}
	}
	if err := n.nc.FlushWithContext(ctx); err != nil {
		n.close()
		return "", natsFailure(err)
	}
	return "taken by the server; no stream keeps the subject", nil
}

// natsFailure tells what is too large for the server, which no other try mends, from the rest.
func natsFailure(err error) error {
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
		return &failure{cause: outbound.Printable(api.Description, shownAnswer)}
	}
	return &failure{cause: outbound.Printable(err.Error(), shownAnswer)}
}
