package store_test

import (
	"context"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/store"
)

// TestNewerSchema starts on a database that a newer version of the program has had.
func TestNewerSchema(t *testing.T) {
	for name, cfg := range bothDatabases {
		t.Run(name, func(t *testing.T) {
			s := open(t, cfg(t))
			store.MigratedByNewer(t, s)
			for _, dry := range []bool{false, true} {
				if _, err := s.Migrate(t.Context(), dry); !errs.Is(err, errs.Conflict) {
					t.Errorf("dry run %v: %v, want a conflict", dry, err)
				}
			}
		})
	}
}

// TestNewerReplica lets another replica bring the database to a newer schema while this one runs: what it
// would count might lack what the other counts.
func TestNewerReplica(t *testing.T) {
	cfg := bothDatabases["postgres"](t)
	s := open(t, cfg)
	w := newWriter(t, s)
	must(t, w.commit(t.Context()))
	store.MigratedByNewer(t, s)
	listed, err := s.List(t.Context(), store.Filter{}, store.Page{Limit: 1})
	must(t, err)
	id, now := listed[0].ID, time.Now()
	high, marked := event.High, event.Object(`{"a":1}`)
	for name, do := range map[string]func(context.Context, *store.Store) error{
		"store": func(ctx context.Context, s *store.Store) error {
			other := newWriter(t, s)
			other.cursor.Stream = "other"
			return other.commit(ctx)
		},
		"delete": func(ctx context.Context, s *store.Store) error { return s.Delete(ctx, id) },
		"tidy":   func(ctx context.Context, s *store.Store) error { return s.TidyRollups(ctx) },
		"expire": func(ctx context.Context, s *store.Store) error { _, err := s.Expire(ctx, now, 1); return err },
		"expire roll-ups": func(ctx context.Context, s *store.Store) error {
			_, err := s.ExpireRollups(ctx)
			return err
		},
		"severity": func(ctx context.Context, s *store.Store) error {
			_, err := s.Update(ctx, id, store.Patch{Severity: &high}, now)
			return err
		},
		"metadata": func(ctx context.Context, s *store.Store) error {
			_, err := s.Update(ctx, id, store.Patch{Metadata: &marked}, now)
			return err
		},
		"process": func(ctx context.Context, s *store.Store) error {
			_, err := s.MarkProcessed(ctx, []string{id}, now)
			return err
		},
		"erase": func(ctx context.Context, s *store.Store) error {
			_, err := s.Erase(ctx, "erasure", "somebody", false)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			old, err := store.Open(t.Context(), cfg)
			must(t, err)
			defer old.Close()
			must(t, old.Ping(t.Context()))
			wantUnavailable(t, do(t.Context(), old))
			wantUnavailable(t, old.Ping(t.Context())) // its answers may be wrong as well
		})
	}
	wantStored(t, s, w.sent)
}
