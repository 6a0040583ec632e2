package store

import (
	"context"
	"database/sql"
	"errors"

	"github.com/jmoiron/sqlx"
)

const (
	selectSettings = `SELECT value FROM settings WHERE id = 1`
	upsertSettings = `
INSERT INTO settings (id, value, updated_at) VALUES (1, $1, $2)
ON CONFLICT (id) DO UPDATE SET value = EXCLUDED.value, updated_at = EXCLUDED.updated_at`
)

// LoadSettings returns the run-time settings as SaveSettings took them, nil where none were saved.
func (s *Store) LoadSettings(ctx context.Context) ([]byte, error) {
	var value []byte
	err := s.query(ctx, "SELECT settings", func(ctx context.Context, db *sqlx.DB) error {
		err := db.GetContext(ctx, &value, selectSettings)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	return value, err
}

// SaveSettings keeps the run-time settings, a JSON text.
func (s *Store) SaveSettings(ctx context.Context, value []byte) error {
	return s.transact(ctx, "INSERT settings", func(ctx context.Context, ses session) error {
		_, err := ses.ExecContext(ctx, upsertSettings, string(value), micro(s.cfg.Now()))
		return err
	})
}
