//go:build linux

package faults

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// moment is where in a transaction's end the connection is reset.
type moment int32

const (
	never        moment = iota
	beforeCommit        // the server never hears of COMMIT
	afterCommit         // COMMIT is on its way; what the server does with it, nobody knows
	atReply             // the server has committed, its answer is lost
)

func (m moment) String() string {
	return [...]string{"never", "before COMMIT", "after COMMIT", "at the reply to COMMIT"}[m]
}

// proxy stands before a PostgreSQL server and reads along, message by message: a generic proxy can
// cut after a time or a number of bytes, not between COMMIT and its reply. Every second COMMIT
// is hit, so that work goes on.
type proxy struct {
	upstream string
	listener net.Listener
	at       atomic.Int32 // a moment
	commits  atomic.Int64
	cuts     atomic.Int64
	wg       sync.WaitGroup

	mu    sync.Mutex
	links map[*link]struct{}
	over  bool
}

// link is one client's connection and the server's behind it.
type link struct {
	client, server *net.TCPConn
	doomed         atomic.Bool // its COMMIT was let through, its reply will not be
}

func startProxy(t *testing.T, upstream string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{upstream: upstream, listener: l, links: make(map[*link]struct{})}
	p.wg.Go(p.accept)
	t.Cleanup(p.close)
	return p
}

func (p *proxy) addr() string { return p.listener.Addr().String() }

func (p *proxy) arm(m moment) { p.at.Store(int32(m)) }

func (p *proxy) disarm() { p.arm(never) }

func (p *proxy) close() {
	p.listener.Close()
	p.mu.Lock()
	p.over = true
	for l := range p.links {
		l.reset()
	}
	p.mu.Unlock()
	p.wg.Wait()
}

func (p *proxy) accept() {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return
		}
		up, err := net.Dial("tcp", p.upstream)
		if err != nil {
			c.Close()
			continue
		}
		l := &link{client: c.(*net.TCPConn), server: up.(*net.TCPConn)}
		if !p.enter(l) {
			return
		}
		p.wg.Go(func() { p.forward(l) })
		p.wg.Go(func() { p.back(l) })
	}
}

func (p *proxy) enter(l *link) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over {
		l.reset()
		return false
	}
	p.links[l] = struct{}{}
	return true
}

// leave ends a link whose one side has ended.
func (p *proxy) leave(l *link) {
	l.client.Close()
	l.server.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.links, l)
}

// reset ends both sides with RST instead of an orderly end.
func (l *link) reset() {
	for _, c := range []*net.TCPConn{l.client, l.server} {
		_ = c.SetLinger(0) // the connection may be gone already
		c.Close()
	}
}

// forward carries the client's messages. The first has no type byte.
func (p *proxy) forward(l *link) {
	defer p.leave(l)
	if err := carry(l.server, l.client, 4); err != nil {
		return
	}
	for {
		head, small, err := read(l.client)
		if err != nil {
			return
		}
		if head[0] == 'Q' && bytes.EqualFold(bytes.Trim(small, " ;\x00"), []byte("COMMIT")) && p.strike() {
			switch moment(p.at.Load()) {
			case beforeCommit:
				p.cuts.Add(1)
				l.reset()
				return
			case afterCommit:
				_, _ = l.server.Write(append(head, small...)) // the reset follows either way
				p.cuts.Add(1)
				l.reset()
				return
			case atReply:
				l.doomed.Store(true)
			}
		}
		if err := pass(l.server, l.client, head, small); err != nil {
			return
		}
	}
}

// strike tells whether this COMMIT is hit.
func (p *proxy) strike() bool {
	return moment(p.at.Load()) != never && p.commits.Add(1)%2 == 1
}

// back carries the server's messages.
func (p *proxy) back(l *link) {
	defer p.leave(l)
	for {
		head, small, err := read(l.server)
		if err != nil {
			return
		}
		if l.doomed.Load() && head[0] == 'C' && bytes.Equal(small, []byte("COMMIT\x00")) {
			p.cuts.Add(1)
			l.reset()
			return
		}
		if err := pass(l.client, l.server, head, small); err != nil {
			return
		}
	}
}

// read reads the head of a message, and its body where that is small enough to be of interest.
func read(from io.Reader) (head, small []byte, err error) {
	head = make([]byte, 5)
	if _, err := io.ReadFull(from, head); err != nil {
		return nil, nil, err
	}
	if n := rest(head); n <= 64 {
		small = make([]byte, n)
		if _, err := io.ReadFull(from, small); err != nil {
			return nil, nil, err
		}
	}
	return head, small, nil
}

// pass writes a message on, the part that read has left included.
func pass(to io.Writer, from io.Reader, head, small []byte) error {
	if _, err := to.Write(append(head, small...)); err != nil {
		return err
	}
	_, err := io.CopyN(to, from, rest(head)-int64(len(small)))
	return err
}

// rest is how many bytes follow a message's head: type and length, which counts itself.
func rest(head []byte) int64 { return max(0, int64(binary.BigEndian.Uint32(head[1:]))-4) }

// carry passes one message without a type byte, whose length counts itself.
func carry(to io.Writer, from io.Reader, lengthBytes int) error {
	head := make([]byte, lengthBytes)
	if _, err := io.ReadFull(from, head); err != nil {
		return err
	}
	if _, err := to.Write(head); err != nil {
		return err
	}
	_, err := io.CopyN(to, from, max(0, int64(binary.BigEndian.Uint32(head))-4))
	return err
}
