package httpapi

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/ingest"
	"github.com/tidemark-obs/tidemark/internal/notify"
	"github.com/tidemark-obs/tidemark/internal/question"
	"github.com/tidemark-obs/tidemark/internal/question/questiontest"
	"github.com/tidemark-obs/tidemark/internal/store"
	"github.com/tidemark-obs/tidemark/internal/upkeep"
)

// memory stands for the pipeline and the store where a test needs them to fail, to wait or to
// cost nothing. It stores at once.
type memory struct {
	mu       sync.Mutex
	events   map[string]event.Event
	rejected []error // what Reject was told
	selfs    []event.Event
	scanned  int // pages of exports
	ledger   ingest.Ledger
	stats    store.Stats
	now      func() time.Time

	submitErr error  // of Submit
	waitErr   error  // of WaitStored and Flush
	storeErr  error  // of everything that reads the store
	sampleOut string // event name that sampling leaves out
	dead      bool   // events become dead letters
	submitted chan struct{}

	alerts   []notify.AlertState
	history  []store.AlertEvent
	asked    store.AlertHistoryFilter
	nobody   bool // is to be told
	silences []store.Silence
}

func newMemory() *memory {
	return &memory{events: map[string]event.Event{}, now: time.Now, submitted: make(chan struct{}, 1000)}
}

func (m *memory) Submit(_ context.Context, proto event.Protocol, items []ingest.Item) (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.submitErr != nil {
		return 0, m.submitErr
	}
	defer func() {
		select {
		case m.submitted <- struct{}{}:
		default:
		}
	}()
	now := m.now().UTC().Truncate(time.Microsecond)
	for i := range items {
		it := &items[i]
		m.ledger.Received++
		if it.Err != nil {
			m.ledger.Rejected++
			continue
		}
		if proto != event.Import || it.Event.ReceivedAt.IsZero() {
			it.Event.ReceivedAt = now
		}
		if it.Event.ID == "" {
			it.Event.ID = fmt.Sprintf("generated-%d", m.ledger.Received)
		}
		if it.Event.Name == m.sampleOut && m.sampleOut != "" {
			it.Sampled = true
			m.ledger.SampledOut++
			continue
		}
		m.ledger.Accepted++
		if proto == event.Self {
			m.selfs = append(m.selfs, it.Event)
		}
		if _, ok := m.events[it.Event.ID]; ok {
			m.ledger.Duplicate++
		} else if !m.dead {
			m.events[it.Event.ID] = it.Event
			m.ledger.Stored++
		}
	}
	return m.ledger.Accepted, nil
}

func (m *memory) Reject(_ context.Context, _ event.Protocol, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ledger.Received++
	m.ledger.Rejected++
	m.rejected = append(m.rejected, err)
}

func (m *memory) WaitStored(ctx context.Context, _ uint64) error {
	if m.waitErr != nil {
		return m.waitErr
	}
	return ctx.Err()
}

func (m *memory) Flush(context.Context) (int64, error) { return 7, m.waitErr }

func (m *memory) Recent(_ context.Context, limit int) ([]event.Event, uint64, error) {
	events, err := m.List(context.Background(), store.Filter{}, store.Page{Limit: limit})
	return events, 3, err
}

func (m *memory) Status() ingest.Status { return ingest.Status{Buffered: 3} }

func (m *memory) Ledger(context.Context) (ingest.Ledger, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ledger, m.storeErr
}

func (m *memory) Receipt(_ context.Context, id string) (store.Receipt, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dead {
		return store.Receipt{EventID: id, Status: store.StatusDeadLettered, Reason: "store_refused"}, nil
	}
	if _, ok := m.events[id]; ok {
		return store.Receipt{EventID: id, Status: store.StatusStored}, nil
	}
	return store.Receipt{}, errs.New(errs.NotFound, "no event of this id was ever received")
}

func (m *memory) Get(_ context.Context, id string) (event.Event, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.storeErr != nil {
		return event.Event{}, m.storeErr
	}
	e, ok := m.events[id]
	if !ok {
		return event.Event{}, errs.New(errs.NotFound, "there is no event of this id")
	}
	return e, nil
}

func (m *memory) List(_ context.Context, _ store.Filter, p store.Page) ([]event.Event, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.storeErr != nil {
		return nil, m.storeErr
	}
	var all []event.Event
	for _, e := range m.events {
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b event.Event) int { return b.Timestamp.Compare(a.Timestamp) })
	return all[:min(len(all), p.Limit)], nil
}

func (m *memory) Update(_ context.Context, id string, _ store.Patch, _ time.Time) (event.Event, error) {
	return m.Get(context.Background(), id)
}

func (m *memory) Delete(context.Context, string) error { return m.storeErr }

func (m *memory) MarkProcessed(_ context.Context, ids []string, _ time.Time) (int64, error) {
	return int64(len(ids)), m.storeErr
}

func (m *memory) Stats(context.Context, time.Time, time.Time) (store.Stats, error) {
	return m.stats, m.storeErr
}

func (m *memory) AsOf() time.Time { return m.now() }

func (m *memory) all() []event.Event {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Collect(maps.Values(m.events))
}

func (m *memory) Series(_ context.Context, q *question.Series) (question.SeriesAnswer, error) {
	return questiontest.Series(q, m.all()), m.storeErr
}

func (m *memory) Breakdown(_ context.Context, q *question.Breakdown) (question.BreakdownAnswer, error) {
	return questiontest.Breakdown(q, m.all()), m.storeErr
}

func (m *memory) Funnel(_ context.Context, q *question.Funnel) (question.FunnelAnswer, error) {
	return questiontest.Funnel(q, m.all()), m.storeErr
}

func (m *memory) Retention(_ context.Context, q *question.Retention) (question.RetentionAnswer, error) {
	return questiontest.Retention(q, m.all()), m.storeErr
}

func (m *memory) Visits(_ context.Context, q *question.Visits) (question.VisitsAnswer, error) {
	return questiontest.Visits(q, m.all()), m.storeErr
}

func (m *memory) Paths(_ context.Context, q *question.Paths) (question.PathsAnswer, error) {
	return questiontest.Paths(q, m.all()), m.storeErr
}

func (m *memory) Select(_ context.Context, _ string, limit int) (store.Table, error) {
	return store.Table{Columns: []string{"n"}, Rows: [][]any{{limit}}}, m.storeErr
}

// Scan returns pages of three.
func (m *memory) Scan(store.Filter, store.Position) func(context.Context) ([]event.Event, error) {
	all, err := m.List(context.Background(), store.Filter{}, store.Page{Limit: 1 << 30})
	slices.Reverse(all)
	return func(context.Context) ([]event.Event, error) {
		m.mu.Lock()
		m.scanned++
		m.mu.Unlock()
		page := all[:min(3, len(all))]
		all = all[len(page):]
		return page, err
	}
}

func (m *memory) Erasure(context.Context, string) (store.Erasure, error) {
	return store.Erasure{}, errs.New(errs.NotFound, "no such erasure")
}

func (m *memory) Erase(_ context.Context, _ string, refuse bool) (store.Erasure, error) {
	return store.Erasure{ID: "erasure", Refuse: refuse}, m.storeErr
}

func (m *memory) Once(_ context.Context, compact bool) (upkeep.Report, error) {
	return upkeep.Report{Compacted: compact}, m.storeErr
}

func (m *memory) Size() (store.Size, bool) {
	return store.Size{Events: 4, Bytes: 900, Live: 401, Columns: []string{"properties.plan"}}, true
}

func (m *memory) WritesParquet() bool { return false }

func (m *memory) WriteParquet(context.Context, store.Filter, func(string) error) error {
	return errs.New(errs.Internal, "no Parquet here")
}

// slowStore needs two seconds to store.
type slowStore struct{ Intake }

func (s slowStore) WaitStored(ctx context.Context, seq uint64) error {
	wait := time.NewTimer(2 * time.Second)
	defer wait.Stop()
	select {
	case <-wait.C:
		return s.Intake.WaitStored(ctx, seq)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (m *memory) State() notify.State { return notify.State{Notifies: true, Alerts: m.alerts} }

func (m *memory) Test(context.Context) ([]notify.TestResult, error) {
	if m.nobody {
		return nil, m.storeErr
	}
	return []notify.TestResult{
		{Receiver: "pager", Type: "webhook", Sent: true, Answer: "200 OK", Took: 12345 * time.Microsecond},
		{Receiver: "chat", Type: "slack", Answer: "no answer in time"},
	}, m.storeErr
}

func (m *memory) Silences() []store.Silence { return m.silences }

func (m *memory) Silence(_ context.Context, s store.Silence) (store.Silence, error) {
	s.ID, s.CreatedAt = "s1", m.now().UTC()
	m.silences = append(m.silences, s)
	return s, m.storeErr
}

func (m *memory) EndSilence(_ context.Context, id string) error {
	if id != "s1" {
		return errs.New(errs.NotFound, "there is no silence of this id")
	}
	return m.storeErr
}

func (m *memory) AlertHistory(_ context.Context, f store.AlertHistoryFilter) ([]store.AlertEvent, error) {
	m.asked = f
	return m.history, m.storeErr
}
