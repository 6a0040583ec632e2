package otlp

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.opentelemetry.io/otel/log"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/trace"

	"github.com/tidemark-obs/tidemark/internal/event"
)

// The bounds of the events that wait or are under way, and of one export.
const (
	eventsMost  = 16_384
	eventsBytes = 16 << 20
	eventsBatch = 512
	eventsDelay = time.Second // an export is due when a batch waits, or when events waited so long
)

// Events sends accepted events as log records with an event name. Offering never waits.
type Events struct {
	exporter sdklog.Exporter
	provider *sdklog.LoggerProvider
	logger   log.Logger
	batch    *collector
	leash    leash
	watch    *watch

	mu      sync.Mutex
	waiting []offered
	held    int // events that wait or are under way
	bytes   int
	closed  bool

	ready  chan struct{} // told when a batch waits
	ending chan struct{}
	done   chan struct{}
}

// offered is an event and the request it came with.
type offered struct {
	event event.Event
	span  trace.SpanContext
}

func newEvents(exporter sdklog.Exporter, res *resource.Resource, l leash, w *watch) *Events {
	c := &collector{}
	// The attributes are made without duplicates.
	p := sdklog.NewLoggerProvider(sdklog.WithResource(res), sdklog.WithProcessor(c), sdklog.WithAllowKeyDuplication())
	e := &Events{
		exporter: exporter, provider: p, logger: p.Logger(scope), batch: c, leash: l, watch: w,
		ready: make(chan struct{}, 1), ending: make(chan struct{}), done: make(chan struct{}),
	}
	go e.run()
	return e
}

// Offer queues one event to go out. What finds the queue full is dropped and counted.
func (e *Events) Offer(ctx context.Context, ev *event.Event) {
	size := weight(ev)
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed || e.held >= eventsMost || e.bytes+size > eventsBytes {
		e.watch.dropped.Inc()
		return
	}
	e.waiting = append(e.waiting, offered{*ev, trace.SpanContextFromContext(ctx)})
	e.held++
	e.bytes += size
	if len(e.waiting) >= eventsBatch {
		select {
		case e.ready <- struct{}{}:
		default: // told already
		}
	}
}

// weight is about what an event holds in memory.
func weight(e *event.Event) int { return 512 + len(e.Properties) + len(e.Metadata) + len(e.UserAgent) }

func (e *Events) run() {
	defer close(e.done)
	tick := time.NewTicker(eventsDelay)
	defer tick.Stop()
	for {
		select {
		case <-e.ready:
		case <-tick.C:
		case <-e.ending:
			e.sendAll()
			return
		}
		e.sendAll()
	}
}

// sendAll sends what waits, batch by batch.
func (e *Events) sendAll() {
	e.mu.Lock()
	all := e.waiting
	e.waiting = nil
	e.mu.Unlock()
	for len(all) > 0 {
		n := min(eventsBatch, len(all))
		e.send(all[:n])
		all = all[n:]
	}
}

func (e *Events) send(part []offered) {
	size := 0
	for i := range part {
		size += weight(&part[i].event)
		e.logger.Emit(trace.ContextWithSpanContext(context.Background(), part[i].span), Record(&part[i].event))
	}
	ctx, release := e.leash.bind(context.Background())
	e.watch.done(ctx, len(part), e.exporter.Export(ctx, e.batch.take()))
	release()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.held -= len(part)
	e.bytes -= size
}

// close sends what waits as far as ctx allows.
func (e *Events) close(ctx context.Context) error {
	e.mu.Lock()
	e.closed = true
	e.mu.Unlock()
	close(e.ending)
	select {
	case <-e.done:
	case <-ctx.Done():
		e.leash.stop()
		<-e.done
	}
	// Nothing is under way any more, so this waits for nobody.
	return errors.Join(ctx.Err(), e.exporter.Shutdown(context.WithoutCancel(ctx)))
}

// collector is the processor that keeps the records of one batch. Only the sending goroutine
// emits and takes.
type collector struct{ records []sdklog.Record }

func (c *collector) take() []sdklog.Record {
	r := c.records
	c.records = c.records[:0]
	return r
}

// OnEmit keeps the record.
func (c *collector) OnEmit(_ context.Context, r *sdklog.Record) error {
	c.records = append(c.records, r.Clone())
	return nil
}

// Enabled says yes.
func (c *collector) Enabled(context.Context, sdklog.EnabledParameters) bool { return true }

// Shutdown has nothing to end.
func (c *collector) Shutdown(context.Context) error { return nil }

// ForceFlush has nothing to send: batches are sent by who takes them.
func (c *collector) ForceFlush(context.Context) error { return nil }
