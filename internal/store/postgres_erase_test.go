package store_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/declared"
	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/pgtest"
	"github.com/tidemark-obs/tidemark/internal/store"
	"github.com/tidemark-obs/tidemark/internal/store/storetest"
)

// TestPostgresErasedBytesAreGone looks for an erased person in every file of a server but its
// write-ahead log, which is the server's to keep and its operator's to let go.
func TestPostgresErasedBytesAreGone(t *testing.T) {
	const person = "person-to-be-forgotten@example.org"
	dir, err := os.MkdirTemp("", "tidemark-erase-")
	must(t, err)
	t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
	must(t, os.Chmod(dir, 0o755)) // the server may run as another user
	server := pgtest.Start(t, pgtest.DataDir(dir))
	set, err := declared.New(declared.Config{Dimensions: []declared.DimensionConfig{{Property: "mail"}}}, "statistics")
	must(t, err)
	s, err := store.Open(t.Context(), store.Config{URL: server.DSN("postgres"), Declared: set})
	must(t, err)
	defer s.Close()
	_, err = s.Migrate(t.Context(), false)
	must(t, err)
	must(t, s.TidyRollups(t.Context()))
	list := storetest.NewGenerator(1, time.Now()).Events(2_000)
	for i := range list {
		list[i].Name = "visit" // a roll-up of many names would be compressed, and not be searched
		if i%20 == 0 {
			list[i].UserID = person
			list[i].Properties = event.Object(`{"mail":"` + person + `"}`)
		}
	}
	_, err = s.Commit(t.Context(), &store.Batch{From: store.Cursor{Stream: "s"}, Seq: 1, Events: list})
	must(t, err)
	made := time.Now().UTC().Truncate(time.Microsecond)
	_, err = s.AddDestination(t.Context(), store.Destination{Name: "crm", Config: []byte("{}"), UpdatedAt: made}, store.DestinationCursor{Destination: "crm", Stream: "s", At: made}, nil, 1)
	must(t, err)
	must(t, s.KeepUndelivered(t.Context(), "crm", made, &store.Undelivered{ID: "u", Event: list[0], At: made}, 1))
	must(t, s.Settle(t.Context()))
	must(t, s.Compact(t.Context())) // ends with a checkpoint: what is in memory is in the files
	if len(filesHolding(t, dir, person)) == 0 {
		t.Fatal("the person is not found where they must be: the search is of no use")
	}
	e, err := s.Erase(t.Context(), "erasure", person, false)
	must(t, err)
	if e.Events != 100 || e.DeadLetters != 1 {
		t.Errorf("%d events and %d dead letters erased", e.Events, e.DeadLetters)
	}
	must(t, s.Compact(t.Context()))
	if found := filesHolding(t, dir, person); len(found) > 0 {
		t.Errorf("the person is still in %v", found)
	}
}

func filesHolding(t *testing.T, dir, text string) (found []string) {
	t.Helper()
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || strings.Contains(path, "/pg_wal/") {
			return err
		}
		content, err := os.ReadFile(path)
		if bytes.Contains(content, []byte(text)) {
			found = append(found, strings.TrimPrefix(path, dir))
		}
		return err
	}))
	return found
}
