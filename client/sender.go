package client

import (
	"context"
	"math/rand/v2"
	"net/http"
	"time"
)

// sender sends what is due, one batch after the other, until each event has its verdict.
type sender struct {
	c      *Client
	http   *http.Client
	post   *poster
	batch  batch
	rush   chan struct{} // ends the wait after a failed attempt
	failed bool          // the last attempt

	told      uint64 // dropped events that the log knows of
	toldAt    time.Time
	telling   bool
	lastCause string
}

func newSender(c *Client) *sender {
	s := &sender{c: c, http: c.cfg.HTTPClient, rush: make(chan struct{}, 1)}
	if s.http == nil {
		s.http = &http.Client{Transport: transport()}
	}
	s.post = newPoster(&c.cfg, s.http)
	return s
}

// hurry ends the wait after a failed attempt, unless the service asked for it.
func (s *sender) hurry() {
	select {
	case s.rush <- struct{}{}:
	default:
	}
}

func (s *sender) run(ctx context.Context) {
	tick := time.NewTicker(s.c.cfg.FlushInterval)
	defer tick.Stop()
	for {
		s.tellDropped()
		if s.take() {
			if s.deliver(ctx, s.batch.all()) != nil {
				return // what is in hand stays pending
			}
			s.settle()
			continue
		}
		select {
		case <-s.c.wake:
		case <-tick.C:
			s.c.mu.Lock()
			s.c.due, s.c.dueBytes = s.c.added, 0
			s.c.mu.Unlock()
		case <-ctx.Done():
			return
		}
	}
}

// take fills the batch with what is due, and perhaps more. It returns false when nothing is.
func (s *sender) take() bool {
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left >= c.due {
		return false
	}
	s.batch.reset()
	c.queue.take(&s.batch, batchEvents, c.cfg.FlushBytes)
	if n := uint64(s.batch.lost); n > 0 {
		c.stats.Dropped.IO += n
		c.stats.Pending -= n
		c.leave(n)
	}
	s.batch.judged()
	if len(s.batch.events) == 0 {
		return false
	}
	c.flying = c.left + 1
	return true
}

// settle reports the refusals, then counts the verdicts: whom Flush lets go has been told.
func (s *sender) settle() {
	c, b := s.c, &s.batch
	for i, v := range b.verdicts {
		if v == refused {
			event := append([]byte(nil), b.event(i)...)
			c.report(Refusal{EventID: idOf(event), Reason: b.reasons[i], Event: event})
		}
	}
	n := uint64(len(b.events))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queue.settle(b)
	c.stats.Sent += b.count(sent)
	c.stats.Sampled += b.count(sampled)
	c.stats.Refused += b.count(refused)
	c.stats.Pending -= n
	c.flying = 0
	c.leave(n)
}

// deliver tries until each of these events has a verdict. Its error is that of ctx.
func (s *sender) deliver(ctx context.Context, which []int) error {
	for attempt := 0; len(which) > 0; {
		a := s.post.send(ctx, &s.batch, which)
		if ctx.Err() != nil && a.kind != judged {
			return ctx.Err()
		}
		switch a.kind {
		case judged:
			s.recovered()
			attempt = 0
			which = s.batch.openOf(which)
		case tooMuch:
			s.recovered()
			if len(which) == 1 {
				s.batch.refuse(which[0], a.cause)
				return nil
			}
			half := len(which) / 2
			if err := s.deliver(ctx, which[:half]); err != nil {
				return err
			}
			which, attempt = which[half:], 0
		case again:
			s.trouble(a.cause)
			if err := s.wait(ctx, attempt, a.after); err != nil {
				return err
			}
			attempt++
		}
	}
	return nil
}

// wait lasts as long as the service said, else about twice as long as the time before.
func (s *sender) wait(ctx context.Context, attempt int, after time.Duration) error {
	rush := s.rush
	d := after
	if after > 0 {
		rush = nil
	} else {
		d = pause(attempt, s.c.cfg.MinWait, s.c.cfg.MaxWait)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-rush:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// pause doubles from least to most, half of it by chance: clients that failed together must not
// come back together.
func pause(attempt int, least, most time.Duration) time.Duration {
	d := most
	if attempt < 30 && least<<attempt < most && least<<attempt > 0 {
		d = least << attempt
	}
	return d/2 + rand.N(d/2+1)
}

// trouble counts a failed attempt, and logs when the cause is another than before.
func (s *sender) trouble(cause string) {
	s.c.mu.Lock()
	s.c.stats.Retries++
	s.c.mu.Unlock()
	if !s.failed || cause != s.lastCause {
		s.c.cfg.Logger.Warn("events cannot be sent; trying again", "cause", cause)
	}
	s.failed, s.lastCause = true, cause
	s.tellDropped()
}

func (s *sender) recovered() {
	if s.failed {
		s.c.cfg.Logger.Info("events are sent again")
	}
	s.failed = false
}

// tellDropped logs how many events were lost, at most once a minute.
func (s *sender) tellDropped() {
	s.c.mu.Lock()
	d := s.c.stats.Dropped
	s.c.mu.Unlock()
	total := d.Total()
	if total == s.told || s.telling && time.Since(s.toldAt) < time.Minute {
		return
	}
	s.c.cfg.Logger.Warn("events were dropped", "count", total-s.told, "full", d.Full, "io", d.IO)
	s.told, s.toldAt, s.telling = total, time.Now(), true
}
