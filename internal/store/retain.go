package store

import (
	"context"
	"database/sql"

	"github.com/jmoiron/sqlx"
)

// Settle lets the database use the room of deleted events again; it locks nobody out for long.
func (s *Store) Settle(ctx context.Context) error {
	return s.traced(ctx, "VACUUM", func(ctx context.Context) error {
		s.writing.RLock()
		defer s.writing.RUnlock()
		return s.use(ctx, func(p pools) error {
			_, err := p.admin.ExecContext(ctx, s.d.settle())
			return err
		})
	})
}

// Size is what events take.
type Size struct {
	Events int64 // on PostgreSQL by the server's statistics
	Bytes  int64 // on disk: of the table of events on PostgreSQL, of the whole file on DuckDB
	Live   int64 // of these, what the events that are there need; on PostgreSQL an estimate
	// Columns are the properties that have columns of their own, as questions name them.
	Columns []string
}

// Size counts nothing and so is cheap.
func (s *Store) Size(ctx context.Context) (Size, error) {
	var z struct{ Events, Bytes, Live sql.NullInt64 }
	err := s.query(ctx, "SELECT events", func(ctx context.Context, db *sqlx.DB) error {
		if err := s.d.acquaint(ctx, db); err != nil {
			return err
		}
		return db.GetContext(ctx, &z, s.d.size())
	})
	return Size{Events: max(z.Events.Int64, 0), Bytes: z.Bytes.Int64, Live: z.Live.Int64, Columns: s.d.ownFields()}, err
}
