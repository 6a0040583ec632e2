//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"slices"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"
)

// load is what is sent: requests of so many events over so many connections, until either bound.
type load struct {
	addr   string // 127.0.0.1:port
	path   string
	over   int              // connections
	batch  int              // events in a request
	events int              // in all; 0 = as many as the time allows
	time   time.Duration    // for how long; 0 = until the events are sent
	rate   int              // requests a second by the clock; 0 = as soon as a connection is free
	clock  func() time.Time // of the events' clients; nil = time.Now
}

// outcome is what became of a load.
type outcome struct {
	Begin    time.Time
	Requests int
	Accepted int           // events in requests that were answered 2xx
	Refused  map[int]int   // answers that were not 2xx, by status; 429 and 503 were sent again
	Elapsed  time.Duration // from the first request to the last answer
	CPU      time.Duration // what the generator itself took
	Took     []answered    // every request that was answered 2xx
}

// answered is one request: when it was due after the start, and how much later it was answered.
// By the clock, that includes the time it waited for a connection.
type answered struct{ due, took time.Duration }

// variants is how many different requests a connection sends in turn.
const variants = 4

// connection is one keep-alive connection with at most one request on its way.
type connection struct {
	fd, tag  int
	requests [variants]*request
	turn     int
	unsent   []byte
	stuck    bool // the socket's buffer was full; epoll tells when it is not
	answer   answer
	due      time.Duration
	again    time.Duration // when a refused request is sent again
}

// generator sends one load. All of it happens on one thread.
type generator struct {
	load
	poller  *poller
	crowd   *crowd
	conns   []connection
	idle    []*connection
	backing []*connection // refused, waiting to send again
	begin   time.Time
	sent    int // requests that were begun
	flying  int
	in      []byte
	out     outcome
	counted *atomic.Int64 // accepted so far, for progress
}

// send sends a load and returns when every request is answered. counted may be read meanwhile.
func send(ctx context.Context, l load, counted *atomic.Int64) (outcome, error) {
	runtime.LockOSThread() // for the thread's own processor time and timers
	defer runtime.UnlockOSThread()
	if err := exactTimers(); err != nil {
		return outcome{}, err
	}
	if l.clock == nil {
		l.clock = time.Now
	}
	g := &generator{load: l, crowd: newCrowd(l.clock), in: make([]byte, 64<<10), counted: counted}
	g.out.Refused = map[int]int{}
	err := errors.Join(g.connect(), ctx.Err())
	if err == nil {
		err = g.run(ctx)
	}
	return g.out, errors.Join(err, g.close())
}

func (g *generator) connect() error {
	_, digits, err := net.SplitHostPort(g.addr)
	if err != nil {
		return err
	}
	port, err := strconv.Atoi(digits)
	if err != nil {
		return err
	}
	if g.poller, err = newPoller(); err != nil {
		return err
	}
	g.conns = make([]connection, 0, g.over)
	for i := range g.over {
		fd, err := dial(port)
		if err != nil {
			return fmt.Errorf("connecting to %s: %w", g.addr, err)
		}
		g.conns = append(g.conns, connection{fd: fd, tag: i})
		c := &g.conns[i]
		for v := range c.requests {
			c.requests[v] = g.crowd.newRequest(g.addr, g.path, g.batch)
		}
		if err := g.poller.watch(syscall.EPOLL_CTL_ADD, fd, i, false); err != nil {
			return err
		}
		g.idle = append(g.idle, c)
	}
	return nil
}

func (g *generator) close() error {
	var errs []error
	for i := range g.conns {
		errs = append(errs, syscall.Close(g.conns[i].fd))
	}
	if g.poller != nil {
		errs = append(errs, g.poller.close())
	}
	return errors.Join(errs...)
}

func (g *generator) run(ctx context.Context) error {
	busy := threadTime()
	g.begin = time.Now()
	g.out.Begin = g.begin
	last := time.Duration(0)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		now := time.Since(g.begin)
		if err := g.dispatch(now); err != nil {
			return err
		}
		wait, more := g.next(now)
		if !more && g.flying == 0 && len(g.backing) == 0 {
			g.out.Elapsed, g.out.CPU = last, threadTime()-busy
			return nil
		}
		ready, err := g.poller.wait(wait)
		if err != nil {
			return err
		}
		for _, e := range ready {
			if err := g.serve(&g.conns[e.Fd], e.Events); err != nil {
				return err
			}
			last = time.Since(g.begin)
		}
	}
}

// longest bounds a wait, so that the end of the context is seen.
const longest = 100 * time.Millisecond

// next says how long nothing is due, and whether any request is still to begin.
func (g *generator) next(now time.Duration) (wait time.Duration, more bool) {
	wait = longest
	for _, c := range g.backing {
		wait = min(wait, c.again-now)
	}
	more = (g.events == 0 || g.sent*g.batch < g.events) && (g.time == 0 || g.due(now) < g.time)
	if more && len(g.idle) > 0 {
		wait = min(wait, g.due(now)-now)
	}
	return wait, more
}

// due is when the next request is to be sent.
func (g *generator) due(now time.Duration) time.Duration {
	if g.rate == 0 {
		return now
	}
	return time.Duration(g.sent) * time.Second / time.Duration(g.rate)
}

// dispatch sends what is due.
func (g *generator) dispatch(now time.Duration) error {
	kept := g.backing[:0]
	for _, c := range g.backing {
		if c.again > now {
			kept = append(kept, c)
			continue
		}
		if err := g.begun(c); err != nil {
			return err
		}
	}
	g.backing = kept
	for len(g.idle) > 0 {
		if wait, more := g.next(now); !more || wait > 0 {
			return nil
		}
		// The longest idle first: the service rightly closes one that never sends anything.
		c := g.idle[0]
		g.idle = slices.Delete(g.idle, 0, 1)
		c.turn = (c.turn + 1) % variants
		g.crowd.renew(c.requests[c.turn])
		c.due = g.due(now)
		g.sent++
		if err := g.begun(c); err != nil {
			return err
		}
	}
	return nil
}

// begun sends the connection's request, for the first time or again.
func (g *generator) begun(c *connection) error {
	c.unsent = c.requests[c.turn].text
	g.flying++
	return g.write(c)
}

func (g *generator) write(c *connection) error {
	n, err := syscall.Write(c.fd, c.unsent)
	if err != nil && !errors.Is(err, syscall.EAGAIN) {
		return fmt.Errorf("sending: %w", err)
	}
	c.unsent = c.unsent[max(n, 0):]
	if stuck := len(c.unsent) > 0; stuck != c.stuck {
		c.stuck = stuck
		return g.poller.watch(syscall.EPOLL_CTL_MOD, c.fd, c.tag, stuck)
	}
	return nil
}

// serve does what a connection is ready for.
func (g *generator) serve(c *connection, events uint32) error {
	if events&syscall.EPOLLOUT != 0 && c.stuck {
		if err := g.write(c); err != nil {
			return err
		}
	}
	if events&^syscall.EPOLLOUT == 0 {
		return nil
	}
	n, err := syscall.Read(c.fd, g.in)
	if errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EINTR) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("receiving: %w", err)
	}
	if n == 0 {
		return errors.New("the service closed a connection")
	}
	done, err := c.answer.feed(g.in[:n])
	if err != nil || !done {
		return err
	}
	return g.finish(c, time.Since(g.begin))
}

// finish takes an answer and frees the connection, unless the request must be sent again.
func (g *generator) finish(c *connection, now time.Duration) error {
	g.flying--
	status, after := c.answer.status, time.Duration(c.answer.retryAfter)*time.Second
	if c.answer.closing || len(c.unsent) > 0 {
		return fmt.Errorf("the service answered %d and takes no more on the connection", status)
	}
	c.answer.reset()
	g.out.Requests++
	if status/100 == 2 {
		g.out.Accepted += g.batch
		g.counted.Store(int64(g.out.Accepted))
		g.out.Took = append(g.out.Took, answered{c.due, now - c.due})
		g.idle = append(g.idle, c)
		return nil
	}
	g.out.Refused[status]++
	if status == 503 || status == 429 {
		c.again = now + max(after, longest)
		g.backing = append(g.backing, c)
		return nil
	}
	g.idle = append(g.idle, c)
	return nil
}

// exactTimers lets the calling thread wake without the 50 µs of grace that Linux gives by default.
func exactTimers() error {
	const setTimerSlack = 29
	if _, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, setTimerSlack, 1, 0); errno != 0 {
		return errno
	}
	return nil
}

// threadTime is the processor time of the calling thread.
func threadTime() time.Duration {
	const thread = 1 // RUSAGE_THREAD
	var u syscall.Rusage
	if err := syscall.Getrusage(thread, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
