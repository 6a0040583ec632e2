package store

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/jmoiron/sqlx"
	"github.com/shirou/gopsutil/v3/disk"

	"github.com/tidemark-obs/tidemark/internal/errs"
)

// Compact writes the database's files anew without what was deleted: deleted rows leave their bytes
// behind in them. Nothing is stored meanwhile, and on PostgreSQL nothing read either; what comes in
// waits in the journal. Erasures from before are complete then. It needs as much room again on the
// disk as the events that are left.
func (s *Store) Compact(ctx context.Context) error {
	began := micro(s.cfg.Now())
	if err := s.settleDeclared(ctx); err != nil {
		return err
	}
	if err := s.traced(ctx, "VACUUM", func(ctx context.Context) error { return s.d.compact(ctx, s) }); err != nil {
		return err
	}
	return s.transact(ctx, "UPDATE erasures", func(ctx context.Context, ses session) error {
		_, err := ses.ExecContext(ctx, filesClean, micro(s.cfg.Now()), began)
		return err
	})
}

// compact has PostgreSQL write each table with deleted rows into new files.
func (d *postgres) compact(ctx context.Context, s *Store) error {
	return s.use(ctx, func(p pools) error {
		for _, table := range []string{"events", "dead_letters", "destination_dead_letters", "receipts", "tombstones", "rollup_users", "rollup_values", "user_marks"} {
			if _, err := p.admin.ExecContext(ctx, "VACUUM (FULL, ANALYZE) "+table); err != nil {
				return err
			}
		}
		// The server's statistics hold frequent values, also of users. A role that does not own the
		// database is told no by a notice only.
		if _, err := p.admin.ExecContext(ctx, "VACUUM (FULL) pg_catalog.pg_statistic"); err != nil && !d.denied(err) {
			return err
		}
		// Until a checkpoint the old files are still there.
		_, err := p.admin.ExecContext(ctx, "CHECKPOINT")
		if d.denied(err) {
			s.cfg.Logger.Warn("this role may not have the server checkpoint; the old files go with the next one")
			return nil
		}
		return err
	})
}

// compactName is the new file while it is written.
const compactName = "compact.duckdb"

// compact copies the live rows into a new file and puts that in the place of the old one. Readers go
// on until the files are exchanged.
func (d *duck) compact(ctx context.Context, s *Store) (err error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	fresh := filepath.Join(d.temp, compactName)
	if err := removeDatabase(fresh); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, removeDatabase(fresh)) }()
	if err := d.compactFits(); err != nil {
		return err
	}
	if err := s.use(ctx, func(p pools) error { return copyDatabase(ctx, p.write, fresh) }); err != nil {
		return err
	}
	return s.exchange(ctx, fresh, d.file())
}

func (d *duck) file() string { return filepath.Join(filepath.Dir(d.temp), "tidemark.duckdb") }

// compactFits refuses when a second file may not fit beside the first.
func (d *duck) compactFits() error {
	info, err := os.Stat(d.file())
	if err != nil {
		return errs.Wrap(errs.Unavailable, "the database file cannot be read", err)
	}
	u, err := disk.Usage(d.temp)
	if err != nil {
		return errs.Wrap(errs.Unavailable, "the disk of the data directory does not answer", err)
	}
	if u.Free < exportReserve+uint64(info.Size()) {
		return errs.New(errs.Overloaded, "the disk of the data directory has no room for a second copy of the database")
	}
	return nil
}

// copyDatabase writes everything into a new file, on one connection: an attached database belongs
// to all, but what is under way on it does not.
func copyDatabase(ctx context.Context, db *sqlx.DB, path string) (err error) {
	conn, err := db.Connx(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	quoted := "'" + strings.ReplaceAll(path, "'", "''") + "'"
	if _, err := conn.ExecContext(ctx, "ATTACH "+quoted+" AS compacted"); err != nil {
		return err
	}
	_, err = conn.ExecContext(ctx, "COPY FROM DATABASE tidemark TO compacted")
	if err == nil {
		_, err = conn.ExecContext(ctx, "CHECKPOINT compacted")
	}
	_, gone := conn.ExecContext(context.WithoutCancel(ctx), "DETACH compacted")
	if err = errors.Join(err, gone); err != nil {
		return err
	}
	_, err = conn.ExecContext(ctx, "CHECKPOINT tidemark") // so that the old file has no log
	return err
}

// exchange closes the database, puts the new file in its place and opens it again. Nobody uses the
// database meanwhile. A failure leaves the old file where it was.
func (s *Store) exchange(ctx context.Context, fresh, file string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errs.New(errs.Unavailable, "the database is closed")
	}
	if err := s.p.close(); err != nil {
		s.cfg.Logger.Warn("close the database for compaction", "error", err)
	}
	renamed := replace(fresh, file)
	p, err := s.d.open(ctx)
	if err != nil {
		s.broken.Store(true) // the next caller tries again
		return errors.Join(renamed, errs.Wrap(errs.Unavailable, "the database cannot be opened", err))
	}
	s.p = p
	return renamed
}

// replace puts a database file in the place of another, neither of which has a log beside it: a log
// belongs to the file it was written for.
func replace(fresh, file string) error {
	for _, path := range []string{fresh, file} {
		if _, err := os.Stat(path + ".wal"); !errors.Is(err, os.ErrNotExist) {
			return errs.New(errs.Unavailable, "a database file has a log beside it and is not exchanged; try again")
		}
	}
	if err := syncFile(fresh); err != nil {
		return errs.Wrap(errs.Unavailable, "the new database file is not safely written", err)
	}
	if err := os.Rename(fresh, file); err != nil {
		return errs.Wrap(errs.Unavailable, "the new database file cannot be put in place", err)
	}
	return syncFile(filepath.Dir(file))
}

func syncFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func removeDatabase(path string) error {
	var all error
	for _, p := range []string{path, path + ".wal"} {
		if err := os.Remove(p); err != nil && !errors.Is(err, os.ErrNotExist) {
			all = errors.Join(all, err)
		}
	}
	return all
}
