package store_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/declared"
	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/pgtest"
	"github.com/tidemark-obs/tidemark/internal/store"
	"github.com/tidemark-obs/tidemark/internal/store/storetest"
)

func open(t testing.TB, cfg store.Config) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	if _, err := s.Migrate(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	return s
}

// databases are both, PostgreSQL on a server of its own with fsync as in production.
func databases(b *testing.B, run func(b *testing.B, cfg store.Config)) {
	b.Run("duckdb", func(b *testing.B) { run(b, store.Config{Dir: b.TempDir()}) })
	b.Run("postgres", func(b *testing.B) { run(b, store.Config{URL: pgtest.Start(b).Database(b)}) })
}

// benchRows is how many events a benchmark of a large database is to have.
func benchRows(b *testing.B) int {
	rows, err := strconv.Atoi(os.Getenv("TIDEMARK_BENCH_ROWS"))
	if err != nil {
		b.Skip("TIDEMARK_BENCH_ROWS is not set")
	}
	return rows
}

// kept names the databases that stay for the next run: DuckDB's directory is TIDEMARK_BENCH_DIR, the
// address of PostgreSQL's TIDEMARK_BENCH_URL. Without them nothing stays.
func kept(cfg store.Config) store.Config {
	if dir := os.Getenv("TIDEMARK_BENCH_DIR"); dir != "" && cfg.URL == "" {
		cfg.Dir = dir
	}
	if url := os.Getenv("TIDEMARK_BENCH_URL"); url != "" && cfg.URL != "" {
		cfg.URL = url
	}
	return cfg
}

// pastDays is what the events of a past are spread over.
const pastDays = 90

// spread puts events into their places among so many that lie evenly over the days after start.
func spread(events []event.Event, start time.Time, first, rows int) {
	for i := range events {
		e := &events[i]
		late := e.ReceivedAt.Sub(e.Timestamp)
		e.ReceivedAt = start.Add(pastDays * 24 * time.Hour / time.Duration(rows) * time.Duration((first+i)%rows)).Truncate(time.Microsecond)
		e.Timestamp = e.ReceivedAt.Add(-late)
	}
}

// pastBatch is how many events of a past are stored at once.
const pastBatch = 10_000

// fillPast stores a past in the order of time, each event as a change makes it. What a cursor says
// is stored stays as it is.
func fillPast(b *testing.B, s *store.Store, c store.Cursor, start time.Time, rows int, change func(*event.Event)) {
	g := storetest.NewGenerator(1+c.Seq, start)
	for first := int(c.Seq) * pastBatch; first < rows; first += pastBatch {
		batch := store.Batch{From: c, Seq: c.Seq + 1, Events: g.Events(pastBatch)}
		spread(batch.Events, start, first, rows)
		for i := range batch.Events {
			change(&batch.Events[i])
		}
		result, err := s.Commit(b.Context(), &batch)
		if err != nil {
			b.Fatal(err)
		}
		c = result.Cursor
	}
}

func tidy(b *testing.B, s *store.Store) {
	if err := s.TidyRollups(b.Context()); err != nil {
		b.Fatal(err)
	}
}

// commit stores the next batch and returns the cursor after it.
func commit(b *testing.B, s *store.Store, g *storetest.Generator, c store.Cursor, size int) (store.Cursor, time.Duration) {
	batch := store.Batch{From: c, Seq: c.Seq + 1, Events: g.Events(size)}
	start := time.Now()
	result, err := s.Commit(b.Context(), &batch)
	took := time.Since(start)
	if err != nil {
		b.Fatal(err)
	}
	if len(result.Duplicates) > 0 {
		b.Fatalf("%d duplicates among new events", len(result.Duplicates))
	}
	return result.Cursor, took
}

// BenchmarkCommit measures the store alone, the raw limit of the whole service, by the size of its
// transactions.
func BenchmarkCommit(b *testing.B) {
	databases(b, func(b *testing.B, cfg store.Config) {
		s := open(b, cfg)
		g := storetest.NewGenerator(1, time.Now())
		for _, size := range []int{100, 1_000, 5_000, 20_000} {
			b.Run(strconv.Itoa(size), func(b *testing.B) {
				c, err := s.Cursor(b.Context(), "bench")
				if err != nil {
					b.Fatal(err)
				}
				var took time.Duration
				for b.Loop() {
					var one time.Duration
					c, one = commit(b, s, g, c, size)
					took += one
				}
				b.ReportMetric(float64(size*b.N)/took.Seconds(), "rows/s")
			})
		}
	})
}

// BenchmarkMetricsOfEvents stores the same with and without metrics made from every fourth event,
// by turns, and reports what they cost.
func BenchmarkMetricsOfEvents(b *testing.B) {
	set, err := declared.New(declared.Config{
		Dimensions: []declared.DimensionConfig{{Property: "plan"}, {Property: "path"}},
		Numbers:    []declared.NumberConfig{{Property: "amount"}},
		Metrics: []declared.MetricConfig{
			{Event: "event_0", Labels: []string{"plan"}}, {Event: "event_1", Labels: []string{"path"}},
			{Event: "event_2", Histogram: "amount", Labels: []string{"plan"}}, {Event: "event_3"}, {Event: "event_4"}, {Event: "event_5", Labels: []string{"plan"}},
		},
	}, "s")
	if err != nil {
		b.Fatal(err)
	}
	const size = 10_000 // as large as batches grow under load
	databases(b, func(b *testing.B, cfg store.Config) {
		var took [2]time.Duration
		var stores [2]*store.Store
		var cursors [2]store.Cursor
		for i := range stores {
			if cfg.Dir != "" {
				cfg.Dir = b.TempDir()
			}
			if cfg.Declared = nil; i == 1 {
				cfg.Declared = set
			}
			stores[i], cursors[i] = open(b, cfg), store.Cursor{Stream: fmt.Sprint("bench ", i)}
		}
		g := storetest.NewGenerator(1, time.Now())
		for b.Loop() {
			for i := range stores {
				var one time.Duration
				cursors[i], one = commit(b, stores[i], g, cursors[i], size)
				took[i] += one
			}
		}
		b.ReportMetric(float64(size*b.N)/took[0].Seconds(), "rows/s")
		b.ReportMetric(float64(size*b.N)/took[1].Seconds(), "rows/s-with-metrics")
		b.ReportMetric(took[1].Seconds()/took[0].Seconds(), "ratio")
	})
}

// BenchmarkGrow fills an empty database with TIDEMARK_BENCH_ROWS events and prints how fast each
// tenth went, and what it took of disk and memory.
func BenchmarkGrow(b *testing.B) {
	rows := benchRows(b)
	const size = 5_000
	databases(b, func(b *testing.B, cfg store.Config) {
		s := open(b, cfg)
		g := storetest.NewGenerator(1, time.Now())
		c := store.Cursor{Stream: "grow"}
		var slowest time.Duration
		for tenth := range 10 {
			var took time.Duration
			for range rows / size / 10 {
				var one time.Duration
				c, one = commit(b, s, g, c, size)
				took += one
				slowest = max(slowest, one)
			}
			fmt.Printf("%s %8d rows: %6.0f rows/s, slowest transaction %v, memory %d MB, file %d bytes an event\n",
				s.Dialect(), (tenth+1)*rows/10, float64(rows/10)/took.Seconds(), slowest, resident(b)>>20,
				fileSize(cfg.Dir)/int64((tenth+1)*rows/10))
		}
		debug.FreeOSMemory()
		fmt.Printf("%s at rest: memory %d MB\n", s.Dialect(), resident(b)>>20)
		store.Vacuum(b, s)
		c = ask(b, s, g.Events(1)[0].Timestamp, c)

		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		start := time.Now()
		s = open(b, cfg)
		opened := time.Since(start)
		_, took := commit(b, s, g, c, 100)
		fmt.Printf("%s again: open after %v, first commit %v\n", s.Dialect(), opened.Round(time.Millisecond), took.Round(time.Millisecond))
	})
}

// ask prints how long the usual questions take, and returns the cursor after them.
func ask(b *testing.B, s *store.Store, now time.Time, c store.Cursor) store.Cursor {
	newest, err := s.List(b.Context(), store.Filter{}, store.Page{Limit: 100})
	if err != nil {
		b.Fatal(err)
	}
	page := store.Page{Limit: 100}
	for _, question := range []struct {
		name string
		ask  func() error
	}{
		{"newest 100", func() error { _, err := s.List(b.Context(), store.Filter{}, page); return err }},
		{"newest 1000", func() error { _, err := s.List(b.Context(), store.Filter{}, store.Page{Limit: 1000}); return err }},
		{"of a user", func() error { _, err := s.List(b.Context(), store.Filter{UserID: "user-7"}, page); return err }},
		{"of a session", func() error { _, err := s.List(b.Context(), store.Filter{SessionID: "session-7"}, page); return err }},
		{"with two tags", func() error {
			_, err := s.List(b.Context(), store.Filter{Tags: []string{"beta", "web"}}, page)
			return err
		}},
		{"one by id", func() error { _, err := s.Get(b.Context(), newest[50].ID); return err }},
		{"a receipt", func() error { _, err := s.Receipt(b.Context(), newest[50].ID); return err }},
		{"statistics", func() error { _, err := s.Stats(b.Context(), now.Add(-time.Hour), now); return err }},
		{"mark one", func() error { _, err := s.MarkProcessed(b.Context(), []string{newest[7].ID}, now); return err }},
		{"store 100 again", func() error {
			result, err := s.Commit(b.Context(), &store.Batch{From: c, Seq: c.Seq + 1, Events: newest})
			c = result.Cursor
			if len(result.Duplicates) != len(newest) {
				b.Errorf("%d duplicates of %d", len(result.Duplicates), len(newest))
			}
			return err
		}},
	} {
		start := time.Now()
		if err := question.ask(); err != nil {
			b.Fatal(err)
		}
		fmt.Printf("%s %s: %v\n", s.Dialect(), question.name, time.Since(start).Round(100*time.Microsecond))
	}
	return c
}

func resident(b *testing.B) int64 {
	b.Helper()
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		b.Fatal(err)
	}
	var total, pages int64
	if _, err := fmt.Sscan(string(text), &total, &pages); err != nil {
		b.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}

func fileSize(dir string) int64 {
	info, err := os.Stat(filepath.Join(dir, "tidemark.duckdb"))
	if err != nil {
		return 0
	}
	return info.Size()
}
