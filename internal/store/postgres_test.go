package store_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/pgtest"
	"github.com/tidemark-obs/tidemark/internal/question"
	"github.com/tidemark-obs/tidemark/internal/store"
	"github.com/tidemark-obs/tidemark/internal/store/storetest"
)

// writer stores batches of a stream as ingest does: on trouble it reads the cursor and goes on.
type writer struct {
	s      *store.Store
	g      *storetest.Generator
	cursor store.Cursor
	sent   int64
}

func (w *writer) commit(ctx context.Context) error {
	batch := store.Batch{From: w.cursor, Seq: w.cursor.Seq + 1, Events: w.g.Events(100)}
	result, err := w.s.Commit(ctx, &batch)
	if err == nil {
		w.cursor = result.Cursor
		w.sent += 100
	}
	return err
}

func newWriter(t *testing.T, s *store.Store) *writer {
	return &writer{s: s, g: storetest.NewGenerator(1, time.Now()), cursor: store.Cursor{Stream: "s"}}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantUnavailable(t *testing.T, err error) {
	t.Helper()
	if !errs.Is(err, errs.Unavailable) {
		t.Fatalf("kind %d, want Unavailable: %v", errs.KindOf(err), err)
	}
}

func TestPostgresAwayAndBack(t *testing.T) {
	t.Parallel()
	pg := pgtest.Start(t)
	url := pg.Database(t)
	must(t, pg.Stop(pgtest.Fast))

	// The service starts while its database is down.
	s, err := store.Open(t.Context(), store.Config{URL: url})
	must(t, err)
	defer s.Close()
	wantUnavailable(t, s.Ping(t.Context()))
	_, err = s.Migrate(t.Context(), false)
	wantUnavailable(t, err)
	_, _, err = s.Lease(t.Context(), "s")
	wantUnavailable(t, err)

	must(t, pg.Start())
	_, err = s.Migrate(t.Context(), false)
	must(t, err)
	w := newWriter(t, s)
	must(t, w.commit(t.Context()))
	ask := func() error {
		span := question.Span{Start: time.Now().AddDate(0, 0, -3), End: time.Now().Add(time.Hour), Zone: time.UTC}
		_, series := s.Series(t.Context(), &question.Series{Span: span, Metric: question.Metric{Measure: question.Count}, Interval: question.Day})
		_, stats := s.Stats(t.Context(), span.Start, span.End)
		return errors.Join(series, stats)
	}
	must(t, ask())
	for _, mode := range []pgtest.Mode{pgtest.Fast, pgtest.Immediate} {
		must(t, pg.Stop(mode))
		wantUnavailable(t, w.commit(t.Context()))
		wantUnavailable(t, s.Ping(t.Context()))
		must(t, pg.Start())
		must(t, w.commit(t.Context()))
		must(t, ask())

		// Every pooled connection is dead now, and nobody notices.
		must(t, pg.Restart(mode))
		must(t, w.commit(t.Context()))
		must(t, ask())
		must(t, s.Ping(t.Context()))
	}
	wantStored(t, s, w.sent)
}

func TestPostgresFrozen(t *testing.T) {
	t.Parallel()
	pg := pgtest.Start(t)
	s := open(t, store.Config{URL: pg.Database(t), QueryTimeout: 8 * time.Second}) // for what is to work as well
	w := newWriter(t, s)
	must(t, w.commit(t.Context()))
	must(t, pg.Pause())
	defer pg.Resume()
	start := time.Now()
	_, err := s.Cursor(t.Context(), "s")
	wantUnavailable(t, err)
	wantUnavailable(t, w.commit(t.Context()))
	if took := time.Since(start); took > 2*time.Minute {
		t.Errorf("two calls to a frozen server took %v", took)
	}
	must(t, pg.Resume())
	var c store.Cursor
	eventually(t, func() error { c, err = s.Cursor(t.Context(), "s"); return err })
	w.cursor = c
	eventually(t, func() error { return w.commit(t.Context()) })
	wantStored(t, s, int64(w.cursor.Counts.Stored))
}

// eventually calls fn until it succeeds, for at most two minutes.
func eventually(t *testing.T, fn func() error) {
	t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	err := fn()
	for ; err != nil && time.Now().Before(deadline); err = fn() {
	}
	must(t, err)
}

// TestPostgresReplyLost cuts the connection when the answer to COMMIT is on its way: the work is
// done and the caller is not told. The cursor tells.
func TestPostgresReplyLost(t *testing.T) {
	pg := pgtest.Start(t)
	direct := pg.Database(t)
	cut := newCutter(t, pg.Addr())
	s := open(t, store.Config{URL: strings.Replace(direct, pg.Addr(), cut.addr(), 1)})
	w := newWriter(t, s)
	must(t, w.commit(t.Context()))

	events := []event.Event{w.g.Events(1)[0]}
	batch := store.Batch{From: w.cursor, Seq: 2, Events: events}
	cut.atCommit()
	_, err := s.Commit(t.Context(), &batch)
	wantUnavailable(t, err)
	c, err := s.Cursor(t.Context(), "s")
	must(t, err)
	if c.Seq != 2 || c.Counts.Stored != 101 {
		t.Fatalf("cursor %+v", c)
	}
	// A caller that did not look is told.
	if _, err := s.Commit(t.Context(), &batch); !errs.Is(err, errs.Conflict) {
		t.Errorf("the same batch again: %v", err)
	}
	wantStored(t, s, 101)
}

// TestPostgresThatRefusesIsNotAway wants who reads an error, or asks whether the service is ready, to be told what is
// wrong with the URL.
func TestPostgresThatRefusesIsNotAway(t *testing.T) {
	t.Parallel()
	pg := pgtest.Start(t)
	right := pg.DSN("postgres")
	for url, want := range map[string]string{
		pg.DSN("nowhere"): "no such database",
		strings.Replace(right, "//postgres:", "//nobody:", 1):               "refuses the user or the password",
		strings.Replace(right, "@", "x@", 1):                                "refuses the user or the password",
		strings.Replace(right, "sslmode=disable", "sslmode=verify-full", 1): "add sslmode=disable",
	} {
		s, err := store.Open(t.Context(), store.Config{URL: url})
		must(t, err)
		var e *errs.Error
		if err := s.Ping(t.Context()); !errors.As(err, &e) || e.Kind != errs.Unavailable || !strings.Contains(e.Detail, want) {
			t.Errorf("%v, want %q", err, want)
		}
		must(t, s.Close())
	}
}

// TestPostgresLeaseEndsWithItsHolder lets another take over, and fences the first.
func TestPostgresLeaseEndsWithItsHolder(t *testing.T) {
	t.Parallel()
	pg := pgtest.Start(t)
	url := pg.Database(t)
	var log bytes.Buffer
	first := open(t, store.Config{URL: url, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	second := open(t, store.Config{URL: url})
	release, ok, err := first.Lease(t.Context(), "s")
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	must(t, pg.Restart(pgtest.Fast))
	again, ok, err := second.Lease(t.Context(), "s")
	if err != nil || !ok {
		t.Fatalf("after the holder's connection was lost: %v, %v", ok, err)
	}
	a, b := newWriter(t, first), newWriter(t, second)
	must(t, b.commit(t.Context()))
	if err := a.commit(t.Context()); !errs.Is(err, errs.Conflict) {
		t.Errorf("the first holder's commit: %v", err)
	}
	if release(); log.Len() > 0 {
		t.Errorf("to give up what is lost is told as a fault: %s", &log)
	}
	_, ok, err = first.Lease(t.Context(), "s")
	if err != nil || ok {
		t.Errorf("the first holder got it back while the second had it: %v", err)
	}
	again()
}

// TestPostgresKeepsCommitsSynchronous refuses to say yes to what the server has not written.
func TestPostgresKeepsCommitsSynchronous(t *testing.T) {
	pg := pgtest.Start(t, pgtest.Setting("synchronous_commit", "off"))
	s := open(t, store.Config{URL: pg.Database(t)})
	must(t, newWriter(t, s).commit(t.Context()))
	if got := store.WriteSetting(t, s, "synchronous_commit"); got != "on" {
		t.Errorf("synchronous_commit is %s", got)
	}
}

// cutter is a proxy that can cut the connection which sends COMMIT, once the answer to it came.
type cutter struct {
	net.Listener
	target string
	mu     sync.Mutex
	armed  bool
	conns  []net.Conn
	wg     sync.WaitGroup
}

func newCutter(t *testing.T, target string) *cutter {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	c := &cutter{Listener: l, target: target}
	c.wg.Go(c.serve)
	t.Cleanup(func() {
		l.Close()
		c.mu.Lock()
		for _, conn := range c.conns {
			conn.Close()
		}
		c.mu.Unlock()
		c.wg.Wait()
	})
	return c
}

func (c *cutter) addr() string { return c.Addr().String() }

func (c *cutter) atCommit() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.armed = true
}

func (c *cutter) serve() {
	for {
		client, err := c.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", c.target)
		if err != nil {
			client.Close()
			continue
		}
		c.mu.Lock()
		c.conns = append(c.conns, client, server)
		c.mu.Unlock()
		doomed := make(chan struct{})
		c.wg.Go(func() { c.forward(client, server, doomed) })
		c.wg.Go(func() { c.answer(server, client, doomed) })
	}
}

// forward passes on what the client says and dooms the connection that says COMMIT while armed.
func (c *cutter) forward(client, server net.Conn, doomed chan struct{}) {
	defer server.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := client.Read(buf)
		if err != nil {
			return
		}
		c.mu.Lock()
		if c.armed && strings.Contains(string(buf[:n]), "COMMIT\x00") {
			c.armed = false
			close(doomed)
		}
		c.mu.Unlock()
		if _, err := server.Write(buf[:n]); err != nil {
			return
		}
	}
}

// answer passes on what the server says, and swallows the first answer on a doomed connection.
func (c *cutter) answer(server, client net.Conn, doomed chan struct{}) {
	defer client.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := server.Read(buf)
		select {
		case <-doomed:
			return
		default:
		}
		if err != nil {
			return
		}
		if _, err := client.Write(buf[:n]); err != nil {
			return
		}
	}
}

// TestPostgresListsEqualCountsByBytes is about a database whose texts sort as a language has them, as most do.
func TestPostgresListsEqualCountsByBytes(t *testing.T) {
	cfg := store.Config{URL: pgtest.URL(t)}
	s := open(t, cfg)
	db, err := sql.Open("postgres", cfg.URL)
	must(t, err)
	defer db.Close()
	for _, column := range []string{"events.event_name", "events.user_id", "rollups.event_name", "rollup_totals.value", "rollup_users.user_id"} {
		table, column, _ := strings.Cut(column, ".")
		_, err := db.Exec("ALTER TABLE " + table + " ALTER " + column + ` TYPE text COLLATE "en-x-icu"`)
		must(t, err)
	}
	now := time.Now().UTC().Truncate(24 * time.Hour)
	var events []event.Event
	var want []string
	for i, name := range []string{"D", "a", "B", "e", "c"} {
		events = append(events, event.Event{ID: name, Name: name, UserID: name, Type: event.Custom, Severity: event.Low, SampleRate: 1,
			Timestamp: now.Add(time.Duration(i) * time.Minute), ReceivedAt: now})
		want = append(want, name)
	}
	slices.Sort(want)
	_, err = s.Commit(t.Context(), &store.Batch{From: store.Cursor{Stream: "s"}, Seq: 1, Events: events})
	must(t, err)
	s = open(t, store.Config{URL: cfg.URL, FewEvents: 1}) // users from roll-ups as well
	for _, span := range []time.Duration{24 * time.Hour, time.Hour - time.Second} {
		stats, err := s.Stats(t.Context(), now, now.Add(span))
		must(t, err)
		for of, list := range map[string][]store.Count{"names": stats.TopEvents, "users": stats.TopUsers} {
			var got []string
			for _, c := range list {
				got = append(got, c.Value)
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s of %v: %v, want %v", of, span, got, want)
			}
		}
	}
}
