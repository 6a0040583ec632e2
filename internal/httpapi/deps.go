package httpapi

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/tidemark-obs/tidemark/internal/access"
	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/event/eventjson"
	"github.com/tidemark-obs/tidemark/internal/ingest"
	"github.com/tidemark-obs/tidemark/internal/notify"
	"github.com/tidemark-obs/tidemark/internal/perf"
	"github.com/tidemark-obs/tidemark/internal/settings"
	"github.com/tidemark-obs/tidemark/internal/store"
	"github.com/tidemark-obs/tidemark/internal/upkeep"
)

// Deps is what the API answers from. All fields are required unless said otherwise.
type Deps struct {
	Intake     Intake
	Backlog    Backlog
	Accounts   Accounts
	Events     Events
	Questions  Questions
	Journeys   Journeys
	SQL        SQL
	Archive    Archive
	Erasures   Erasures
	Upkeep     Upkeep
	Settings   Settings
	Access     Access
	Keys       Keys
	Operations Operations
	System     System
	Decoder    Decoder
	Alerts     Alerts
	Silences   Silences
	// AlertHistory is what became of alerts.
	AlertHistory AlertHistory
	Destinations Destinations

	// Ready is what must work for the service to be ready, asked together at GET /-/ready.
	Ready []ReadyCheck
	// Reload loads the configuration anew.
	Reload func(ctx context.Context) error
	// Metrics answers GET /metrics.
	Metrics http.Handler
	// ObserveOperation hears how long every request took, under the name that Operations knows.
	ObserveOperation func(ctx context.Context, operation string, took time.Duration)
	// Prometheus answers the Prometheus HTTP API under /api/v1; nil = there is none.
	Prometheus http.Handler
	// Services are the names of what is at work, beside destinations, for GET /stats.
	Services []string
	// SelfRates says which share of its own requests the service records as events; nil = none.
	SelfRates func() SelfRates

	Logger  *slog.Logger
	Now     func() time.Time
	Limits  Limits // zero = DefaultLimits
	Version string
}

// Intake takes events in.
type Intake interface {
	Submit(ctx context.Context, proto event.Protocol, items []ingest.Item) (seq uint64, err error)
	Reject(ctx context.Context, proto event.Protocol, err error)
	WaitStored(ctx context.Context, seq uint64) error
}

// Backlog is what was accepted and may not be stored yet.
type Backlog interface {
	Flush(ctx context.Context) (flushed int64, err error)
	Recent(ctx context.Context, limit int) (events []event.Event, buffered uint64, err error)
	Status() ingest.Status
	AsOf() time.Time
}

// Accounts tells what became of events.
type Accounts interface {
	Ledger(ctx context.Context) (ingest.Ledger, error)
	Receipt(ctx context.Context, id string) (store.Receipt, error)
}

// Events are the stored ones.
type Events interface {
	Get(ctx context.Context, id string) (event.Event, error)
	List(ctx context.Context, f store.Filter, p store.Page) ([]event.Event, error)
	Update(ctx context.Context, id string, p store.Patch, now time.Time) (event.Event, error)
	Delete(ctx context.Context, id string) error
	MarkProcessed(ctx context.Context, ids []string, now time.Time) (int64, error)
	Stats(ctx context.Context, start, end time.Time) (store.Stats, error)
	Erasure(ctx context.Context, id string) (store.Erasure, error)
}

// Erasures removes persons.
type Erasures interface {
	Erase(ctx context.Context, userID string, refuse bool) (store.Erasure, error)
}

// Upkeep keeps the database within its bounds.
type Upkeep interface {
	Once(ctx context.Context, compact bool) (upkeep.Report, error)
	Size() (z store.Size, known bool)
}

// Archive are the stored events as a whole, for exports.
type Archive interface {
	// Scan returns a function that returns the next page, oldest first, empty at the end.
	Scan(f store.Filter, after store.Position) (next func(context.Context) ([]event.Event, error))
	// WritesParquet reports whether the database writes Parquet files itself; WriteParquet then
	// lends the path of one.
	WritesParquet() bool
	WriteParquet(ctx context.Context, f store.Filter, use func(path string) error) error
}

// Settings are the run-time settings.
type Settings interface {
	Current() settings.Settings
	Update(ctx context.Context, patch []byte) (settings.Settings, error)
}

// Access decides who may do what.
type Access interface {
	Authorize(r *http.Request, need access.Scope) (access.Principal, error)
	Admit(r *http.Request, p access.Principal, n int) error
}

// Keys manages the access keys.
type Keys interface {
	Create(ctx context.Context, name string, scopes []string) (text string, k store.Key, err error)
	List(ctx context.Context) ([]store.Key, error)
	Revoke(ctx context.Context, id string) error
}

// Decoder reads events; a reload may change its limits between two calls.
type Decoder interface {
	DecodeAs(form eventjson.Form, raw []byte, e *event.Event) (warnings []errs.Field, err error)
	DecodeMoved(raw []byte, e *event.Event) (warnings []errs.Field, err error)
	Elements(raw []byte, yield func(i int, element []byte) bool) error
	Object(raw []byte) (event.Object, []errs.Field)
}

// Operations keeps the timings of requests.
type Operations interface {
	Record(name string, took time.Duration, failed bool)
	Stats() map[string]perf.OperationStats
	Operation(name string) (perf.OperationStats, bool)
	Total() uint64
	Clear()
}

// System is the state of the machine.
type System interface {
	Read() perf.SystemMetrics
}

// Alerts are the alerts as they stand.
type Alerts interface {
	State() notify.State
	Test(ctx context.Context) ([]notify.TestResult, error)
}

// Silences keep alerts from being told.
type Silences interface {
	Silences() []store.Silence
	Silence(ctx context.Context, s store.Silence) (store.Silence, error)
	EndSilence(ctx context.Context, id string) error
}

// AlertHistory is what became of alerts and notifications.
type AlertHistory interface {
	AlertHistory(ctx context.Context, f store.AlertHistoryFilter) ([]store.AlertEvent, error)
}

// ReadyCheck is one thing that must work for the service to be ready.
type ReadyCheck struct {
	Name  string
	Check func(ctx context.Context) error
}

// SelfRates are shares of the service's own requests, from 0 (none) to 1 (all).
type SelfRates struct {
	Reads  float64 // GET and HEAD
	Writes float64 // everything else; never the doors that take events in
	Errors float64 // answers from 400 up, whatever the method
}

// Limits bounds requests.
type Limits struct {
	Event        event.Limits
	RequestBytes int           // of a body, before and after decompression
	BatchEvents  int           // of POST /batch-track
	BulkEvents   int           // of POST /events/batch and ids of POST /events/processed
	BodyTimeout  time.Duration // for a body to arrive
	BodyMemory   int           // bytes that all large bodies together may hold
	StoreWait    time.Duration // how long POST /events waits for the database
	FlushWait    time.Duration // how long POST /flush waits for it
	ExportStall  time.Duration // how long the client of an export may take nothing
}

// DefaultLimits are those of the contract.
func DefaultLimits() Limits {
	return Limits{
		Event:        event.DefaultLimits(),
		RequestBytes: 1 << 20, BatchEvents: 100, BulkEvents: 1000,
		BodyTimeout: 30 * time.Second, BodyMemory: 128 << 20,
		StoreWait: 10 * time.Second, FlushWait: 30 * time.Second,
		ExportStall: 30 * time.Second,
	}
}
