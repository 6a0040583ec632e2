package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// Client takes events and sends them. It is safe for concurrent use. A nil Client does nothing, as
// one that is Disabled.
type Client struct {
	cfg      Config
	encoders sync.Pool
	sender   *sender

	mu     sync.Mutex
	queue  queue // nil unless events are sent
	closed bool
	stats  Stats

	// Events are numbered as they come into the queue. Those up to due are to be sent; left is how
	// many have left the queue, whatever became of them.
	added, due, left uint64
	dueBytes         int    // since due was set
	flying           uint64 // the first of those in the sender's hands; 0 = it has none

	moved chan struct{} // closed when events leave the queue; made by those who wait
	wake  chan struct{} // to the sender: due has grown

	closing sync.Once
	cancel  context.CancelFunc // of what the sender does
	loops   sync.WaitGroup
	ended   chan struct{} // Close is done
	failure error         // of Close; read after ended
}

// queue is where events wait. Its methods are called one at a time.
type queue interface {
	add(event []byte) (room, error)
	take(b *batch, most, mostBytes int)
	settle(b *batch)
	dropOldest() int
	close() error
}

var errFull = errors.New("the buffer is full")

// New checks the configuration and returns a client. Close it.
func New(c Config) (*Client, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	cl := &Client{cfg: c, wake: make(chan struct{}, 1), ended: make(chan struct{})}
	cl.encoders.New = func() any { return new(encoder) }
	ctx, cancel := context.WithCancel(context.Background())
	cl.cancel = cancel
	if c.Mode != Send {
		return cl, nil
	}
	if err := cl.openQueue(ctx); err != nil {
		cancel()
		return nil, err
	}
	cl.sender = newSender(cl)
	cl.loops.Go(func() { cl.sender.run(ctx) })
	return cl, nil
}

func (c *Client) openQueue(ctx context.Context) error {
	if c.cfg.SpoolDir == "" {
		c.queue = newMemory(c.cfg.MaxBuffered)
		return nil
	}
	s, err := openSpool(c.cfg.SpoolDir, c.cfg.SpoolBytes)
	if err != nil {
		return fmt.Errorf("client: opening the spool: %w", err)
	}
	found := uint64(s.events())
	c.queue, c.stats.Recovered, c.stats.Corrupt = s, found, uint64(s.corrupt)
	c.stats.Pending, c.added, c.due = found, found, found // what waited once has waited long enough
	c.loops.Go(func() { s.syncEvery(ctx, time.Second, c.cfg.Logger) })
	return nil
}

func (c *Client) idle() bool { return c == nil || c.cfg.Mode == Disabled }

// begin writes the head of an event; nil when there is nothing to do.
func (c *Client) begin(ctx context.Context, options []Option) *encoder {
	if c.idle() {
		return nil
	}
	return c.beginAs(identityOf(ctx), options)
}

// beginAs is begin for somebody who is known, or nil.
func (c *Client) beginAs(who *identity, options []Option) *encoder {
	e := c.encoders.Get().(*encoder)
	e.collect(who, c.cfg.Source, options)
	e.begin(time.Now())
	return e
}

// finish ends the event and hands it on. ctx ends the wait for room.
func (c *Client) finish(ctx context.Context, e *encoder) {
	e.buf = append(e.buf, '}')
	switch {
	case e.err != nil:
		c.refuse(Refusal{EventID: e.id(), Reason: "the event cannot be written: " + e.err.Error()})
	case len(e.buf) > c.cfg.EventBytes:
		c.refuse(Refusal{EventID: e.id(), Event: append([]byte(nil), e.buf...),
			Reason: fmt.Sprintf("the event is larger than %d bytes", c.cfg.EventBytes)})
	case c.cfg.Mode == Console:
		c.print(e)
	default:
		c.enqueue(ctx, e.buf)
	}
	e.fields = fields{} // keeps nothing of the caller's alive
	if cap(e.buf) <= maxKept {
		c.encoders.Put(e)
	}
}

// refuse ends an event that was never queued.
func (c *Client) refuse(r Refusal) {
	c.mu.Lock()
	c.stats.Tracked++
	if c.closed {
		c.stats.Dropped.Closed++
		c.mu.Unlock()
		return
	}
	c.stats.Refused++
	c.mu.Unlock()
	c.report(r)
}

// report tells the application, whose faults must not end the sender.
func (c *Client) report(r Refusal) {
	if c.cfg.OnRefused == nil {
		c.cfg.Logger.Warn("an event was refused", "event_id", r.EventID, "reason", r.Reason)
		return
	}
	defer func() {
		if v := recover(); v != nil {
			c.cfg.Logger.Error("OnRefused panicked", "panic", v)
		}
	}()
	c.cfg.OnRefused(r)
}

func (c *Client) print(e *encoder) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stats.Tracked++
	if c.closed {
		c.stats.Dropped.Closed++
		return
	}
	written := false
	defer func() {
		_ = recover() // a fault of Output is counted as an error of it is: Track does not panic
		if written {
			c.stats.Sent++
		} else {
			c.stats.Dropped.IO++
		}
	}()
	_, err := c.cfg.Output.Write(append(e.buf, '\n'))
	written = err == nil
}

// enqueue puts an event into the queue, or drops one as the policy says.
func (c *Client) enqueue(ctx context.Context, event []byte) {
	c.mu.Lock()
	place, err := c.admit(ctx, event)
	c.stats.Tracked++
	switch {
	case err == nil:
		c.stats.Pending++
		c.added++
		c.dueBytes += len(event)
		if c.added-max(c.due, c.left) >= uint64(c.cfg.FlushEvents) || c.dueBytes >= c.cfg.FlushBytes {
			c.demand()
		}
	case c.closed:
		c.stats.Dropped.Closed++
	case errors.Is(err, errFull):
		c.stats.Dropped.Full++
		c.note()
	default:
		c.stats.Dropped.IO++
		c.note()
	}
	c.mu.Unlock()
	place.fill(event)
	place.prepare(&c.mu)
}

// admit finds a place for an event, and makes one as the policy says. mu is held, but not while it
// waits.
func (c *Client) admit(ctx context.Context, event []byte) (place room, err error) {
	if c.closed {
		return place, errFull
	}
	place, err = c.queue.add(event)
	if !errors.Is(err, errFull) || c.cfg.WhenFull == DropNewest {
		return place, err
	}
	if c.cfg.WhenFull == Block {
		return c.block(ctx, event)
	}
	for errors.Is(err, errFull) {
		n := uint64(c.queue.dropOldest())
		if n == 0 {
			return place, err
		}
		c.stats.Dropped.Full += n
		c.stats.Pending -= n
		c.leave(n)
		c.note()
		place, err = c.queue.add(event)
	}
	return place, err
}

// block waits for room.
func (c *Client) block(ctx context.Context, event []byte) (place room, err error) {
	if ctx == nil {
		ctx = context.Background()
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.BlockFor)
	defer cancel()
	c.demand()
	for err = errFull; errors.Is(err, errFull); {
		moved := c.watch()
		c.mu.Unlock()
		select {
		case <-moved:
		case <-ctx.Done():
		}
		c.mu.Lock()
		if c.closed || ctx.Err() != nil {
			return place, errFull
		}
		place, err = c.queue.add(event)
	}
	return place, err
}

// demand makes all that is queued due.
func (c *Client) demand() {
	c.due, c.dueBytes = c.added, 0
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// leave notes that n events have left the queue, and tells those who wait for it.
func (c *Client) leave(n uint64) {
	c.left += n
	if c.moved != nil {
		close(c.moved)
		c.moved = nil
	}
}

// watch returns what is closed when events leave the queue next.
func (c *Client) watch() <-chan struct{} {
	if c.moved == nil {
		c.moved = make(chan struct{})
	}
	return c.moved
}

// note lets the sender say in the log that events are lost.
func (c *Client) note() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Stats returns what became of events so far.
func (c *Client) Stats() Stats {
	if c == nil {
		return Stats{}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stats
}

// Flush returns when every event tracked before it has its verdict, and OnRefused has been told, or
// when ctx ends; then its error says how many wait. It also ends the wait after a failed attempt,
// unless the service asked for it.
func (c *Client) Flush(ctx context.Context) error {
	if c == nil || c.queue == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	target := c.added
	if c.closed {
		return errors.New("client: closed")
	}
	c.demand()
	c.sender.hurry()
	return c.await(ctx, target)
}

// await waits until so many events have left the queue. mu is held, but not while it waits.
func (c *Client) await(ctx context.Context, target uint64) error {
	for c.waits(target) {
		moved := c.watch()
		c.mu.Unlock()
		select {
		case <-moved:
		case <-ctx.Done():
		}
		c.mu.Lock()
		if err := ctx.Err(); err != nil && c.waits(target) {
			return fmt.Errorf("client: %d events are not sent: %w", c.stats.Pending, err)
		}
	}
	return nil
}

// waits tells whether some of the first target events wait. What was dropped as the oldest may have
// come after what is under way.
func (c *Client) waits(target uint64) bool {
	return c.left < target || c.flying != 0 && c.flying <= target
}

// Close takes no more events, sends what waits until ctx ends, and joins every goroutine. What is
// in memory then is dropped and counted; what is in a spool waits there for the next client. Its
// error says how many events were not sent.
func (c *Client) Close(ctx context.Context) error {
	if c == nil {
		return nil
	}
	c.closing.Do(func() {
		c.failure = c.end(ctx)
		close(c.ended)
	})
	<-c.ended
	return c.failure
}

func (c *Client) end(ctx context.Context) error {
	c.mu.Lock()
	c.closed = true
	if c.queue == nil {
		c.mu.Unlock()
		c.cancel()
		return nil
	}
	c.demand()
	c.leave(0) // those who wait for room are to see that there will be none
	c.sender.hurry()
	err := c.await(ctx, c.added)
	c.mu.Unlock()
	c.cancel()
	c.loops.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cfg.SpoolDir == "" {
		c.stats.Dropped.Closed += c.stats.Pending
		c.stats.Pending = 0
	}
	if c.cfg.HTTPClient == nil {
		c.sender.http.CloseIdleConnections()
	}
	return errors.Join(err, c.queue.close())
}

// transport is DefaultTransport's, but of one client alone.
func transport() http.RoundTripper {
	if t, ok := http.DefaultTransport.(*http.Transport); ok {
		return t.Clone()
	}
	return http.DefaultTransport
}
