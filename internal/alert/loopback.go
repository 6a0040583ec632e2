package alert

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"
)

// selfAddress stands for the service itself. No name server knows .invalid (RFC 2606), so no
// other target can have it.
const selfAddress = "self.tidemark.invalid:80"

// loopback serves the service's own metrics to the scraper without a network port: the scraper
// dials it like any target, and gets one end of a pipe.
type loopback struct {
	ctx    context.Context
	conns  chan net.Conn
	closed chan struct{}
	server *http.Server
	ended  chan struct{}
}

// newLoopback serves h until Stop. All connections that were dialled end with ctx.
func newLoopback(ctx context.Context, h http.Handler) *loopback {
	l := &loopback{
		ctx:   ctx,
		conns: make(chan net.Conn), closed: make(chan struct{}), ended: make(chan struct{}),
		server: &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second},
	}
	go func() {
		defer close(l.ended)
		_ = l.server.Serve(l) // ends with Stop
	}()
	return l
}

// Dial reaches the service for its own address and the network for all others.
func (l *loopback) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if addr != selfAddress {
		c, err := (&net.Dialer{Timeout: defaultScrapeTime}).DialContext(ctx, network, addr)
		return l.bind(c), err
	}
	ours, theirs := net.Pipe()
	select {
	case l.conns <- theirs:
		return l.bind(ours), nil
	case <-l.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// bind lets a connection end with the loopback's context, so that a target that hangs cannot
// hold up a stop.
func (l *loopback) bind(c net.Conn) net.Conn {
	if c == nil {
		return nil
	}
	return &boundConn{c, context.AfterFunc(l.ctx, func() { _ = c.Close() })}
}

type boundConn struct {
	net.Conn
	forget func() bool
}

// Close closes the connection, which then needs no other end.
func (c *boundConn) Close() error {
	c.forget()
	return c.Conn.Close()
}

// Accept, Close and Addr make it a net.Listener.
func (l *loopback) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close is called by the server, once.
func (l *loopback) Close() error { close(l.closed); return nil }

// Addr is what the server may log.
func (l *loopback) Addr() net.Addr { return pipeAddr{} }

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return selfAddress }

// Stop ends the server and its connections.
func (l *loopback) Stop() error {
	err := l.server.Close()
	<-l.ended
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
