package store_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/pgtest"
	"github.com/tidemark-obs/tidemark/internal/store"
	"github.com/tidemark-obs/tidemark/internal/store/storetest"
)

func TestUsersWithTheSameHash(t *testing.T) {
	if store.UserHash(storetest.SameHash[0]) != store.UserHash(storetest.SameHash[1]) {
		t.Error("the stories about users with the same hash tell of others")
	}
	if store.UserMark(storetest.SameMark[0]) != store.UserMark(storetest.SameMark[1]) {
		t.Error("the stories about users with the same mark tell of others")
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

// TestMarksOnDuckDBAreOfAllEvents: migrations give events from before what the writer gives those after,
// and an event that is changed keeps it.
func TestMarksOnDuckDBAreOfAllEvents(t *testing.T) {
	s := open(t, store.Config{Dir: t.TempDir()})
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
	for _, version := range []int64{18, 20} { // from before there were marks, and from when they were shorter
		_, err := s.MigrateDown(t.Context(), version)
		must(t, err)
		_, err = s.Migrate(t.Context(), false)
		must(t, err)
		send()
	}
	table, err := s.Select(t.Context(), "SELECT coalesce(user_id, '') AS id, user_mark, count(*) FROM events GROUP BY ALL", 100)
	must(t, err)
	if len(table.Rows) != len(users) {
		t.Errorf("%d users with a mark, want %d", len(table.Rows), len(users))
	}
	for _, r := range table.Rows {
		if id := r[0].(string); fmt.Sprint(r[1], r[2]) != fmt.Sprint(store.UserMark(id), 30) {
			t.Errorf("%q has mark %v in %v rows, want %d in 30", id, r[1], r[2], store.UserMark(id))
		}
	}
}
