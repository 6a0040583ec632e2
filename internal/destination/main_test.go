package destination

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/ingest"
	"github.com/tidemark-obs/tidemark/internal/journal"
	"github.com/tidemark-obs/tidemark/internal/leaktest"
	"github.com/tidemark-obs/tidemark/internal/settings"
	"github.com/tidemark-obs/tidemark/internal/store"
	"github.com/tidemark-obs/tidemark/internal/telemetry/otlp"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// world is a service without doors: the real journal, database, pipeline and destinations.
type world struct {
	testing.TB
	dir      string
	maxBytes int64
	log      *journal.Journal
	store    *store.Store
	pipeline *ingest.Pipeline
	manager  *Manager
	registry *prometheus.Registry
	now      func() time.Time // of the pipeline
	busy     atomic.Bool      // what destinations are told of the store
	sent     int
	old      time.Duration // how long ago the events happened
}

func newWorld(t testing.TB, maxBytes int64) *world {
	w := &world{TB: t, dir: t.TempDir(), maxBytes: maxBytes, now: time.Now}
	w.start()
	t.Cleanup(w.stop)
	return w
}

func (w *world) ok(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) start() {
	quiet := slog.New(slog.NewTextHandler(w.Output(), nil))
	ctx := context.Background()
	var err error
	w.store, err = store.Open(ctx, store.Config{Dir: w.dir, Logger: quiet, Now: time.Now})
	w.ok(err)
	_, err = w.store.Migrate(ctx, false)
	w.ok(err)
	w.log, err = journal.Open(ctx, journal.Config{Dir: filepath.Join(w.dir, "journal"), MaxBytes: w.maxBytes, MinFree: -1, Logger: quiet, Now: time.Now})
	w.ok(err)
	w.registry = prometheus.NewRegistry()
	w.manager = New(Options{
		Log: w.log, Store: w.store, Holder: "me", Logger: quiet, Registry: w.registry, Now: time.Now, LogRecord: otlp.Record,
		Busy:       w.busy.Load,
		WaitStored: func(ctx context.Context, seq uint64) error { return w.pipeline.WaitStored(ctx, seq) },
	})
	w.pipeline = ingest.New(ingest.Config{
		Log: w.log, Sink: w.store, Settings: settings.Defaults, Logger: quiet, Now: w.now, Bounds: ingest.Bounds{Events: 20_000, Bytes: 16 << 20},
		Keep: w.manager.Keep, Erased: func(ctx context.Context) { w.ok(w.manager.Erased(ctx)) },
	})
	w.pipeline.Start()
	w.manager.pauses = pauses{first: 5 * time.Millisecond, open: 100 * time.Millisecond, longest: 200 * time.Millisecond}
	w.manager.Start()
}

func (w *world) stop() {
	ctx := context.Background()
	w.ok(w.manager.Stop(ctx))
	w.pipeline.Stop(ctx)
	w.ok(w.log.Close(ctx))
	w.ok(w.store.Close())
}

// put makes a destination with small batches.
func (w *world) put(s Settings, secrets Secrets) {
	w.Helper()
	s.AllowPrivateAddresses = true
	if s.Batch == (Batch{}) {
		s.Batch = Batch{Events: 20, LingerMS: 5}
	}
	_, _, err := w.manager.Put(context.Background(), &Request{Settings: s, Secrets: secrets})
	w.ok(err)
}

// eventOf is the n-th event of a test.
func eventOf(n int) event.Event {
	return event.Event{
		ID: fmt.Sprintf("e%06d", n), Name: "order", Type: event.Custom, Timestamp: time.Now().UTC(), UserID: fmt.Sprintf("u%d", n%10), Severity: event.Low, SampleRate: 1,
		Properties: event.Object(fmt.Sprintf(`{"n":%d,"email":"p%d@example.com","plan":"pro"}`, n, n%10)),
	}
}

// send accepts n more events, ten a request.
func (w *world) send(n int) {
	w.Helper()
	for left := n; left > 0; {
		var items []ingest.Item
		for range min(10, left) {
			e := eventOf(w.sent)
			e.Timestamp = e.Timestamp.Add(-w.old)
			items = append(items, ingest.Item{Event: e})
			w.sent++
		}
		w.submit(items)
		left -= len(items)
	}
}

// accept accepts one event.
func (w *world) accept(e event.Event) {
	w.Helper()
	w.submit([]ingest.Item{{Event: e}})
}

func (w *world) submit(items []ingest.Item) {
	w.Helper()
	until(w.TB, "room in the journal", func() bool { // which is purged now and then
		_, err := w.pipeline.Submit(context.Background(), event.Analytics, items)
		if !errs.Is(err, errs.Overloaded) {
			w.ok(err)
		}
		return err == nil
	})
}

// until waits for a condition.
func until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(2 * time.Minute); !holds(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// saved waits until all that was accepted is delivered and that is known to the database: what is sent
// and not answered yet, or answered and not saved, is sent again.
func (w *world) saved(destination string) {
	w.Helper()
	until(w.TB, "the cursor to be saved", func() bool {
		s := w.log.State()
		d, err := w.store.LoadDestinations(context.Background(), s.StreamID)
		w.ok(err)
		return slices.ContainsFunc(d.Cursors, func(c store.DestinationCursor) bool { return c.Destination == destination && c.Seq == s.LastSeq })
	})
}

// metric is the value of a destination's metric, -1 where there is none.
func (w *world) metric(name, destination string) float64 {
	w.Helper()
	all, err := w.registry.Gather()
	w.ok(err)
	for _, f := range all {
		for _, m := range f.GetMetric() {
			if f.GetName() == "tidemark_destination_"+name && labelOf(m) == destination {
				return m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
	}
	return -1
}

func labelOf(m *dto.Metric) string {
	for _, l := range m.GetLabel() {
		if l.GetName() == "destination" {
			return l.GetValue()
		}
	}
	return ""
}

// sendLarge accepts n more events, a thousand a request.
func (w *world) sendLarge(n int) {
	w.Helper()
	items := make([]ingest.Item, 1000)
	for range n / len(items) {
		for i := range items {
			items[i] = ingest.Item{Event: eventOf(w.sent)}
			w.sent++
		}
		_, err := w.pipeline.Submit(context.Background(), event.Analytics, items)
		w.ok(err)
	}
}
