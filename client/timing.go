package client

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Time begins to time an operation and returns what ends it:
//
//	defer c.Time(ctx, "load basket")()
//
// When it is deferred like this, an operation that panics is recorded as failed and the panic goes on.
func (c *Client) Time(ctx context.Context, operation string, options ...Option) func() {
	if c.idle() {
		return func() {}
	}
	start := time.Now()
	return func() {
		v := recover()
		c.timed(ctx, operation, time.Since(start), panicError(v), options)
		if v != nil {
			panic(v)
		}
	}
}

// Timed times f and returns its error. An error or a panic makes the operation a failed one; a
// panic goes on.
func (c *Client) Timed(ctx context.Context, operation string, f func(context.Context) error, options ...Option) (err error) {
	if c.idle() {
		return f(ctx)
	}
	start, ended := time.Now(), false
	defer func() {
		if ended {
			c.timed(ctx, operation, time.Since(start), err, options)
			return
		}
		v := recover()
		failure := panicError(v)
		if v == nil { // runtime.Goexit, as testing.T.FailNow calls it
			failure = errors.New("the goroutine ended")
		}
		c.timed(ctx, operation, time.Since(start), failure, options)
		if v != nil {
			panic(v)
		}
	}()
	err = f(ctx)
	ended = true
	return err
}

func panicError(v any) error {
	if v == nil {
		return nil
	}
	return fmt.Errorf("panic: %v", v)
}

func (c *Client) timed(ctx context.Context, operation string, took time.Duration, err error, options []Option) {
	p := Performance{Operation: operation, Duration: took, Failed: err != nil}
	if err != nil {
		p.Error = errorText(err)
	}
	c.TrackPerformance(ctx, p, options...)
}
