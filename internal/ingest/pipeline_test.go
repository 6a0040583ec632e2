package ingest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/declared"
	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/journal"
	"github.com/tidemark-obs/tidemark/internal/projection"
	"github.com/tidemark-obs/tidemark/internal/settings"
	"github.com/tidemark-obs/tidemark/internal/store"
)

// world is a pipeline over a real journal and a real embedded database, with a place to put faults.
type world struct {
	*Pipeline
	t    *testing.T
	dir  string
	log  *faultyLog
	sink *faultySink
	set  atomic.Pointer[settings.Settings]

	declared *declared.Set // from the next open on
	away     bool          // whether the next open finds the database away
	unclean  []string      // erasures that are kept over a crash
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, dir: t.TempDir()}
	w.change(func(*settings.Settings) {})
	w.open()
	return w
}

func (w *world) change(f func(*settings.Settings)) {
	set := settings.Defaults()
	f(&set)
	w.set.Store(&set)
}

func (w *world) open() {
	w.t.Helper()
	ctx := w.t.Context()
	logger := slog.New(slog.NewTextHandler(io.Discard, nil))
	s, err := store.Open(ctx, store.Config{Dir: w.dir, Logger: logger, Now: time.Now, Declared: w.declared})
	must(w.t, err)
	_, err = s.Migrate(ctx, false)
	must(w.t, err)
	j, err := journal.Open(ctx, journal.Config{Dir: w.dir + "/journal", Logger: logger, Now: time.Now, MinFree: 1})
	must(w.t, err)
	w.log, w.sink = &faultyLog{Journal: j}, &faultySink{Store: s}
	w.sink.away.Store(w.away)
	w.Pipeline = New(Config{
		Projections: Projections{Declared: w.declared, Totals: w.sink, Replica: "one"},
		Log:         w.log, Sink: w.sink, Settings: func() settings.Settings { return *w.set.Load() },
		Logger: logger, Now: time.Now, Bounds: Bounds{Events: 10_000, Bytes: 8 << 20}, Inside: true,
		Unclean: Unclean{IDs: w.unclean, Keep: func(ids []string) error { w.unclean = ids; return nil }},
	})
	w.Start()
	w.t.Cleanup(w.close)
}

// close ends everything without draining, as a crash would; a second call does nothing.
func (w *world) close() {
	if w.Pipeline == nil {
		return
	}
	w.stop()
	<-w.done
	must(w.t, errors.Join(w.log.Close(context.Background()), w.sink.Close()))
	w.Pipeline = nil
}

func (w *world) send(events ...event.Event) []Item {
	w.t.Helper()
	items, _, err := w.trySend(events...)
	must(w.t, err)
	return items
}

func (w *world) trySend(events ...event.Event) ([]Item, uint64, error) {
	items := make([]Item, len(events))
	for i, e := range events {
		e.Type, e.Severity, e.SampleRate = event.Custom, event.Low, 1
		if e.Timestamp.IsZero() {
			e.Timestamp = time.Now().UTC().Truncate(time.Microsecond)
		}
		items[i].Event = e
	}
	seq, err := w.Submit(w.t.Context(), event.Analytics, items)
	return items, seq, err
}

func (w *world) ledger() Ledger {
	w.t.Helper()
	l, err := w.Ledger(w.t.Context())
	must(w.t, err)
	if l.Received != l.Rejected+l.SampledOut+l.Accepted {
		w.t.Errorf("received is not rejected + sampled_out + accepted: %+v", l)
	}
	if l.Accepted != l.Stored+l.Duplicate+l.DeadLettered+l.Pending || l.Lost != 0 {
		w.t.Errorf("accepted is not stored + duplicate + dead_lettered + pending: %+v", l)
	}
	return l
}

func (w *world) flush() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 2*time.Minute)
	defer cancel()
	_, err := w.Flush(ctx)
	must(w.t, err)
}

func (w *world) receipt(id string) store.Receipt {
	w.t.Helper()
	r, err := w.Receipt(w.t.Context(), id)
	must(w.t, err)
	return r
}

// faultyLog refuses appends while err is set.
type faultyLog struct {
	*journal.Journal
	err atomic.Pointer[errs.Error]
}

func (l *faultyLog) Append(ctx context.Context, e journal.Entry) (uint64, error) {
	if err := l.err.Load(); err != nil {
		return 0, err
	}
	return l.Journal.Append(ctx, e)
}

// faultySink fails as its functions say.
type faultySink struct {
	*store.Store
	busy      sync.RWMutex // while it is locked, no commit begins
	away      atomic.Bool  // every call fails
	loseReply atomic.Int32 // so many commits succeed but are answered with an error
	poison    string       // events of this name are refused
	before    func()       // is called before each commit; nil = nothing
}

var errAway = errs.New(errs.Unavailable, "the database is away")

func (s *faultySink) refuses(events []event.Event) error {
	for _, e := range events {
		if s.poison != "" && e.Name == s.poison {
			return errs.New(errs.Invalid, "refused by a constraint")
		}
	}
	return nil
}

func (s *faultySink) Commit(ctx context.Context, b *store.Batch) (store.Result, error) {
	s.busy.RLock()
	defer s.busy.RUnlock()
	if s.before != nil {
		s.before()
	}
	if s.away.Load() {
		return store.Result{}, errAway
	}
	if err := s.refuses(b.Events); err != nil {
		return store.Result{}, err
	}
	res, err := s.Store.Commit(ctx, b)
	if err == nil && s.loseReply.Add(-1) >= 0 {
		return store.Result{}, errAway
	}
	return res, err
}

func (s *faultySink) Projections(ctx context.Context, stream string) ([]projection.Series, error) {
	if s.away.Load() {
		return nil, errAway
	}
	return s.Store.Projections(ctx, stream)
}

func (s *faultySink) Probe(ctx context.Context, events []event.Event) error {
	if err := s.refuses(events); err != nil {
		return err
	}
	return s.Store.Probe(ctx, events)
}

func (s *faultySink) Receipt(ctx context.Context, id string) (store.Receipt, error) {
	if s.away.Load() {
		return store.Receipt{}, errAway
	}
	return s.Store.Receipt(ctx, id)
}

func (s *faultySink) List(ctx context.Context, f store.Filter, p store.Page) ([]event.Event, error) {
	if s.away.Load() {
		return nil, errAway
	}
	return s.Store.List(ctx, f, p)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestEveryOutcomeIsCountedAndReceipted(t *testing.T) {
	w := newWorld(t)
	w.send(event.Event{ID: "a", Name: "signup"}, event.Event{ID: "b", Name: "signup"})
	w.send(event.Event{ID: "a", Name: "signup again"})
	bad := []Item{{Event: event.Event{ID: "bad"}, Err: errs.New(errs.Invalid, "no name")}}
	_, err := w.Submit(t.Context(), event.Analytics, bad)
	must(t, err)
	w.Reject(t.Context(), event.Analytics, errs.New(errs.Malformed, "not JSON"))
	w.flush()

	want := Ledger{Received: 5, Rejected: 2, Accepted: 3, Stored: 2, Duplicate: 1}
	if got := w.ledger(); got != want {
		t.Errorf("ledger is %+v, want %+v", got, want)
	}
	for id, status := range map[string]store.Status{"a": store.StatusStored, "b": store.StatusStored, "bad": store.StatusRejected} {
		if r := w.receipt(id); r.Status != status {
			t.Errorf("receipt of %s says %s, want %s", id, r.Status, status)
		}
	}
	if _, err := w.Receipt(t.Context(), "never"); !errs.Is(err, errs.NotFound) {
		t.Errorf("an id never seen: %v, want not found", err)
	}
	if e, err := w.sink.Get(t.Context(), "a"); err != nil || e.Name != "signup" {
		t.Errorf("the first of two must stay: %q, %v", e.Name, err)
	}
}

func TestSamplingLeavesOutWholePersons(t *testing.T) {
	w := newWorld(t)
	w.change(func(s *settings.Settings) { s.SampleRates = map[string]float64{string(event.Custom): 0.5} })
	in := map[string]bool{}
	for round := range 2 {
		for i := range 200 {
			user := fmt.Sprint("user", i)
			it := w.send(event.Event{Name: "n", UserID: user})[0]
			if round > 0 && in[user] == it.Sampled {
				t.Fatalf("%s was both in and out", user)
			}
			in[user] = !it.Sampled
			if !it.Sampled && it.Event.SampleRate != 0.5 {
				t.Fatalf("the kept event states rate %v, want 0.5", it.Event.SampleRate)
			}
		}
	}
	w.flush()
	if l := w.ledger(); l.SampledOut < 100 || l.Stored < 100 || l.SampledOut+l.Stored != 400 {
		t.Errorf("sampling at one half: %+v", l)
	}
}

func TestDisabledRefusesAndCounts(t *testing.T) {
	w := newWorld(t)
	w.change(func(s *settings.Settings) { s.Enabled = false })
	if _, _, err := w.trySend(event.Event{Name: "n"}); !errs.Is(err, errs.Unavailable) {
		t.Fatalf("disabled: %v, want unavailable", err)
	}
	w.change(func(*settings.Settings) {})
	w.send(event.Event{Name: "n"})
	w.flush()
	if l := w.ledger(); l.Rejected != 1 || l.Stored != 1 {
		t.Errorf("ledger %+v", l)
	}
}

func TestCommitWhoseAnswerIsLostCountsOnce(t *testing.T) {
	w := newWorld(t)
	w.sink.loseReply.Store(3)
	for i := range 5 {
		w.send(event.Event{ID: fmt.Sprint(i), Name: "n"})
		w.flush()
	}
	if l := w.ledger(); l.Stored != 5 || l.Duplicate != 0 {
		t.Errorf("ledger %+v, want 5 stored and no duplicate", l)
	}
}

func TestDatabaseAwayAcceptsThenDrains(t *testing.T) {
	w := newWorld(t)
	w.send(event.Event{ID: "before", Name: "n"})
	w.flush()
	w.sink.away.Store(true)
	const escaped = "during \"quotes\" \\ and \t" // as JSON writes it
	w.send(event.Event{ID: escaped, Name: "n"})
	for i := range 9 {
		w.send(event.Event{ID: fmt.Sprint("during", i+1), Name: "n"})
	}
	for _, id := range []string{"during3", escaped} {
		if r := w.receipt(id); r.Status != store.StatusPending {
			t.Errorf("receipt of %q says %s, want pending", id, r.Status)
		}
	}
	recent, buffered, err := w.Recent(t.Context(), 3)
	must(t, err)
	if len(recent) != 3 || recent[0].ID != "during9" || buffered != 10 {
		t.Errorf("recent shows %d events, first %q, buffered %d", len(recent), recent[0].ID, buffered)
	}
	if l := w.ledger(); l.Pending != 10 {
		t.Errorf("pending %d, want 10", l.Pending)
	}
	w.sink.away.Store(false)
	w.flush()
	if l := w.ledger(); l.Stored != 11 || l.Pending != 0 {
		t.Errorf("after the return: %+v", l)
	}
}

func TestPoisonIsIsolated(t *testing.T) {
	w := newWorld(t)
	w.sink.poison = "poison"
	events := make([]event.Event, 500)
	for i := range events {
		events[i] = event.Event{ID: fmt.Sprint(i), Name: "good"}
	}
	events[321].Name = "poison"
	w.send(events...)
	w.flush()
	if l := w.ledger(); l.Stored != 499 || l.DeadLettered != 1 {
		t.Errorf("ledger %+v, want 499 stored, 1 dead-lettered", l)
	}
	if r := w.receipt("321"); r.Status != store.StatusDeadLettered || r.Reason != event.ReasonStoreRefused.String() {
		t.Errorf("receipt of the poison: %+v", r)
	}
}

func TestCrashKeepsTheLedger(t *testing.T) {
	w := newWorld(t)
	w.sink.away.Store(true)
	for i := range 50 {
		w.send(event.Event{ID: fmt.Sprint(i % 40), Name: "n"})
	}
	bad := []Item{{Event: event.Event{ID: "bad"}, Err: errs.New(errs.Invalid, "no name")}}
	_, err := w.Submit(t.Context(), event.Analytics, bad)
	must(t, err)
	w.close()
	w.open()
	w.flush()
	want := Ledger{Received: 51, Rejected: 1, Accepted: 50, Stored: 40, Duplicate: 10}
	if got := w.ledger(); got != want {
		t.Errorf("after the crash %+v, want %+v", got, want)
	}
	if r := w.receipt("bad"); r.Status != store.StatusRejected {
		t.Errorf("the refused event's receipt says %s", r.Status)
	}
	w.close()
	w.open()
	w.flush()
	if got := w.ledger(); got != want {
		t.Errorf("after another start %+v, want %+v", got, want)
	}
}

func TestFullJournalOwesItsCounts(t *testing.T) {
	w := newWorld(t)
	w.log.err.Store(errs.New(errs.Overloaded, "full"))
	if _, _, err := w.trySend(event.Event{Name: "n"}, event.Event{Name: "n"}); !errs.Is(err, errs.Overloaded) {
		t.Fatalf("full journal: %v, want overloaded", err)
	}
	w.flush() // the cursor is known after this
	if l := w.ledger(); l.Rejected != 2 || l.Received != 2 {
		t.Errorf("while full: %+v", l)
	}
	w.log.err.Store(nil)
	w.send(event.Event{Name: "n"})
	w.flush()
	w.close()
	w.open()
	w.flush()
	if l := w.ledger(); l.Rejected != 2 || l.Stored != 1 {
		t.Errorf("owed counts did not survive: %+v", l)
	}
}

func TestStopDoesNotWaitForADatabaseThatIsAway(t *testing.T) {
	w := newWorld(t)
	w.send(event.Event{Name: "n"})
	w.flush()
	w.sink.away.Store(true)
	w.send(event.Event{Name: "n"}) // nothing has failed yet when Stop begins to wait
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	w.Stop(ctx)
	if ctx.Err() != nil {
		t.Error("Stop waited to the end")
	}
}

func TestStopDrains(t *testing.T) {
	w := newWorld(t)
	w.change(func(s *settings.Settings) { s.BufferSize, s.FlushInterval = 100_000, time.Hour })
	w.send(event.Event{Name: "n"})
	w.Stop(t.Context())
	c, _, _ := w.writer.progress.state()
	if c.Counts.Stored != 1 {
		t.Errorf("stored %d when Stop returned, want 1", c.Counts.Stored)
	}
}
