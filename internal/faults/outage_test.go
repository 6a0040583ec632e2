//go:build linux

package faults

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/pgtest"
)

// TestPostgresStopped takes the database away: events are accepted all the same and are stored
// when it is back.
func TestPostgresStopped(t *testing.T) {
	story(t)
	pg := pgtest.Start(t)
	s, b := newService(t, pg.Database(t)), newBook()
	s.start()
	l := startLoad(t, b, steady, s)
	b.awaitYes(t, 1000)

	if err := pg.Stop(pgtest.Fast); err != nil {
		t.Fatal(err)
	}
	away := time.After(pick(3*time.Second, time.Minute))
	s.awaitUnready(3*time.Minute, "database")
	b.awaitYes(t, 5000)
	<-away
	b.awaitYes(t, 1)
	if err := pg.Start(); err != nil {
		t.Fatal(err)
	}
	s.awaitReady(3 * time.Minute)
	b.awaitYes(t, 1000)

	for round := range pick(4, 20) {
		if err := pg.Stop(pgtest.Immediate); err != nil {
			t.Fatal(err)
		}
		if round%2 == 1 { // both crash, as when they share a machine
			s.Kill()
		}
		if err := pg.Start(); err != nil {
			t.Fatal(err)
		}
		if round%2 == 1 {
			s.start()
		}
		b.awaitYes(t, 1000)
	}

	if err := pg.Pause(); err != nil { // connections stay open, nothing answers
		t.Fatal(err)
	}
	b.awaitYes(t, 4000)
	if err := pg.Resume(); err != nil {
		t.Fatal(err)
	}
	l.stop()
	verify(t, b, nil, s)
}

// TestStartWithoutPostgres starts the service while the database is away, with events of the
// process before, which was stopped without it too, in the journal. It lets in whom the database
// let in last and accepts events; when the database is there it drains without another start.
func TestStartWithoutPostgres(t *testing.T) {
	story(t)
	pg := pgtest.Start(t)
	s, b := newService(t, pg.Database(t)), newBook()
	s.start()
	l := startLoad(t, b, steady, s)
	b.awaitYes(t, 1000)
	if err := pg.Stop(pgtest.Immediate); err != nil {
		t.Fatal(err)
	}
	b.awaitYes(t, 2000)
	if code := s.Stop(2 * time.Minute); code != 0 {
		t.Errorf("exit code %d after SIGTERM without a database", code)
	}
	s.launch()
	b.awaitYes(t, 1000)
	s.Kill()
	s.launch()
	b.awaitYes(t, 1000)
	if err := pg.Start(); err != nil {
		t.Fatal(err)
	}
	s.awaitReady(3 * time.Minute)
	b.awaitYes(t, 1000)
	l.stop()
	verify(t, b, nil, s)
}

// TestStoreLocked locks the events table: acknowledgements do not wait for it. The latencies are
// printed; a shared machine is no place to assert them.
func TestStoreLocked(t *testing.T) {
	alone(t)
	url := pgtest.URL(t)
	s, b := newService(t, url), newBook()
	s.start()
	var acks latencies
	p := steady
	p.batch, p.observe = 10, acks.add
	l := startLoad(t, b, p, s)
	b.awaitYes(t, 2000)
	acks.take()
	b.awaitYes(t, 8000)
	before := acks.take()

	tx, err := session(t, url).BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }() // reports ErrTxDone after the Rollback below
	if _, err := tx.Exec("LOCK TABLE events IN ACCESS EXCLUSIVE MODE"); err != nil {
		t.Fatal(err)
	}
	acks.take()
	locked := time.After(3 * time.Second)
	b.awaitYes(t, 8000)
	<-locked
	during := acks.take()
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	l.stop()
	t.Logf("ack p50/p99 before %v/%v (n=%d), while the store is locked %v/%v (n=%d)",
		quantile(before, 0.5), quantile(before, 0.99), len(before), quantile(during, 0.5), quantile(during, 0.99), len(during))
	verify(t, b, nil, s)
}

// latencies gathers how long answers took.
type latencies struct {
	mu  sync.Mutex
	all []time.Duration
}

func (l *latencies) add(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, d)
}

// take returns what was gathered since the last take, sorted.
func (l *latencies) take() []time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.all
	l.all = nil
	slices.Sort(all)
	return all
}

func quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[int(q*float64(len(sorted)-1))].Round(10 * time.Microsecond)
}
