package destination

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/event/eventjson"
	"github.com/tidemark-obs/tidemark/internal/store"
)

// maxUndelivered is how many dead letters one destination may have. Beyond, it waits: a receiver
// that refuses everything is more likely set up wrongly than sent so many bad events.
const maxUndelivered = 10_000

const (
	longestBury = 5 * time.Second // between two tries to keep a dead letter
	tellEvery   = time.Minute     // that events are refused
)

// refusedEvent is told of an event that is refused for good, before the next one is sent.
type refusedEvent func(ctx context.Context, e *event.Event, why string) error

// partEvents is how many events of a message are decoded at once.
const partEvents = 500

// decode reads a message's events, at most partEvents of them, and keeps those that the filter lets
// through. It returns how many it has read, and the lines that are left. What cannot be read is a
// dead letter of the store, and goes nowhere.
func (r *runner) decode(lines []byte) (list []event.Event, read int, left []byte) {
	left = lines
	for line := range bytes.Lines(lines) {
		if read == partEvents {
			break
		}
		left = left[len(line):]
		line = bytes.TrimSuffix(line, []byte("\n"))
		if len(line) == 0 || line[0] != '{' {
			continue
		}
		read++
		if _, _, rejected := eventjson.ParseRejection(line); rejected {
			continue
		}
		var e event.Event
		if eventjson.Parse(line, &e) == nil && r.filter.passes(&e) {
			list = append(list, e)
		}
	}
	return list, read, left
}

// deliver sends events until each is delivered, or refused for good and refused was told of it. It
// fails when ctx ends or refused fails.
func (r *runner) deliver(ctx context.Context, events []event.Event, refused refusedEvent) error {
	for {
		live := r.unerased(events)
		if len(live) == 0 {
			return ctx.Err()
		}
		if err := r.await(ctx, len(live)); err != nil {
			return err
		}
		if err := r.awaitOffice(ctx); err != nil {
			return err
		}
		_, err := r.attempt(ctx, live)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil {
			r.succeeded(len(live))
			return nil
		}
		var p *partial
		if errors.As(err, &p) {
			r.refusedSome(len(live), p)
			return nil
		}
		var f *failure
		if !errors.As(err, &f) {
			f = &failure{cause: err.Error()}
		}
		if f.refused {
			return r.isolate(ctx, live, f, refused)
		}
		r.failed(len(live), f)
		if err := r.backOff(ctx, f); err != nil {
			return err
		}
	}
}

// unerased are the events whose person was not erased meanwhile.
func (r *runner) unerased(events []event.Event) []event.Event {
	erased := r.m.erasedPersons()
	live := make([]event.Event, 0, len(events))
	for i := range events {
		if erased == nil || !erased(&events[i]) {
			live = append(live, events[i])
		}
	}
	return live
}

// await takes n events' share of the rate.
func (r *runner) await(ctx context.Context, n int) error {
	if r.limiter == nil {
		return nil
	}
	return r.limiter.WaitN(ctx, min(n, r.limiter.Burst()))
}

// awaitOffice waits while the term is over: a process that stood still finds out here that another
// may have begun, before it has looked.
func (r *runner) awaitOffice(ctx context.Context) error {
	for !r.m.inOffice() && ctx.Err() == nil {
		pause(ctx, lookEvery/10)
	}
	return ctx.Err()
}

// attempt sends once.
func (r *runner) attempt(ctx context.Context, events []event.Event) (string, error) {
	r.out = r.out[:0]
	for i := range events {
		r.out = append(r.out, r.transform.apply(events[i]))
	}
	defer clear(r.out)
	ctx, cancel := context.WithTimeout(ctx, r.cfg.timeout())
	defer cancel()
	return r.sender.send(ctx, r.out)
}

func (r *runner) succeeded(n int) {
	r.breaker.succeeded()
	r.metrics.delivered.Add(float64(n))
	r.mu.Lock()
	defer r.mu.Unlock()
	r.goesOn("the destination takes events again")
	r.lastOK = r.m.opt.Now()
	r.lastErr = ""
	r.delivered += uint64(n)
}

// refusedSome counts what of n events was refused. Which they were is not known: nothing can be kept.
func (r *runner) refusedSome(n int, p *partial) {
	refused := min(max(p.refused, 0), int64(n))
	r.succeeded(n - int(refused))
	r.metrics.failed.Add(float64(refused))
	r.metrics.dead.Add(float64(refused))
	r.tellRefused(refused, p.answer)
}

// tellRefused logs that events were refused, now and then: a service that refuses all of them would
// fill the log.
func (r *runner) tellRefused(n int64, cause string) {
	r.untold += n
	if now := r.m.opt.Now(); now.Sub(r.told) >= tellEvery {
		r.logger.Warn("events were refused for good", "events", r.untold, "cause", cause)
		r.told, r.untold = now, 0
	}
}

func (r *runner) failed(n int, f *failure) {
	r.metrics.failed.Add(float64(n))
	level := r.logger.Debug
	if r.breaker.failures == 0 || r.breaker.failures == breakAfter-1 {
		level = r.logger.Warn
	}
	level("events are not delivered", "cause", f.cause, "events", n)
}

// backOff waits after a failure.
func (r *runner) backOff(ctx context.Context, f *failure) error {
	wait := r.breaker.failed(f.retryAfter)
	state := Retrying
	if r.breaker.open() {
		state = Open
	}
	r.setState(state, f.cause)
	pause(ctx, wait)
	return ctx.Err()
}

// isolate finds the events that are refused and keeps them, so that the others are delivered. The
// order stays.
func (r *runner) isolate(ctx context.Context, events []event.Event, f *failure, refused refusedEvent) error {
	if len(events) > 1 {
		half := len(events) / 2
		if err := r.deliver(ctx, events[:half], refused); err != nil {
			return err
		}
		return r.deliver(ctx, events[half:], refused)
	}
	r.metrics.failed.Inc()
	r.tellRefused(1, f.cause)
	if err := refused(ctx, &events[0], f.cause); err != nil {
		return err
	}
	r.metrics.dead.Inc()
	return nil
}

// bury keeps a dead letter, and tries until that has worked: the next event must not go out before.
// Where there is no room for it, a replay of dead letters goes first.
func (r *runner) bury(ctx context.Context, e *event.Event, why string) error {
	id, err := uuid.NewV7()
	if err != nil {
		return err
	}
	u := &store.Undelivered{ID: id.String(), Event: *e, Detail: why, At: r.m.opt.Now()}
	for wait := r.breaker.pauses.first; ; wait = min(2*wait, longestBury) {
		err := r.m.opt.Store.KeepUndelivered(ctx, r.cfg.Name, r.made, u, r.m.mostLetters)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil:
			r.buried(why)
			return nil
		case errs.Is(err, errs.Overloaded):
			r.metrics.failed.Inc()
			r.troubled(Full, "the destination waits", err)
			if r.asksForDeadLetters() {
				return errPoked
			}
		default:
			r.troubled(Retrying, "a refused event cannot be kept yet", err)
		}
		pause(ctx, wait)
	}
}

func (r *runner) buried(why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.goesOn("the destination goes on, with refused events kept")
	r.lastErr = why
}

func (r *runner) asksForDeadLetters() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(r.replays, ofDeadLetters)
}
