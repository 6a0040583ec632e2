package storetest

import (
	"sync"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/store"
)

// Database returns the configuration of a fresh and empty database. The suite adds its clock.
type Database func(t *testing.T) store.Config

// Run runs the suite.
func Run(t *testing.T, database Database) {
	runGroups(t, database, []group{
		{"list", listStories()}, {"scan", scanStories()}, {"retain", retainStories()}, {"stats", statsStories()},
		{"questions", questionStories()}, {"rollups", rollupStories()}, {"stats from roll-ups", statsRollupStories()}, {"declared", declaredStories()},
		{"projections", projectionStories()}, {"journeys", journeyStories()}, {"edges", edgeStories()},
		{"receipts", receiptStories()}, {"destinations", destinationStories()},
	})
	RunWriting(t, database)
}

// RunWriting runs the part of the suite that is about storing, and about several who do so at once.
// What it leaves out asks one question after the other.
func RunWriting(t *testing.T, database Database) {
	runGroups(t, database, []group{
		{"commit", commitStories()}, {"duplicates", duplicateStories()}, {"cursor", cursorStories()},
		{"refused", refusedStories()}, {"events", eventStories()}, {"erasure", erasureStories()},
		{"state", stateStories()}, {"alerting", alertingStories()}, {"office", officeStories()},
		{"schema", schemaStories()}, {"together", togetherStories()},
	})
}

// group is stories about one thing.
type group struct {
	name    string
	stories []story
}

func runGroups(t *testing.T, database Database, groups []group) {
	for _, group := range groups {
		t.Run(group.name, func(t *testing.T) {
			for _, st := range group.stories {
				t.Run(st.name, func(t *testing.T) {
					b := &bench{T: t, cfg: database(t), clock: &clock{now: epoch}}
					b.cfg.Now = b.clock.Now
					b.cfg.FrequentAfter = 50 // in the middle of most histories
					b.open()
					st.run(b)
				})
			}
		})
	}
}

// story is one test, told on a fresh, migrated database.
type story struct {
	name string
	run  func(b *bench)
}

// epoch is when every story begins.
var epoch = time.Date(2025, 3, 14, 15, 9, 26, 535897000, time.UTC)

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// bench is what a story works with: a database, the store under test and where its stream stands.
type bench struct {
	*testing.T
	cfg    store.Config
	clock  *clock
	store  *store.Store
	cursor store.Cursor
}

// open opens the database and brings it to the current schema.
func (b *bench) open() {
	b.Helper()
	b.store = b.another()
	if _, err := b.store.Migrate(b.Context(), false); err != nil {
		b.Fatal(err)
	}
	b.cursor = b.cursorOf("stream")
}

// another opens a second store on the same database, which only PostgreSQL allows.
func (b *bench) another() *store.Store {
	b.Helper()
	s, err := store.Open(b.Context(), b.cfg)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := s.Close(); err != nil {
			b.Errorf("close: %v", err)
		}
	})
	return s
}

// reopen closes the database and opens it again, as after a restart.
func (b *bench) reopen() {
	b.Helper()
	if err := b.store.Close(); err != nil {
		b.Fatal(err)
	}
	b.open()
}

func (b *bench) cursorOf(stream string) store.Cursor {
	b.Helper()
	c, err := b.store.Cursor(b.Context(), stream)
	if err != nil {
		b.Fatal(err)
	}
	return c
}

// fewer is how many there are of something: less in a short run, which proves the same of less.
func fewer(n, short int) int {
	if testing.Short() {
		return short
	}
	return n
}

// commit stores one batch with these events and returns what became of it.
func (b *bench) commit(events ...event.Event) store.Result {
	b.Helper()
	return b.commitBatch(store.Batch{Events: events})
}

func (b *bench) commitBatch(batch store.Batch) store.Result {
	b.Helper()
	batch.From, batch.Seq = b.cursor, b.cursor.Seq+1
	result, err := b.store.Commit(b.Context(), &batch)
	if err != nil {
		b.Fatal(err)
	}
	b.cursor = result.Cursor
	return result
}

// at is an event of the given id, some time after the epoch.
func at(id string, after time.Duration) event.Event {
	return event.Event{
		ID: id, Name: "something", Type: event.Custom, Severity: event.Low, SampleRate: 1,
		Timestamp: epoch.Add(after), ReceivedAt: epoch.Add(after),
	}
}

// ids are the ids of all stored events, newest first.
func (b *bench) ids(f store.Filter) []string {
	b.Helper()
	list, err := b.store.List(b.Context(), f, store.Page{Limit: 1000})
	if err != nil {
		b.Fatal(err)
	}
	return idsOf(list)
}

func idsOf(events []event.Event) []string {
	ids := make([]string, len(events))
	for i := range events {
		ids[i] = events[i].ID
	}
	return ids
}

// wantKind fails unless err has the kind.
func (b *bench) wantKind(err error, k errs.Kind) {
	b.Helper()
	if !errs.Is(err, k) {
		b.Fatalf("error %v of kind %d, want kind %d", err, errs.KindOf(err), k)
	}
}

// ok fails on an error.
func (b *bench) ok(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}
