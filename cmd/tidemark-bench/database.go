//go:build linux

package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/lib/pq"

	"github.com/tidemark-obs/tidemark/internal/pgtest"
)

// database is one that is measured: the embedded one, or a PostgreSQL server of our own with a
// database for the service.
type database struct {
	dir    string // of the service's files, and of the disk that is measured
	url    string // of the service's database; empty = embedded
	setup  string // what was set, for the report
	server *pgtest.Server
}

// Two settings are not PostgreSQL's defaults. Those are made for the smallest machines, and with
// max_wal_size at 1 GB the figures tell how often checkpoints happened to fall into them.
const (
	sharedBuffers = "512MB"
	maxWALSize    = "4GB"
)

// prepare makes a database in a directory of that name.
func (b *bench) prepare(ctx context.Context, name, directory string) (*database, error) {
	dir := b.below(directory)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	d := &database{dir: dir, setup: "embedded, settings as the service's defaults"}
	if name == duckDB {
		return d, nil
	}
	b.say("%s: starting a server", name)
	server, err := pgtest.Open(pgtest.DataDir(dir),
		pgtest.Setting("shared_buffers", sharedBuffers), pgtest.Setting("max_wal_size", maxWALSize))
	if err != nil {
		return nil, err
	}
	d.server = server
	var version string
	if err = d.ask(ctx, "postgres", &version, "SHOW server_version"); err == nil {
		d.url, err = d.create(ctx, "service")
	}
	if err != nil {
		return nil, errors.Join(err, server.Close())
	}
	d.setup = fmt.Sprintf("PostgreSQL %s, shared_buffers %s, max_wal_size %s, all else default (fsync and synchronous_commit on)",
		strings.Fields(version)[0], sharedBuffers, maxWALSize)
	return d, nil
}

func (d *database) close() error {
	if d.server == nil {
		return nil
	}
	return d.server.Close()
}

// create makes an empty database and returns its URL.
func (d *database) create(ctx context.Context, name string) (string, error) {
	return d.server.DSN(name), d.exec(ctx, "CREATE DATABASE "+pq.QuoteIdentifier(name))
}

// drop removes a database and writes out what its making left to be written, so that the next
// measurement does not pay for it.
func (d *database) drop(ctx context.Context, name string) error {
	return errors.Join(d.exec(ctx, "DROP DATABASE "+pq.QuoteIdentifier(name)+" WITH (FORCE)"), d.exec(ctx, "CHECKPOINT"))
}

func (d *database) exec(ctx context.Context, statement string) (err error) {
	db, err := sql.Open("postgres", d.server.DSN("postgres"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	_, err = db.ExecContext(ctx, statement)
	return err
}

func (d *database) ask(ctx context.Context, name string, into any, query string) (err error) {
	db, err := sql.Open("postgres", d.server.DSN(name))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return db.QueryRowContext(ctx, query).Scan(into)
}

// size is what the service's database takes of the disk, without the journal. PostgreSQL fails to
// say so when a file goes while it looks; the next look finds it gone.
func (d *database) size(ctx context.Context) (n int64, err error) {
	if d.server == nil {
		return onDisk(filepath.Join(d.dir, dataDir), "journal")
	}
	for range 3 {
		if err = d.ask(ctx, "service", &n, "SELECT pg_database_size(current_database())"); err == nil {
			break
		}
	}
	return n, err
}
