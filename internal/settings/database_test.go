package settings_test

import (
	"log/slog"
	"reflect"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/settings"
	"github.com/tidemark-obs/tidemark/internal/store"
)

// TestOverTheRealDatabase changes settings, restarts, and finds them in the embedded database.
func TestOverTheRealDatabase(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	dir := t.TempDir()
	open := func() (*settings.Manager, *store.Store) {
		db, err := store.Open(t.Context(), store.Config{Dir: dir, Logger: log, Now: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.Migrate(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		m := settings.NewManager(settings.Defaults(), db, log)
		if err := m.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		return m, db
	}
	m, db := open()
	update(t, m, `{"buffer_size":5,"flush_interval":"2s","sample_rates":{"custom":0.5}}`)
	want := update(t, m, `{"thresholds":{"slow_request_ms":1},"sample_rates":{"page_view":0.25}}`)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Update(t.Context(), []byte(`{"buffer_size":6}`)); !errs.Is(err, errs.Unavailable) || m.Current().BufferSize != 5 {
		t.Errorf("with the database closed: %v, buffer size %d", err, m.Current().BufferSize)
	}
	m, db = open()
	if got := m.Current(); !reflect.DeepEqual(got, want) {
		t.Errorf("after a restart %+v, want %+v", got, want)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}
