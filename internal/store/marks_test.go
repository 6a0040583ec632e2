package store_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/pgtest"
	"github.com/tidemark-obs/tidemark/internal/store"
	"github.com/tidemark-obs/tidemark/internal/store/storetest"
)

func TestUsersWithTheSameHash(t *testing.T) {
	for _, same := range [][2]string{storetest.SameHash, storetest.SameMark} {
		if store.UserHash(same[0]) != store.UserHash(same[1]) {
			t.Errorf("the stories about users with the same hash tell of others: %v", same)
		}
	}
}

// markedUsers stores batches of a day with 50 users.
func markedUsers(t *testing.T, w *writer, batches, size int) {
	t.Helper()
	for range batches {
		events := w.g.Events(size)
		for i := range events {
			events[i].UserID = fmt.Sprint("u", i%50)
		}
		batch := store.Batch{From: w.cursor, Seq: w.cursor.Seq + 1, Events: events}
		result, err := w.s.Commit(t.Context(), &batch)
		must(t, err)
		w.cursor = result.Cursor
		w.sent += int64(size)
	}
}

func wantOfUser(t *testing.T, s *store.Store, n int) {
	t.Helper()
	list, err := s.List(t.Context(), store.Filter{UserID: "u7"}, store.Page{Limit: 1000})
	must(t, err)
	if len(list) != n {
		t.Errorf("%d events of the user, want %d", len(list), n)
	}
}

// TestMarksAreTidied: sets of marks become few and lose nothing, and lists go by them.
func TestMarksAreTidied(t *testing.T) {
	s := open(t, store.Config{URL: pgtest.URL(t)})
	noon := time.Now().UTC().Truncate(24 * time.Hour).Add(12 * time.Hour)
	w := &writer{s: s, g: storetest.NewGenerator(1, noon), cursor: store.Cursor{Stream: "s"}}
	markedUsers(t, w, 30, 50)
	markedUsers(t, w, 5, 1000)
	if sets, _ := store.MarkSets(t, s); len(sets) != 2 || sets[0] != 5 || sets[1] != 30 {
		t.Errorf("sets by size: %v", sets)
	}
	wantOfUser(t, s, 130)
	must(t, s.TidyRollups(t.Context()))
	sets, marks := store.MarkSets(t, s)
	for _, n := range sets {
		if n >= 4 {
			t.Errorf("sets by size: %v", sets)
		}
	}
	if int64(marks) != w.sent {
		t.Errorf("%d marks of %d events", marks, w.sent)
	}
	wantOfUser(t, s, 130)
	_, err := s.Erase(t.Context(), "erasure", "u8", false)
	must(t, err)
	if _, marks = store.MarkSets(t, s); int64(marks) != w.sent-130 {
		t.Errorf("%d marks of %d events, without the person's 130", marks, w.sent)
	}
	wantOfUser(t, s, 130)
	store.DropMarks(t, s)
	wantOfUser(t, s, 0) // else it was not found by marks
}

// TestEventsFromBeforeMarks lists users while the marks of their events are not all there.
func TestEventsFromBeforeMarks(t *testing.T) {
	s := open(t, store.Config{URL: pgtest.URL(t)})
	w := newWriter(t, s)
	markedUsers(t, w, 3, 500)
	_, err := s.MigrateDown(t.Context(), 19)
	must(t, err)
	_, err = s.Migrate(t.Context(), false)
	must(t, err)
	markedUsers(t, w, 1, 500)
	wantOfUser(t, s, 40)
	must(t, s.TidyRollups(t.Context()))
	wantOfUser(t, s, 40)
	if _, marks := store.MarkSets(t, s); int64(marks) < w.sent {
		t.Errorf("%d marks of %d events", marks, w.sent)
	}
	store.DropMarks(t, s)
	wantOfUser(t, s, 0)
}

// TestMarksOnDuckDB: what is stored has its user's mark, also when it is changed. Events from before marks,
// and from when they were shorter, have none and are found all the same, by a service that was killed after
// the migration, too.
func TestMarksOnDuckDB(t *testing.T) {
	dir := t.TempDir()
	s := open(t, store.Config{Dir: dir})
	w := newWriter(t, s)
	users := []string{"", "u1", "ü5'", "日本", `\x41"`, strings.Repeat("long ", 50)}
	send := func() {
		events := w.g.Events(60)
		for i := range events {
			events[i].UserID = users[i%len(users)]
		}
		result, err := s.Commit(t.Context(), &store.Batch{From: w.cursor, Seq: w.cursor.Seq + 1, Events: events})
		must(t, err)
		w.cursor = result.Cursor
		high := event.High
		_, err = s.Update(t.Context(), events[1].ID, store.Patch{Severity: &high}, time.Now())
		must(t, err)
		_, err = s.MarkProcessed(t.Context(), []string{events[2].ID}, time.Now())
		must(t, err)
	}
	send()
	wantMarks(t, killed(t, dir), 60, 60)
	for i, version := range []int64{18, 20} {
		_, err := s.MigrateDown(t.Context(), version)
		must(t, err)
		_, err = s.Migrate(t.Context(), false)
		must(t, err)
		send()
		wantMarks(t, s, (i+2)*60, 60)
		wantMarks(t, killed(t, dir), (i+2)*60, 60)
	}
}

// wantMarks compares how many events there are, and how many have a mark, of each of six users.
func wantMarks(t *testing.T, s *store.Store, events, marked int) {
	t.Helper()
	table, err := s.Select(t.Context(), "SELECT coalesce(user_id, '') AS id, max(user_mark), count(DISTINCT user_mark), count(user_mark) FROM events GROUP BY 1", 100)
	must(t, err)
	if len(table.Rows) != 6 {
		t.Errorf("%d users, want 6", len(table.Rows))
	}
	for _, r := range table.Rows {
		id := r[0].(string)
		if fmt.Sprint(r[1:]) != fmt.Sprint([]any{store.UserMark(id), 1, marked / 6}) {
			t.Errorf("%q has mark, marks and marked events %v, want %d, 1 and %d", id, r[1:], store.UserMark(id), marked/6)
		}
		if id == "" {
			continue
		}
		page, err := s.List(t.Context(), store.Filter{UserID: id}, store.Page{Limit: 1000})
		must(t, err)
		if len(page) != events/6 {
			t.Errorf("%q has %d events, want %d", id, len(page), events/6)
		}
	}
}

// killed opens what would be there of an embedded database if the process that has it open were killed.
func killed(t *testing.T, dir string) *store.Store {
	t.Helper()
	copied := t.TempDir()
	must(t, os.CopyFS(copied, os.DirFS(dir)))
	s, err := store.Open(t.Context(), store.Config{Dir: copied})
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	return s
}

// TestUntidyMarksAreFoundByTheirSets: what the background costs does not grow with all marks there are.
func TestUntidyMarksAreFoundByTheirSets(t *testing.T) {
	plan := store.PlanOfUntidyMarks(t, open(t, store.Config{URL: pgtest.URL(t)}))
	if !strings.Contains(plan, "user_marks_sets") || strings.Contains(plan, "user_marks_node") {
		t.Error(plan)
	}
}
