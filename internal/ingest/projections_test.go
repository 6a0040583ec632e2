package ingest

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/tidemark-obs/tidemark/internal/declared"
	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/projection"
	"github.com/tidemark-obs/tidemark/internal/store"
)

func purchases(t *testing.T) *declared.Set {
	t.Helper()
	set, err := declared.New(declared.Config{
		Dimensions: []declared.DimensionConfig{{Property: "plan", Known: []string{"free"}}},
		Numbers:    []declared.NumberConfig{{Property: "amount"}},
		Metrics: []declared.MetricConfig{
			{Event: "purchase", Labels: []string{"plan"}},
			{Event: "purchase", Histogram: "amount", Unit: "euros", Buckets: []float64{1, 10}},
		},
	}, "s")
	must(t, err)
	return set
}

// wantMetrics compares all that is exported.
func wantMetrics(t *testing.T, c prometheus.Collector, want string) {
	t.Helper()
	if err := testutil.CollectAndCompare(c, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
}

func (w *world) flushed(c prometheus.Collector, want string) {
	w.t.Helper()
	w.flush()
	deadline := time.Now().Add(2 * time.Minute) // for the office
	for testutil.CollectAndCount(c) == 0 && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond)
	}
	wantMetrics(w.t, c, want)
}

func purchase(id, properties string) event.Event {
	return event.Event{ID: id, Name: "purchase", Properties: event.Object(properties)}
}

const sold = `# HELP tidemark_event_purchase_amount_euros Values of amount in stored events named purchase.
# TYPE tidemark_event_purchase_amount_euros histogram
tidemark_event_purchase_amount_euros_bucket{le="1"} %d
tidemark_event_purchase_amount_euros_bucket{le="10"} %d
tidemark_event_purchase_amount_euros_bucket{le="+Inf"} %d
tidemark_event_purchase_amount_euros_sum %v
tidemark_event_purchase_amount_euros_count %d
# HELP tidemark_event_purchase_total Stored events named purchase.
# TYPE tidemark_event_purchase_total counter
tidemark_event_purchase_total{plan="free"} %d
tidemark_event_purchase_total{plan="pro"} %d
`

func TestMetricsOfEventsAreWhatIsStored(t *testing.T) {
	w := newWorld(t)
	w.declared = purchases(t)
	w.close()
	w.open()
	w.send(purchase("a", `{"plan":"pro","amount":1}`), purchase("b", `{"plan":"pro","amount":10.5}`),
		purchase("a", `{"plan":"pro","amount":5}`), event.Event{ID: "c", Name: "visit"})
	w.flushed(w.writer.exporter, fmt.Sprintf(sold, 1, 1, 2, 11.5, 2, 0, 2))

	w.sink.loseReply.Store(1) // the next commit is done and its answer lost
	w.send(purchase("d", `{"plan":"free","amount":2}`), purchase("b", `{"plan":"pro"}`))
	w.flushed(w.writer.exporter, fmt.Sprintf(sold, 1, 2, 3, 13.5, 3, 1, 2))

	w.send(purchase("e", `{"plan":"pro","amount":2}`))
	w.close() // without draining
	w.open()
	w.flushed(w.writer.exporter, fmt.Sprintf(sold, 1, 3, 4, 15.5, 4, 1, 3))
}

func TestMetricsOfEventsAreAbsentUntilTheTotalsAreKnown(t *testing.T) {
	w := newWorld(t)
	w.declared = purchases(t)
	w.close()
	w.open()
	w.send(purchase("a", `{"plan":"pro","amount":1}`))
	w.flush()
	w.close()
	w.away = true
	w.open()
	w.send(purchase("b", `{"plan":"pro","amount":1}`))
	for failing := false; !failing; time.Sleep(time.Millisecond) {
		_, _, err := w.writer.progress.state()
		failing = err != nil
	}
	if n := testutil.CollectAndCount(w.writer.exporter); n != 0 {
		t.Errorf("%d metrics while nobody knows the totals", n)
	}
	w.sink.away.Store(false)
	w.flushed(w.writer.exporter, fmt.Sprintf(sold, 2, 2, 2, 2, 2, 0, 2))
}

// offices is a database of one stream, its office and its totals; away while it does not answer.
type offices struct {
	mu     sync.Mutex
	holder string
	ends   time.Time
	count  uint64
	away   map[string]bool // replicas that do not reach it
}

func (o *offices) of(replica string) Totals { return &link{o, replica} }

type link struct {
	*offices
	replica string
}

func (l *link) Projections(context.Context, string) ([]projection.Series, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return []projection.Series{{Metric: 0, Labels: []string{"pro"}, Count: l.count}}, nil
}

func (l *link) Elect(_ context.Context, _, holder string, ttl time.Duration) (store.Term, bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.away[l.replica] {
		return store.Term{}, false, errs.New(errs.Unavailable, "away")
	}
	if l.holder != holder && time.Now().Before(l.ends) {
		return store.Term{}, false, nil
	}
	l.holder, l.ends = holder, time.Now().Add(ttl)
	return store.Term{}, true, nil
}

func (l *link) Resign(_ context.Context, _, holder string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.away[l.replica] {
		return errs.New(errs.Unavailable, "away")
	}
	if l.holder == holder {
		l.ends = time.Now()
	}
	return nil
}

// TestOneOfTwoReplicasExports has the first lose the database and then the stream, without knowing.
func TestOneOfTwoReplicasExports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		db := &offices{count: 5, away: map[string]bool{}}
		var wg sync.WaitGroup
		replica := func(name string) *exporter {
			x := newExporter(Projections{Declared: purchases(t), Totals: db.of(name), Replica: name}, time.Now, slog.New(slog.DiscardHandler))
			wg.Go(func() { x.run(ctx) })
			return x
		}
		first, second := replica("first"), replica("second")
		counts := func() [2]int {
			synctest.Wait()
			return [2]int{testutil.CollectAndCount(first), testutil.CollectAndCount(second)}
		}
		want := func(what string, n [2]int) {
			t.Helper()
			if got := counts(); got != n {
				t.Errorf("%s: %v, want %v", what, got, n)
			}
		}
		want("before the totals are known", [2]int{0, 0})
		must(t, first.begin(ctx, "stream"))
		want("first stores", [2]int{1, 0})
		time.Sleep(time.Minute)
		want("a minute later", [2]int{1, 0})

		db.mu.Lock()
		db.away["first"] = true
		db.mu.Unlock()
		must(t, second.begin(ctx, "stream")) // it has the lease; first does not know
		takenOver := time.Duration(0)
		for until := time.Now().Add(time.Minute); time.Now().Before(until); time.Sleep(100 * time.Millisecond) {
			if n := counts(); n[0]+n[1] > 1 {
				t.Fatalf("%v both export", n)
			} else if n[1] == 1 && takenOver == 0 {
				takenOver = time.Minute - time.Until(until)
			}
		}
		if takenOver == 0 || takenOver > termLength+termRenewal {
			t.Errorf("the second took over after %v", takenOver)
		}
		db.mu.Lock()
		db.away["first"] = false
		db.mu.Unlock()
		time.Sleep(time.Minute)
		want("the first is back", [2]int{0, 1})
		second.end()
		want("the second stores no more", [2]int{0, 0})
		time.Sleep(2 * termRenewal)
		want("and gave its office up", [2]int{1, 0})
		cancel()
		wg.Wait()
		if time.Now().Before(db.ends) {
			t.Error("the office is still held after the end")
		}
	})
}
