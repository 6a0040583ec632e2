//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/tidemark-obs/tidemark/client"
)

// tracking is what the Go client costs those who use it. Each figure is the median of some rounds.
type tracking struct {
	Track     cost    `json:"track"`      // one call on one goroutine, into memory that was never touched before
	PerSecond float64 `json:"per_second"` // calls on as many goroutines as processors, until the buffer is full
	Buffered  int     `json:"buffered"`   // events that it had then
	Bare      cost    `json:"request_through_bare_otelhttp"`
	Whole     cost    `json:"request_through_middleware"` // with an event of every request
}

// cost is of one call.
type cost struct {
	Nanoseconds float64 `json:"ns"`
	Allocations float64 `json:"allocations"`
}

const (
	trackedEach  = 200_000
	requestsEach = 20_000
	roomForAll   = 256 << 20 // bytes, more than trackedEach events
)

// track measures the client in this process, against a service that never answers.
func (b *bench) track(ctx context.Context, t *tracking) error {
	return b.each(ctx, "client", []step{
		{name: "Track on one goroutine", do: func(ctx context.Context) (err error) {
			t.Track, err = b.oneByOne(ctx)
			return err
		}},
		{name: "Track on all processors", do: func(ctx context.Context) (err error) {
			t.PerSecond, t.Buffered, err = b.untilFull(ctx)
			return err
		}},
		{name: "middleware", do: func(ctx context.Context) error { return b.through(ctx, t) }},
	})
}

// oneByOne tracks on one goroutine while there is room.
func (b *bench) oneByOne(ctx context.Context) (cost, error) {
	b.say("client: Track on one goroutine")
	var rounds []cost
	for range b.plan.Rounds {
		c, err := stuck(client.DropNewest, roomForAll)
		if err != nil {
			return cost{}, err
		}
		track := tracker(c)
		rounds = append(rounds, costOf(trackedEach, track))
		dropped := c.Stats().Dropped.Total()
		abandon(c)
		if dropped > 0 {
			return cost{}, fmt.Errorf("there was no room for %d of %d events", dropped, trackedEach)
		}
		if err := ctx.Err(); err != nil {
			return cost{}, err
		}
	}
	return medianCost(rounds), nil
}

// untilFull tracks on all processors until there is no room, of which there is as much as by default.
func (b *bench) untilFull(ctx context.Context) (perSecond float64, buffered int, err error) {
	b.say("client: Track on all processors")
	var rates []float64
	for range 3 * b.plan.Rounds {
		c, err := stuck(client.DropNewest, 0)
		if err != nil {
			return 0, 0, err
		}
		runtime.GC()
		begin := time.Now()
		var all sync.WaitGroup
		for range runtime.GOMAXPROCS(0) {
			all.Go(func() {
				// Asking whether it is full costs more than a call.
				const some = 500
				for track := tracker(c); c.Stats().Dropped.Full == 0; {
					for range some {
						track()
					}
				}
			})
		}
		all.Wait()
		took := time.Since(begin)
		s := c.Stats()
		abandon(c)
		buffered = int(s.Tracked - s.Dropped.Total())
		rates = append(rates, float64(buffered)/took.Seconds())
		if err := ctx.Err(); err != nil {
			return 0, 0, err
		}
	}
	return median(rates), buffered, nil
}

// through sends requests through bare otelhttp and through the middleware by turns, without
// connections.
func (b *bench) through(ctx context.Context, t *tracking) error {
	b.say("client: middleware")
	meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))
	tracers := sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.TraceIDRatioBased(0.01)))
	c, err := stuck(client.DropOldest, 4<<20) // full after a moment, as it would be
	if err != nil {
		return err
	}
	defer abandon(c)
	bare := asker(otelhttp.NewMiddleware("bare", otelhttp.WithMeterProvider(meters), otelhttp.WithTracerProvider(tracers),
		otelhttp.WithPropagators(propagation.TraceContext{})))
	whole := asker(c.Middleware(client.MiddlewareConfig{
		MeterProvider: meters, TracerProvider: tracers, Propagator: propagation.TraceContext{}}))
	var bares, wholes []cost
	for range 3 * b.plan.Rounds {
		bares = append(bares, costOf(requestsEach, bare))
		wholes = append(wholes, costOf(requestsEach, whole))
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	t.Bare, t.Whole = medianCost(bares), medianCost(wholes)
	return errors.Join(meters.Shutdown(ctx), tracers.Shutdown(ctx))
}

// silent takes requests and never answers.
type silent struct{}

func (silent) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// stuck is a client that can send nothing; 0 = the room that a client has where nobody says how much.
func stuck(full client.Policy, room int) (*client.Client, error) {
	return client.New(client.Config{URL: "http://tidemark.invalid", HTTPClient: &http.Client{Transport: silent{}},
		Timeout: time.Hour, MaxBuffered: room, WhenFull: full, Logger: slog.New(slog.DiscardHandler)})
}

// abandon closes a client without waiting for what it holds.
func abandon(c *client.Client) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = c.Close(ctx) // it says that events were lost
}

// tracker tracks an ordinary event of five properties.
func tracker(c *client.Client) func() {
	ctx := client.WithUser(context.Background(), "user-184467")
	properties := map[string]any{"plan": "pro", "amount": 129.95, "currency": "EUR", "items": 3, "first": true}
	return func() { c.Track(ctx, "checkout_completed", properties) }
}

// asker sends one request through a middleware around a mux, without a connection.
func asker(around func(http.Handler) http.Handler) func() {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /users/{id}", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hello")) })
	h := around(mux)
	r := httptest.NewRequest(http.MethodGet, "/users/17", nil)
	r.RemoteAddr = "127.0.0.1:40000"
	out := unread{http.Header{}}
	return func() {
		clear(out.header)
		h.ServeHTTP(out, r)
	}
}

// unread is an answer that nobody reads.
type unread struct{ header http.Header }

func (u unread) Header() http.Header       { return u.header }
func (unread) Write(b []byte) (int, error) { return len(b), nil }
func (unread) WriteHeader(int)             {}

// costOf is the mean of n calls, without what was left behind before them.
func costOf(n int, do func()) cost {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	begin := time.Now()
	for range n {
		do()
	}
	took := time.Since(begin)
	runtime.ReadMemStats(&after)
	return cost{float64(took) / float64(n), float64(after.Mallocs-before.Mallocs) / float64(n)}
}

func medianCost(rounds []cost) cost {
	var times, allocations []float64
	for _, c := range rounds {
		times, allocations = append(times, c.Nanoseconds), append(allocations, c.Allocations)
	}
	return cost{median(times), median(allocations)}
}

// The targets of the client.
const (
	trackWithin       = 1_000 // ns
	trackAllocations  = 3
	trackedPerSecond  = 2_000_000
	middlewareWithin  = 3_000 // ns over bare otelhttp
	middlewareObjects = 10
)

func (t *tracking) judge() (all []verdict) {
	add := judging("client", &all)
	tracked, asked := t.Track.Nanoseconds > 0, t.Whole.Nanoseconds > 0
	add(tracked, verdict{Name: "Track on one goroutine", Measured: t.Track.Nanoseconds, Bound: trackWithin, Unit: "ns"})
	add(tracked, verdict{Name: "   allocations", Measured: t.Track.Allocations, Bound: trackAllocations, Unit: "objects"})
	add(t.PerSecond > 0, verdict{Name: fmt.Sprintf("Track on all processors, until %d events fill the buffer", t.Buffered),
		Measured: t.PerSecond, Bound: trackedPerSecond, AtLeast: true, Unit: "events/s"})
	add(asked, verdict{Name: "middleware over bare otelhttp", Measured: t.Whole.Nanoseconds - t.Bare.Nanoseconds, Bound: middlewareWithin, Unit: "ns"})
	add(asked, verdict{Name: "   allocations", Measured: t.Whole.Allocations - t.Bare.Allocations, Bound: middlewareObjects, Unit: "objects"})
	return all
}
