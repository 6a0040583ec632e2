package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/tidemark-obs/tidemark/internal/errs"
)

const (
	keyColumns = `id, name, hash, hint, scopes, created_at, last_used_at, revoked_at`
	insertKey  = `INSERT INTO access_keys (` + keyColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING`
	selectKeys = `SELECT ` + keyColumns + ` FROM access_keys ORDER BY created_at, id`
	revokeKey  = `UPDATE access_keys SET revoked_at = coalesce(revoked_at, $2) WHERE id = $1`
	touchKey   = `UPDATE access_keys SET last_used_at = $2 WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < $2)`
)

// InsertKey keeps a new key, Conflict where its id is taken.
func (s *Store) InsertKey(ctx context.Context, k Key) error {
	scopes, err := json.Marshal(k.Scopes)
	if err != nil {
		return err
	}
	return s.transact(ctx, "INSERT access_keys", func(ctx context.Context, ses session) error {
		result, err := ses.ExecContext(ctx, insertKey, k.ID, k.Name, k.Hash, k.Hint, string(scopes),
			micro(k.CreatedAt), nullTime(k.LastUsedAt), nullTime(k.RevokedAt))
		return one(result, err, errs.New(errs.Conflict, "a key with this id exists"))
	})
}

// Keys returns all keys, revoked ones too, oldest first.
func (s *Store) Keys(ctx context.Context) ([]Key, error) {
	var rows []struct {
		ID         string
		Name       string
		Hash       []byte
		Hint       string
		Scopes     []byte
		CreatedAt  time.Time    `db:"created_at"`
		LastUsedAt sql.NullTime `db:"last_used_at"`
		RevokedAt  sql.NullTime `db:"revoked_at"`
	}
	err := s.query(ctx, "SELECT access_keys", func(ctx context.Context, db *sqlx.DB) error {
		return db.SelectContext(ctx, &rows, selectKeys)
	})
	if err != nil {
		return nil, err
	}
	keys := make([]Key, len(rows))
	for i, r := range rows {
		keys[i] = Key{
			ID: r.ID, Name: r.Name, Hash: r.Hash, Hint: r.Hint,
			CreatedAt: r.CreatedAt.UTC(), LastUsedAt: utc(r.LastUsedAt), RevokedAt: utc(r.RevokedAt),
		}
		if err := json.Unmarshal(r.Scopes, &keys[i].Scopes); err != nil {
			return nil, errs.Wrap(errs.Internal, "the scopes of a key cannot be read", err)
		}
	}
	return keys, nil
}

// RevokeKey ends a key, NotFound where there is none. A key revoked before keeps its time.
func (s *Store) RevokeKey(ctx context.Context, id string, at time.Time) error {
	return s.transact(ctx, "UPDATE access_keys", func(ctx context.Context, ses session) error {
		result, err := ses.ExecContext(ctx, revokeKey, id, micro(at))
		return one(result, err, errs.New(errs.NotFound, "not found"))
	})
}

// TouchKeys notes when keys were last used. Earlier times than the known ones are passed over.
func (s *Store) TouchKeys(ctx context.Context, used map[string]time.Time) error {
	return s.transact(ctx, "UPDATE access_keys", func(ctx context.Context, ses session) error {
		// Sorted, so that two replicas never wait for each other in a circle.
		for _, id := range slices.Sorted(maps.Keys(used)) {
			if _, err := ses.ExecContext(ctx, touchKey, id, micro(used[id])); err != nil {
				return err
			}
		}
		return nil
	})
}

// one turns a statement that changed no row into an error.
func one(result sql.Result, err error, none error) error {
	if err != nil {
		return err
	}
	n, err := result.RowsAffected()
	if err == nil && n == 0 {
		return none
	}
	return err
}
