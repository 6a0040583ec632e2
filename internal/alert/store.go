package alert

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/tsdb"
)

// The store's sizes, far below Prometheus' own: it has a small part of one process's memory and
// disk. A chunk file is made at its full size before it is filled.
const (
	blockRange    = 2 * time.Hour
	maxBlockRange = 24 * time.Hour
	walSegment    = 16 << 20
	chunkSegment  = 32 << 20
	chunkBuffer   = 64 << 10
	stripes       = 512
	maxExemplars  = 5000
)

// maxAhead is how far the store's newest sample may be in the future. A store that is further
// ahead, because the clock was set back, would refuse all samples until the clock has caught up.
// Scraped timestamps are not believed, so nothing else leads there.
const maxAhead = 10 * time.Minute

// The directories below Config.Dir: the store, and what was moved aside, of which the newest are
// kept. All are below one directory because that may be a file system of its own.
const (
	storeDir  = "tsdb"
	aside     = "aside-"
	keptAside = 2
)

func (c *Config) storeOptions() *tsdb.Options {
	o := tsdb.DefaultOptions()
	o.RetentionDuration, o.MaxBytes = c.Retention.Milliseconds(), c.MaxBytes
	o.MinBlockDuration = blockRange.Milliseconds()
	o.MaxBlockDuration = max(min(maxBlockRange, c.Retention/10), blockRange).Milliseconds()
	o.WALSegmentSize, o.MaxBlockChunkSegmentSize = walSegment, chunkSegment
	o.HeadChunksWriteBufferSize, o.StripeSize = chunkBuffer, stripes
	o.EnableExemplarStorage, o.MaxExemplars = true, maxExemplars
	o.EnableSTAsZeroSample = true
	o.NoLockfile = true // the data directory is locked as a whole
	return o
}

// openStore opens the store. What is damaged in it, or from the future, is moved aside; the log
// says so. An error means that the disk does not let it work now.
func openStore(c *Config, reg prometheus.Registerer, log *slog.Logger, now func() time.Time) (*tsdb.DB, error) {
	dir := filepath.Join(c.Dir, storeDir)
	if err := dropDamagedBlocks(c.Dir, dir, log, now); err != nil {
		return nil, err
	}
	for range 2 { // the second is a new one
		r := &registrations{Registerer: reg}
		db, err := tsdb.Open(dir, log, r, c.storeOptions(), nil)
		if err == nil && !ahead(db, now()) {
			return db, nil
		}
		r.undo()
		if err == nil {
			log.Error("the metric store has samples from the future: was the clock set back? It starts anew",
				"newest", time.UnixMilli(newest(db)).UTC(), "now", now().UTC())
			err = db.Close()
		} else if passing(err) {
			return nil, err
		} else {
			log.Error("the metric store is damaged beyond repair; it starts anew", "cause", err)
			err = nil
		}
		if err := errors.Join(err, moveAside(c.Dir, dir, now())); err != nil {
			return nil, err
		}
	}
	return nil, errors.New("a new metric store cannot be opened")
}

// dropDamagedBlocks moves blocks aside that cannot be read. The store would not open with them,
// and would not give back what it had opened by then.
func dropDamagedBlocks(parent, dir string, log *slog.Logger, now func() time.Time) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if _, err := ulid.ParseStrict(e.Name()); err != nil || !e.IsDir() {
			continue
		}
		path := filepath.Join(dir, e.Name())
		b, err := tsdb.OpenBlock(log, path, nil, nil)
		if err == nil {
			err = b.Close()
		}
		if passing(err) {
			return err
		}
		if err != nil {
			log.Error("a block of the metric store is damaged; it is moved aside", "block", e.Name(), "cause", err)
			if err := moveAside(parent, path, now()); err != nil {
				return err
			}
		}
	}
	return nil
}

// ahead tells whether the store's newest sample keeps current ones out.
func ahead(db *tsdb.DB, now time.Time) bool {
	return newest(db) > now.Add(maxAhead).UnixMilli()
}

// newest is the time of the newest sample in ms.
func newest(db *tsdb.DB) int64 {
	t := db.Head().MaxTime() // far in the past while there is none
	for _, b := range db.Blocks() {
		t = max(t, b.MaxTime()-1) // a block's end is not in it
	}
	return t
}

// passing tells whether the disk or the machine, not the store, is what does not work.
func passing(err error) bool {
	for _, e := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EROFS, syscall.EACCES, syscall.EPERM,
		syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// moveAside renames the store or a part of it out of the way, and removes all but the newest
// that were moved there before.
func moveAside(parent, dir string, now time.Time) error {
	to := aside + now.UTC().Format("20060102T150405.000") + "-" + filepath.Base(dir)
	if err := os.Rename(dir, filepath.Join(parent, to)); err != nil {
		return fmt.Errorf("moving the metric store aside: %w", err)
	}
	entries, err := os.ReadDir(parent) // sorted, so by age
	if err != nil {
		return err
	}
	old := slices.DeleteFunc(entries, func(e os.DirEntry) bool { return !strings.HasPrefix(e.Name(), aside) })
	for len(old) > keptAside {
		if err := os.RemoveAll(filepath.Join(parent, old[0].Name())); err != nil {
			return err
		}
		old = old[1:]
	}
	return nil
}
