package store

import (
	"context"
	"database/sql/driver"
	"strings"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	dto "github.com/prometheus/client_model/go"
)

// WriteSetting reads a server's parameter as the writers' connections have it.
func WriteSetting(t *testing.T, s *Store, name string) (value string) {
	t.Helper()
	if err := s.p.write.Get(&value, "SELECT current_setting($1)", name); err != nil {
		t.Fatal(err)
	}
	return value
}

// Vacuum does at once what PostgreSQL's autovacuum does within a minute or so.
func Vacuum(t testing.TB, s *Store) {
	t.Helper()
	if s.Dialect() != "postgres" {
		return
	}
	if _, err := s.p.admin.Exec("VACUUM (ANALYZE)"); err != nil {
		t.Fatal(err)
	}
}

// Resident is the memory that this process has.
var Resident = resident

// TakeQuestionSlots makes it seem as if as many questions were under way as may be, until release.
func TakeQuestionSlots(s *Store) (release func()) {
	for range cap(s.slots) {
		s.slots <- struct{}{}
	}
	return func() {
		for range cap(s.slots) {
			<-s.slots
		}
	}
}

// TakeReaders takes the connections that questions are asked on, until release.
func TakeReaders(t *testing.T, s *Store) (release func()) {
	t.Helper()
	var all []*sqlx.Conn
	for range s.p.read.Stats().MaxOpenConnections {
		conn, err := s.p.read.Connx(t.Context())
		if err != nil {
			t.Error(err)
			break
		}
		all = append(all, conn)
	}
	return func() {
		for _, conn := range all {
			_ = conn.Close()
		}
	}
}

// CommitWithoutRollups is Commit for a batch of events as it was if nothing counted them.
func CommitWithoutRollups(ctx context.Context, s *Store, b *Batch) (result Result, err error) {
	now := micro(s.cfg.Now())
	err = s.batch(ctx, len(b.Events), func(ctx context.Context, ses session) error {
		at, err := s.fence(ctx, ses, b.From, now)
		if err != nil {
			return err
		}
		if _, _, err := s.dropErased(ctx, ses, b.Events, now); err != nil {
			return err
		}
		for i := range b.Events {
			if err := checkEvent(&b.Events[i]); err != nil {
				return err
			}
		}
		if _, _, err := s.d.insert(ctx, ses, b.Events, now); err != nil {
			return err
		}
		result.Cursor, err = s.advance(ctx, ses, at, b, tally{stored: len(b.Events)}, now)
		return err
	})
	if err != nil {
		return result, err
	}
	return result, s.d.observe(ctx, s, b.Events)
}

// OnlyWide deletes what there is of ids and numbers by hours and days where there is some of many days,
// and returns how many times of many days have each.
func OnlyWide(t testing.TB, s *Store) (ids, numbers int) {
	t.Helper()
	for table, n := range map[string]*int{"rollup_ids": &ids, "rollup_values": &numbers} {
		if _, err := s.p.admin.Exec(`
DELETE FROM ` + table + ` WHERE width <= 86400 AND EXISTS (SELECT 1 FROM ` + table + ` AS wide
    WHERE wide.width > 86400 AND wide.bucket <= ` + table + `.bucket AND ` + table + `.bucket < wide.bucket + wide.width * interval '1 second')`); err != nil {
			t.Fatal(err)
		}
		if err := s.p.admin.Get(n, "SELECT count(DISTINCT (width, bucket)) FROM "+table+" WHERE width > 86400"); err != nil {
			t.Fatal(err)
		}
	}
	return ids, numbers
}

// NoSketchesOfHours deletes those of hours from a moment on.
func NoSketchesOfHours(t testing.TB, s *Store, from time.Time) {
	t.Helper()
	if _, err := s.p.admin.Exec("DELETE FROM rollup_ids WHERE width = 3600 AND bucket >= $1", from); err != nil {
		t.Fatal(err)
	}
}

// AnsweredFromRollups is how many questions were.
func AnsweredFromRollups(t testing.TB, s *Store) float64 {
	t.Helper()
	var m dto.Metric
	if err := s.measured.total.WithLabelValues("rollup").Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.GetCounter().GetValue()
}

// FindDeadConnection finds in a transaction what a driver says of a connection that is gone.
func FindDeadConnection(ctx context.Context, s *Store) error {
	return s.transact(ctx, "SELECT", func(_ context.Context, ses session) error {
		return ses.raw(func(any) error { return driver.ErrBadConn })
	})
}

// ForgetDeclared makes declarations seem as new as if no event had been counted for them so far.
func ForgetDeclared(t testing.TB, s *Store) {
	t.Helper()
	if _, err := s.p.write.Exec("UPDATE declarations SET since = date_trunc('hour', $1::timestamptz) + interval '1 hour'", s.cfg.Now()); err != nil {
		t.Fatal(err)
	}
	s.declared.Store(nil)
}

// DeclareAlone makes declarations and counts no event for them, as when changes come in between.
func DeclareAlone(t testing.TB, s *Store) {
	t.Helper()
	tidyStep(t, s, s.declare)
}

// FillDeclaredAlone counts the events of declarations, and does nothing else.
func FillDeclaredAlone(t testing.TB, s *Store) {
	t.Helper()
	for tidyStep(t, s, s.fillDeclared) {
	}
}

func tidyStep(t testing.TB, s *Store, do func(context.Context, session, *floors, int) (bool, error)) (more bool) {
	t.Helper()
	err := s.transact(t.Context(), "INSERT rollups", func(ctx context.Context, ses session) error {
		from, err := s.lockFloors(ctx, ses)
		if err != nil {
			return err
		}
		more, err = do(ctx, ses, from, 1)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return more
}

// OnlyRollups takes all events away and leaves what was counted of them.
func OnlyRollups(t testing.TB, s *Store) {
	t.Helper()
	if _, err := s.p.admin.Exec("DELETE FROM events"); err != nil {
		t.Fatal(err)
	}
}

// UserHash is what marks know of a user.
func UserHash(id string) uint32 { return userHash(id) }

// UserMark is what is beside the events of a user on DuckDB.
func UserMark(id string) uint32 { return userMark(id) }

// MarkSets are how many sets of marks there are by day and size, and how many marks in all.
func MarkSets(t *testing.T, s *Store) (sets []int, marks int) {
	t.Helper()
	if err := s.p.read.Select(&sets, "SELECT count(*) FROM user_marks WHERE node & (node - 1) = 0 GROUP BY day, node ORDER BY 1"); err != nil {
		t.Fatal(err)
	}
	if err := s.p.read.Get(&marks, "SELECT coalesce(sum(octet_length(marks)), 0) / $1 FROM user_marks", markBytes); err != nil {
		t.Fatal(err)
	}
	return sets, marks
}

// DropMarks makes it seem as if no user had an event.
func DropMarks(t *testing.T, s *Store) {
	t.Helper()
	if _, err := s.p.write.Exec("TRUNCATE user_marks"); err != nil {
		t.Fatal(err)
	}
}

// MigratedByNewer makes it seem as if a newer version of this program had had the database.
func MigratedByNewer(t testing.TB, s *Store) {
	t.Helper()
	if _, err := s.p.admin.Exec("INSERT INTO goose_db_version (version_id, is_applied) VALUES ($1, true)", newestMigration()+1); err != nil {
		t.Fatal(err)
	}
}

// PlanOfUntidyMarks is how PostgreSQL looks for sets of marks to put together, where there are many rows.
func PlanOfUntidyMarks(t testing.TB, s *Store) (plan string) {
	t.Helper()
	_, err := s.p.admin.Exec(`INSERT INTO user_marks (day, set_id, node, marks)
		SELECT '2026-03-01'::timestamptz + day * interval '1 day', floor(log(2, node)), node, decode(repeat('00', 300), 'hex')
		FROM generate_series(1, 90) AS day, generate_series(1, 1023) AS node`)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.p.admin.Exec("ANALYZE user_marks"); err != nil {
		t.Fatal(err)
	}
	var lines []string
	if err := s.p.admin.Select(&lines, "EXPLAIN "+untidyMarks, 1<<markDepth, marksTogether); err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}
