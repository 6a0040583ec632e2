package httpapi

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/ingest"
)

// The recorder's bounds: requests that wait to become events, and events in one submission.
const (
	selfQueue = 1024
	selfBatch = 100
)

// selfSource marks the service's own events.
const selfSource = "tidemark"

// recorder makes events of the service's own requests, after they were answered. It never
// holds a request up: what finds the queue full is dropped and counted. Doors are not recorded,
// or the service would feed itself.
type recorder struct {
	rates   func() SelfRates
	limits  event.Limits
	intake  Intake
	logger  *slog.Logger
	now     func() time.Time
	queue   chan recording
	dropped atomic.Uint64
	once    sync.Once
	ending  chan struct{}
	stop    context.CancelFunc
	done    chan struct{}
}

// recording is one answered request.
type recording struct {
	method, path, userAgent string
	status                  int
	at                      time.Time
	took                    time.Duration
	rate                    float64
}

func newRecorder(d Deps) *recorder {
	rec := &recorder{rates: d.SelfRates, limits: d.Limits.Event, intake: d.Intake, logger: d.Logger, now: d.Now,
		queue: make(chan recording, selfQueue), ending: make(chan struct{}), done: make(chan struct{})}
	ctx, stop := context.WithCancel(context.Background())
	rec.stop = stop
	go rec.run(ctx)
	return rec
}

// offer records a request when the rates say so.
func (rec *recorder) offer(rw *response, r *http.Request, took time.Duration) {
	if rec.rates == nil || rw.route == nil || rw.route.door {
		return
	}
	rate := rec.rate(r.Method, rw.status)
	if rate <= 0 || rate < 1 && rand.Float64() >= rate {
		return
	}
	select {
	case rec.queue <- recording{method: r.Method, path: rw.route.path, userAgent: r.UserAgent(), status: rw.status,
		at: rw.start, took: took, rate: min(rate, 1)}:
	default:
		rec.dropped.Add(1)
	}
}

func (rec *recorder) rate(method string, status int) float64 {
	rates := rec.rates()
	switch {
	case status >= http.StatusBadRequest:
		return rates.Errors
	case method == http.MethodGet || method == http.MethodHead:
		return rates.Reads
	default:
		return rates.Writes
	}
}

// run submits what is queued, in as large batches as wait, and, once it is to end, what is left.
func (rec *recorder) run(ctx context.Context) {
	defer close(rec.done)
	for {
		select {
		case first := <-rec.queue:
			rec.submit(ctx, first)
		case <-rec.ending:
			for len(rec.queue) > 0 {
				rec.submit(ctx, <-rec.queue)
			}
			return
		}
	}
}

func (rec *recorder) submit(ctx context.Context, first recording) {
	items := append(make([]ingest.Item, 0, 1+len(rec.queue)), rec.item(first))
	for len(items) < selfBatch && len(rec.queue) > 0 { // the only reader: what is there stays there
		items = append(items, rec.item(<-rec.queue))
	}
	if _, err := rec.intake.Submit(ctx, event.Self, items); err != nil {
		rec.logger.Debug("own requests were not recorded as events", "count", len(items), "error", err)
	}
}

// item is the event of a request. The path is the route's: it has no ids in it.
func (rec *recorder) item(in recording) ingest.Item {
	ms := float64(in.took) / float64(time.Millisecond)
	call := event.APICall{Method: in.method, Path: in.path, StatusCode: in.status, DurationMS: &ms,
		UserAgent: truncate(in.userAgent, rec.limits.ContextLength)}
	e := call.Event(rec.limits.NameLength)
	e.Timestamp = in.at.UTC().Truncate(time.Microsecond)
	e.Source = selfSource
	e.SampleRate = in.rate
	item := ingest.Item{Event: e}
	if problems, _ := e.Validate(rec.limits, rec.now()); len(problems) > 0 {
		item.Event.UserAgent = "" // all else is ours
	}
	return item
}

// truncate cuts text to whole characters within n bytes, which are no more than n characters.
func truncate(text string, n int) string {
	if len(text) <= n {
		return text
	}
	return strings.ToValidUTF8(text[:n], "")
}

// close submits what is queued, as far as ctx allows, and joins the goroutine.
func (rec *recorder) close(ctx context.Context) error {
	rec.once.Do(func() { close(rec.ending) })
	defer rec.stop()
	select {
	case <-rec.done:
		return nil
	case <-ctx.Done():
		rec.stop()
		<-rec.done
		return ctx.Err()
	}
}
