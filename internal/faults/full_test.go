//go:build linux

package faults

import (
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/pgtest"
	"github.com/tidemark-obs/tidemark/internal/proctest"
)

// TestJournalDiskFull fills the journal's disk under load. Events are refused with 503 while it is
// full, none of those is stored, and the service recovers by itself when there is room again.
// The journal refuses in time, with its reserve or with the least that it keeps;
// TestWriteErrors has the disk that is full all the same.
func TestJournalDiskFull(t *testing.T) {
	story(t)
	needRoot(t)
	for _, c := range []struct{ name, dir, minFree string }{
		{"no space left", "journal", "1"},
		{"reserve", "journal", "33554432"},
		{"no space left for anything", ".", "1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			onEach(t, func(t *testing.T, url string) {
				data := filepath.Join(t.TempDir(), "data")
				d := tmpfs(t, filepath.Join(data, c.dir), "96m")
				s, b := newService(t, url, dataDir(data), configured("journal:\n  min_free_bytes: "+c.minFree+"\n")), newBook()
				s.start()
				l := startLoad(t, b, steady, s)
				for range pick(1, 10) {
					b.awaitYes(t, 2000)
					d.fill()
					b.awaitNo(t, 500)
					s.awaitUnready(3*time.Minute, "journal")
					d.free()
					s.awaitReady(3 * time.Minute)
				}
				b.awaitYes(t, 2000)
				l.stop()
				refusedForJournal(t, s, verify(t, b, nil, s)[0], b)
			})
		})
	}
}

// TestStartOnFullDisk kills the process when nothing can be written any more and starts it before
// there is room. It may refuse to start; what it had acknowledged is there when it does.
func TestStartOnFullDisk(t *testing.T) {
	story(t)
	needRoot(t)
	onEach(t, func(t *testing.T, url string) {
		data := filepath.Join(t.TempDir(), "data")
		d := tmpfs(t, data, "96m")
		s, b := newService(t, url, dataDir(data), configured("journal:\n  min_free_bytes: 1\n")), newBook()
		s.start()
		l := startLoad(t, b, steady, s)
		for range pick(2, 10) {
			b.awaitYes(t, 2000)
			d.fill()
			b.awaitNo(t, 100)
			s.Kill()
			s.launch()
			proctest.Eventually(t, 3*time.Minute, "the service answers or gives up", func() error {
				if _, _, err := s.get("/-/ready"); err != nil && !s.Ended() {
					return err
				}
				return nil
			})
			d.free()
			proctest.Eventually(t, 3*time.Minute, "the service is ready or has given up", func() error {
				if status, _, err := s.get("/-/ready"); !s.Ended() && (err != nil || status != http.StatusOK) {
					return errors.Join(err, fmt.Errorf("%d", status))
				}
				return nil
			})
			if s.Ended() {
				t.Log("does not start on a full disk")
				s.launch()
			}
			s.awaitReady(3 * time.Minute)
		}
		b.awaitYes(t, 2000)
		l.stop()
		verify(t, b, nil, s)
	})
}

// TestJournalFillsUp lets the journal reach its bound because the database is away.
func TestJournalFillsUp(t *testing.T) {
	story(t)
	pg := pgtest.Start(t)
	s, b := newService(t, pg.Database(t), configured("journal:\n  max_bytes: 2097152\n")), newBook()
	s.start()
	for range pick(1, 10) {
		l := startLoad(t, b, pressure{workers: 8, perSecond: 20_000, batch: 100}, s)
		b.awaitYes(t, 1000)
		if err := pg.Stop(pgtest.Fast); err != nil {
			t.Fatal(err)
		}
		b.awaitNo(t, 1000)
		s.awaitUnready(3*time.Minute, "journal")
		l.stop() // a machine that stores less than comes in would stay full
		if err := pg.Start(); err != nil {
			t.Fatal(err)
		}
		s.awaitReady(3 * time.Minute)
	}
	l := startLoad(t, b, steady, s)
	b.awaitYes(t, 1000)
	l.stop()
	refusedForJournal(t, s, verify(t, b, nil, s)[0], b)
}

// refusedForJournal checks the exact sums of a story without a crash: all that was refused was
// refused because of the journal.
func refusedForJournal(t *testing.T, s *service, a account, b *book) {
	t.Helper()
	total := b.totals()
	if total.cut == 0 && (a.Accepted != uint64(total.yes) || a.Rejected != uint64(total.no)) {
		t.Errorf("the ledger says %d accepted, %d rejected; the client saw %d and %d", a.Accepted, a.Rejected, total.yes, total.no)
	}
	full := metric(t, s, `tidemark_events_rejected_total{reason="journal_full"}`)
	broken := metric(t, s, `tidemark_events_rejected_total{reason="journal_unavailable"}`)
	if full+broken != float64(a.Rejected) {
		t.Errorf("rejected because of the journal: %v full, %v unavailable; %d in all", full, broken, a.Rejected)
	}
	t.Logf("refused: %v journal_full, %v journal_unavailable", full, broken)
}

// metric reads one series from /metrics.
func metric(t *testing.T, s *service, series string) float64 {
	t.Helper()
	_, body, err := s.get("/metrics")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(body)) {
		if rest, ok := strings.CutPrefix(line, series+" "); ok {
			var v float64
			if _, err := fmt.Sscan(rest, &v); err != nil {
				t.Fatal(err)
			}
			return v
		}
	}
	t.Fatalf("no series %s", series)
	return 0
}

// TestDatabaseDiskFull fills the database's disk: events are accepted all the same and drain when
// there is room again.
func TestDatabaseDiskFull(t *testing.T) {
	story(t)
	needRoot(t)
	t.Run("duckdb", func(t *testing.T) {
		data := filepath.Join(t.TempDir(), "data")
		d := tmpfs(t, data, "96m")
		tmpfs(t, filepath.Join(data, "journal"), "1g")
		s := newService(t, "", dataDir(data))
		databaseDiskFull(t, s, d, func() error { return nil })
	})
	t.Run("postgres", func(t *testing.T) {
		d := tmpfs(t, filepath.Join(openDir(t), "postgres"), "256m")
		pg := pgtest.Start(t, pgtest.DataDir(d.dir),
			pgtest.Setting("max_wal_size", "64MB"), pgtest.Setting("min_wal_size", "32MB"))
		url := pg.Database(t)
		db := session(t, url)
		s := newService(t, url)
		// A full disk may take the server down; its operator starts it again.
		databaseDiskFull(t, s, d, func() error {
			if db.PingContext(t.Context()) == nil {
				return nil
			}
			return errors.Join(errors.New("PostgreSQL does not answer"), pg.Start())
		})
	})
}

func databaseDiskFull(t *testing.T, s *service, d *disk, revive func() error) {
	t.Helper()
	b := newBook()
	s.start()
	l := startLoad(t, b, steady, s)
	for range pick(1, 5) {
		b.awaitYes(t, 2000)
		d.fill()
		proctest.Eventually(t, 3*time.Minute, "events wait for the database", func() error {
			var a account
			if err := s.ask("/api/analytics/ledger", &a); err != nil {
				return err
			}
			if a.Pending < 20_000 {
				return fmt.Errorf("%d pending", a.Pending)
			}
			return nil
		})
		b.awaitYes(t, 1000)
		d.free()
		proctest.Eventually(t, 3*time.Minute, "the database is up", revive)
		s.awaitReady(3 * time.Minute)
	}
	l.stop()
	verify(t, b, nil, s)
}
