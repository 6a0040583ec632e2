package storetest

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/event/eventjson"
	"github.com/tidemark-obs/tidemark/internal/store"
)

func erasureStories() []story {
	return []story{
		{"a person is removed and a receipt stays", erasePerson},
		{"ids that need quoting", eraseQuoted},
		{"what was received before does not come back", eraseLate},
		{"with refuse nothing comes back", eraseAndRefuse},
		{"an erasure and commits at the same time", eraseBeside},
		{"compaction takes the bytes away", compactErased},
		{"compaction keeps everything else", compactKeeps},
	}
}

const person = "person-to-be-forgotten@example.org"

// oddPersons are ids that JSON can write in more than one way.
var oddPersons = []string{`a"<b>&'c`, `back\slash`, "ü\u2028", "tab\there"}

func of(user, id string, after time.Duration) event.Event {
	e := at(id, after)
	e.UserID = user
	return e
}

func deadLetterOf(e event.Event) store.DeadLetter {
	return store.DeadLetter{EventID: e.ID, Reason: event.ReasonStoreRefused, Payload: eventjson.Append(nil, &e), At: e.ReceivedAt}
}

func erasePerson(b *bench) {
	old := of(person, "old", -100*24*time.Hour)
	b.commitBatch(store.Batch{
		Events: []event.Event{of(person, "a", 0), of("other", "b", 0), at("c", 0), old},
		Dead:   []store.DeadLetter{deadLetterOf(of(person, "d", 0)), deadLetterOf(of("other", "e", 0))},
	})
	b.clock.advance(time.Minute)
	e, err := b.store.Erase(b.Context(), "erasure-1", person, false)
	b.ok(err)
	want := store.Erasure{ID: "erasure-1", RequestedAt: epoch.Add(time.Minute).Truncate(time.Microsecond), Events: 2, DeadLetters: 1}
	if e != want {
		b.Errorf("erased %+v, want %+v", e, want)
	}
	if got := b.ids(store.Filter{}); !slices.Equal(got, []string{"c", "b"}) {
		b.Errorf("left are %v", got)
	}
	dead, err := b.store.DeadLetters(b.Context(), 10)
	b.ok(err)
	if len(dead) != 1 || dead[0].EventID != "e" {
		b.Errorf("left are the dead letters %+v", dead)
	}
	b.ok(b.store.JournalClean(b.Context(), "erasure-1"))
	if n, err := b.store.CountErasures(b.Context()); n != 1 || err != nil {
		b.Errorf("%d erasures, %v", n, err)
	}
	b.reopen()
	again, err := b.store.Erasure(b.Context(), "erasure-1")
	want.JournalAt = want.RequestedAt
	if b.ok(err); again != want {
		b.Errorf("the receipt says %+v, want %+v", again, want)
	}
	_, err = b.store.Erasure(b.Context(), "erasure-2")
	b.wantKind(err, errs.NotFound)
	if oldest, err := b.store.OldestErasure(b.Context()); err != nil || !oldest.Equal(want.RequestedAt) {
		b.Errorf("the oldest erasure is of %v, %v", oldest, err)
	}
	_, err = b.store.Erase(b.Context(), "erasure-3", "", false)
	b.wantKind(err, errs.Invalid)
}

// eraseQuoted erases persons whose ids do not stand in JSON as they are.
func eraseQuoted(b *bench) {
	for i, user := range oddPersons {
		id := fmt.Sprint(i)
		b.commitBatch(store.Batch{Events: []event.Event{of(user, id, 0)}, Dead: []store.DeadLetter{deadLetterOf(of(user, "dead"+id, 0))}})
		e, err := b.store.Erase(b.Context(), id, user, false)
		if b.ok(err); e.Events != 1 || e.DeadLetters != 1 {
			b.Errorf("of %q %d events and %d dead letters were removed", user, e.Events, e.DeadLetters)
		}
	}
}

// eraseLate stores after an erasure what was received before it, by whatever way it comes.
func eraseLate(b *bench) {
	b.commit(of(person, "a", 0))
	b.clock.advance(time.Minute)
	_, err := b.store.Erase(b.Context(), "erasure", person, false)
	b.ok(err)
	b.clock.advance(time.Minute)
	b.commit(of(person, "pending", 59*time.Second), of("other", "b", 0), of(person, "moved", -48*time.Hour), of(person, "new", 2*time.Minute))
	if got := b.ids(store.Filter{}); !slices.Equal(got, []string{"new", "b"}) {
		b.Errorf("stored are %v", got)
	}
	c := b.cursor.Counts
	if c.Stored != 3 || c.DeadLettered[event.ReasonErased] != 2 || c.Duplicate != 0 {
		b.Errorf("counted %+v", c)
	}
	r, err := b.store.Receipt(b.Context(), "pending")
	if b.ok(err); r.Status != store.StatusDeadLettered || r.Reason != "erased" {
		b.Errorf("receipt %+v", r)
	}
	if e, err := b.store.Erasure(b.Context(), "erasure"); err != nil || e.Late != 2 {
		b.Errorf("erasure %+v, %v", e, err)
	}
	b.wantDuplicates(b.commit(of("", "a", 3*time.Minute)), "a") // its id is not new
}

func eraseAndRefuse(b *bench) {
	for i, refuse := range []bool{true, false} { // a later erasure does not take the refusal back
		_, err := b.store.Erase(b.Context(), fmt.Sprint("erasure-", i), person, refuse)
		b.ok(err)
	}
	b.reopen()
	b.clock.advance(time.Hour)
	b.commit(of(person, "new", time.Hour), of("other", "b", time.Hour), of(person+"2", "c", time.Hour))
	if got := b.ids(store.Filter{}); !slices.Equal(got, []string{"c", "b"}) {
		b.Errorf("stored are %v", got)
	}
}

// eraseBeside erases while another store commits events of that person, all received before.
func eraseBeside(b *bench) {
	second := b.store
	if b.store.Dialect() == "postgres" {
		second = b.another()
	}
	b.clock.advance(time.Hour)
	done := make(chan error, 1)
	go func() {
		var err error
		cursor := b.cursor
		for i := 0; i < 50 && err == nil; i++ {
			var r store.Result
			r, err = second.Commit(b.Context(), &store.Batch{From: cursor, Seq: cursor.Seq + 1, Events: []event.Event{of(person, fmt.Sprint("e", i), 0), at(fmt.Sprint("o", i), 0)}})
			cursor = r.Cursor
		}
		done <- err
	}()
	_, err := b.store.Erase(b.Context(), "erasure", person, false)
	b.ok(err)
	b.ok(<-done)
	if got := b.ids(store.Filter{UserID: person}); len(got) != 0 || len(b.ids(store.Filter{})) != 50 {
		b.Errorf("%d events of the person are there after all", len(got))
	}
}

// compactErased looks for the person in every file of the database.
func compactErased(b *bench) {
	list := NewGenerator(3, epoch).Events(5_000)
	for i := range list {
		if i%50 == 0 {
			list[i].UserID = person
			list[i].Properties = event.Object(`{"mail":"` + person + `"}`)
		}
	}
	b.commitBatch(store.Batch{Events: list, Dead: []store.DeadLetter{deadLetterOf(of(person, "d", 0))}})
	b.reopen() // everything is in the files
	if b.store.Dialect() == "duckdb" && len(b.filesWith(person)) == 0 {
		b.Fatal("the person is not found where they must be: the search is of no use")
	}
	b.clock.advance(time.Minute)
	_, err := b.store.Erase(b.Context(), "erasure", person, true)
	b.ok(err)
	b.clock.advance(time.Minute)
	b.ok(b.store.Compact(b.Context()))
	if found := b.filesWith(person); len(found) > 0 {
		b.Errorf("the person is still in %v", found)
	}
	if e, err := b.store.Erasure(b.Context(), "erasure"); err != nil || e.CompactedAt.IsZero() {
		b.Errorf("the receipt says %+v, %v", e, err)
	}
	if oldest, err := b.store.OldestErasure(b.Context()); err != nil || !oldest.IsZero() {
		b.Errorf("an erasure of %v still waits, %v", oldest, err)
	}
}

// filesWith are the files under the data directory that hold a text.
func (b *bench) filesWith(text string) (found []string) {
	b.Helper()
	if b.cfg.Dir == "" {
		return nil
	}
	b.ok(filepath.WalkDir(b.cfg.Dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if bytes.Contains(content, []byte(text)) {
			found = append(found, filepath.Base(path))
		}
		return err
	}))
	return found
}

// compactKeeps compacts between commits, beside readers, and uses all tables afterwards.
func compactKeeps(b *bench) {
	list := NewGenerator(4, epoch).Events(3_000)
	b.commit(list...)
	b.ok(b.store.SaveSettings(b.Context(), []byte(`{"a":1}`)))
	b.ok(b.store.Delete(b.Context(), list[0].ID))
	want := b.scan(store.Filter{}, store.Position{})
	b.ok(b.store.Compact(b.Context()))
	got := b.scan(store.Filter{}, store.Position{})
	if !slices.EqualFunc(got, want, func(x, y event.Event) bool { return fmt.Sprint(x) == fmt.Sprint(y) }) {
		b.Errorf("%d events, were %d", len(got), len(want))
	}
	b.wantDuplicates(b.commit(list[0], list[1]), list[0].ID, list[1].ID)
	if c := b.cursorOf("stream"); c.Counts.Stored != 3_000 || c.Counts.Duplicate != 2 {
		b.Errorf("the cursor is %+v", c)
	}
	if s, err := b.store.LoadSettings(b.Context()); err != nil || string(s) != `{"a":1}` {
		b.Errorf("settings %s, %v", s, err)
	}
	b.reopen()
	b.ok(b.store.SaveSettings(b.Context(), []byte(`{"a":2}`))) // the primary key is there
	b.commit(at("after", time.Hour))
	b.ok(b.store.Compact(b.Context()))
	if n := len(b.scan(store.Filter{}, store.Position{})); n != 3_000 {
		b.Errorf("%d events", n)
	}
}
