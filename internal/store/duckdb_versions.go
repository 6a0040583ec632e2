package store

import (
	"context"
	"database/sql"
	"errors"

	"github.com/pressly/goose/v3/database"
)

// duckVersions keeps goose's versions in DuckDB, which goose does not know by itself.
type duckVersions struct{}

var _ database.Store = duckVersions{}

func (duckVersions) Tablename() string { return versionTable }

func (duckVersions) CreateVersionTable(ctx context.Context, db database.DBTxConn) error {
	_, err := db.ExecContext(ctx, `
CREATE SEQUENCE IF NOT EXISTS goose_db_version_id;
CREATE TABLE goose_db_version (
    id         bigint PRIMARY KEY DEFAULT nextval('goose_db_version_id'),
    version_id bigint NOT NULL,
    is_applied boolean NOT NULL,
    tstamp     timestamptz NOT NULL DEFAULT now()
)`)
	return err
}

// TableExists spares goose from finding out by an error.
func (duckVersions) TableExists(ctx context.Context, db database.DBTxConn) (exists bool, err error) {
	err = db.QueryRowContext(ctx, hasVersionTable, versionTable).Scan(&exists)
	return exists, err
}

func (duckVersions) Insert(ctx context.Context, db database.DBTxConn, req database.InsertRequest) error {
	_, err := db.ExecContext(ctx,
		`INSERT INTO goose_db_version (version_id, is_applied) VALUES ($1, true)`, req.Version)
	return err
}

func (duckVersions) Delete(ctx context.Context, db database.DBTxConn, version int64) error {
	_, err := db.ExecContext(ctx, `DELETE FROM goose_db_version WHERE version_id = $1`, version)
	return err
}

func (duckVersions) GetMigration(ctx context.Context, db database.DBTxConn, version int64) (*database.GetMigrationResult, error) {
	var r database.GetMigrationResult
	err := db.QueryRowContext(ctx, `
SELECT tstamp, is_applied FROM goose_db_version WHERE version_id = $1 ORDER BY id DESC LIMIT 1`, version).
		Scan(&r.Timestamp, &r.IsApplied)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, database.ErrVersionNotFound
	}
	return &r, err
}

func (duckVersions) GetLatestVersion(ctx context.Context, db database.DBTxConn) (int64, error) {
	var version sql.NullInt64
	err := db.QueryRowContext(ctx, `SELECT max(version_id) FROM goose_db_version`).Scan(&version)
	if err == nil && !version.Valid {
		return 0, database.ErrVersionNotFound
	}
	return version.Int64, err
}

func (duckVersions) ListMigrations(ctx context.Context, db database.DBTxConn) (list []*database.ListMigrationsResult, err error) {
	rows, err := db.QueryContext(ctx, `SELECT version_id, is_applied FROM goose_db_version ORDER BY id DESC`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var r database.ListMigrationsResult
		if err := rows.Scan(&r.Version, &r.IsApplied); err != nil {
			return nil, err
		}
		list = append(list, &r)
	}
	return list, rows.Err()
}
