package store

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/shirou/gopsutil/v3/disk"

	"github.com/tidemark-obs/tidemark/internal/errs"
)

// parquetColumns are the columns of an event in a Parquet file, by the names of its JSON.
const parquetColumns = `event_id, event_name, event_type, ts AS "timestamp", received_at, user_id, anonymous_id,
session_id, properties, metadata, severity, tags, source, user_agent, ip_address, referrer, timezone, sample_rate,
processed, processed_at`

const (
	exportPattern = "export-*.parquet"
	// exportReserve is how many bytes of the disk an export leaves alone.
	exportReserve = 256 << 20
)

// WritesParquet reports whether WriteParquet works on this database.
func (s *Store) WritesParquet() bool { return s.d.columnar() }

// WriteParquet has the database itself write the events a filter selects, in no order, into a file
// beside its own, and lends use the path; what use does not move away is removed. One file is
// written at a time; Overloaded says that another is, or that the disk has no room for it.
func (s *Store) WriteParquet(ctx context.Context, f Filter, use func(path string) error) (err error) {
	d, ok := s.d.(*duck)
	if !ok {
		return errs.New(errs.Internal, "this database writes no Parquet files itself")
	}
	if !s.exporting.TryLock() {
		return errs.New(errs.Overloaded, "another Parquet export is under way; try again when it has ended")
	}
	defer s.exporting.Unlock()
	n, err := s.Count(ctx, f)
	if err != nil {
		return err
	}
	if err := d.exportFits(n); err != nil {
		return err
	}
	file, err := os.CreateTemp(d.temp, exportPattern)
	if err != nil {
		return errs.Wrap(errs.Unavailable, "the file of the export cannot be made", err)
	}
	path := file.Name()
	defer func() {
		if gone := os.Remove(path); gone != nil && !errors.Is(gone, os.ErrNotExist) {
			err = errors.Join(err, gone)
		}
	}()
	if err := file.Close(); err != nil {
		return err
	}
	if err := s.copyParquet(ctx, f, path); err != nil {
		return err
	}
	return use(path)
}

func (s *Store) copyParquet(ctx context.Context, f Filter, path string) error {
	all := scan{s: s, filter: f}
	var args arguments
	conditions, err := all.conditions(&args, span{})
	if err != nil {
		return err
	}
	// Each thread holds a row group in memory. To write them in the order of the table takes four
	// times as long. The path is this program's own, and a quoted literal is one value whatever is in it.
	query := "COPY (SELECT " + parquetColumns + " FROM events WHERE " + conditions + ") TO '" +
		strings.ReplaceAll(path, "'", "''") + "' (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, ROW_GROUP_SIZE 61440, PRESERVE_ORDER false)"
	return s.traced(ctx, "COPY events", func(ctx context.Context) error {
		return s.use(ctx, func(p pools) error {
			_, err := p.read.ExecContext(ctx, query, args...)
			return err
		})
	})
}

// exportFits refuses an export that could fill the disk. It allows half a kilobyte for
// an event; most take a tenth of that.
func (d *duck) exportFits(events int64) error {
	u, err := disk.Usage(d.temp)
	if err != nil {
		return errs.Wrap(errs.Unavailable, "the disk of the data directory does not answer", err)
	}
	if u.Free < exportReserve+uint64(events)*512 {
		return errs.New(errs.Overloaded, "the disk of the data directory has no room for this export; narrow it, or export NDJSON or CSV, which need none")
	}
	return nil
}

// sweep removes what a killed process left: exports, half a compaction, and what questions had spilled.
// All of it may hold persons who are erased later.
func (d *duck) sweep() error {
	var all error
	for _, pattern := range []string{exportPattern, compactName + "*", "duckdb_temp_*"} {
		left, err := fs.Glob(os.DirFS(d.temp), pattern)
		all = errors.Join(all, err)
		for _, name := range left {
			all = errors.Join(all, os.Remove(filepath.Join(d.temp, name)))
		}
	}
	return all
}
