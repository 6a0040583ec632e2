package alert

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

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

// keptAside is how many stores that were moved aside are kept.
const keptAside = 2

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
	for range 10 { // each turn moves something aside
		r := &registrations{Registerer: reg}
		db, err := tsdb.Open(c.Dir, log, r, c.storeOptions(), nil)
		if err == nil && !ahead(db, now()) {
			return db, nil
		}
		r.undo()
		if err == nil {
			log.Error("the metric store has samples from the future: was the clock set back? It starts anew",
				"newest", time.UnixMilli(newest(db)).UTC(), "now", now().UTC())
			err = errors.Join(db.Close(), moveAside(c.Dir, c.Dir, now()))
		} else if !passing(err) {
			log.Error("the metric store is damaged; what is damaged is moved aside", "cause", err)
			err = moveAside(c.Dir, damaged(c.Dir, err), now())
		}
		if err != nil {
			return nil, err
		}
	}
	return nil, errors.New("the metric store cannot be repaired")
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

var corruptedBlock = regexp.MustCompile(`\b[0-9A-HJKMNP-TV-Z]{26}\b`)

// damaged is the directory that err complains of: one block where it names one, else all.
func damaged(dir string, err error) string {
	if id := corruptedBlock.FindString(err.Error()); id != "" {
		block := filepath.Join(dir, id)
		if _, statErr := os.Stat(block); statErr == nil {
			return block
		}
	}
	return dir
}

// moveAside renames a directory of the store to a place beside it, and removes all but the
// newest that were moved there before.
func moveAside(store, dir string, now time.Time) error {
	to := fmt.Sprintf("%s.aside-%s-%s", store, now.UTC().Format("20060102T150405.000"), filepath.Base(dir))
	if err := os.Rename(dir, to); err != nil {
		return fmt.Errorf("moving the damaged metric store aside: %w", err)
	}
	siblings, err := os.ReadDir(filepath.Dir(store))
	if err != nil {
		return err
	}
	var old []string
	for _, e := range siblings {
		if strings.HasPrefix(e.Name(), filepath.Base(store)+".aside-") {
			old = append(old, filepath.Join(filepath.Dir(store), e.Name()))
		}
	}
	slices.Sort(old)
	for len(old) > keptAside {
		if err := os.RemoveAll(old[0]); err != nil {
			return err
		}
		old = old[1:]
	}
	return nil
}
