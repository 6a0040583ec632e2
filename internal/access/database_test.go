package access_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/access"
	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/store"
)

// TestOverTheRealDatabase walks a key's life through the embedded database and a restart.
func TestOverTheRealDatabase(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	dir := t.TempDir()
	open := func() (*access.Access, *store.Store) {
		db, err := store.Open(t.Context(), store.Config{Dir: dir, Logger: log, Now: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.Migrate(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		a, err := access.New(access.Config{Store: db, Logger: log, Now: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		return a, db
	}
	a, db := open()
	stop := running(t, a)
	text, key := create(t, a, "api", "ingest")
	gone, _ := create(t, a, "gone", "admin")
	if err := a.Revoke(t.Context(), "gone"); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Authorize(bearer(text), access.Ingest); err != nil {
		t.Error(err)
	}
	stop() // writes the last use
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}

	a, db = open()
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	if p, err := a.Authorize(bearer(text), access.Ingest); err != nil || p.KeyID != key.ID || p.KeyName != "api" {
		t.Errorf("after a restart: %+v, %v", p, err)
	}
	_, err := a.Authorize(bearer(gone), access.Ingest)
	wantKind(t, "the revoked key", err, errs.Unauthorized)
	keys, err := a.List(t.Context())
	if err != nil || len(keys) != 2 || keys[0].LastUsedAt.IsZero() || !keys[0].CreatedAt.Equal(key.CreatedAt) ||
		!keys[1].LastUsedAt.IsZero() || keys[1].RevokedAt.IsZero() {
		t.Errorf("%+v, %v", keys, err)
	}
	wantKind(t, "the name of a kept key", func() error {
		_, _, err := a.Create(t.Context(), "api", []string{"read"})
		return err
	}(), errs.Conflict)
}
