package journal

import (
	"cmp"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/shirou/gopsutil/v3/disk"
)

const (
	blockSuffix  = ".blk"
	indexName    = "index.db" // what the block files hold, in short
	tailBlocks   = 2          // how many block files one failed write can have touched
	probeBytes   = 4 << 10    // one page
	rewriteBytes = 256 << 10

	// purgeBytes is more than JetStream writes to purge: marks of what it forgets in a block file, or that
	// file anew.
	purgeBytes = 8 << 20

	// clockTick is more than the coarsest step in which file systems note times.
	clockTick = 50 * time.Millisecond
)

// volume looks after what JetStream leaves to the file system: a reserve, so that a full disk is
// met before a write fails; directories; and pages whose fsync has failed.
type volume struct {
	dir     string // of the journal
	msgs    string // where JetStream keeps the block files
	minFree int64
	synced  time.Time // modification time of msgs when it was last synced; zero = sync again
}

// newVolume keeps a reserve of minFree bytes, none if that is negative, and else at least what purging
// takes: a journal that had filled the disk would keep it full.
func newVolume(dir, msgs string, minFree int64) *volume {
	if minFree >= 0 {
		minFree = max(minFree, purgeBytes)
	}
	return &volume{dir: filepath.Clean(dir), msgs: filepath.Clean(msgs), minFree: minFree}
}

// room refuses n more bytes when they would touch the reserve.
func (v *volume) room(n int) error {
	if v.minFree < 0 {
		return nil
	}
	u, err := disk.Usage(v.dir)
	if err != nil {
		return unavailable("the disk of the journal does not answer", err)
	}
	if u.Free < uint64(v.minFree)+uint64(n) {
		return errDiskReserve()
	}
	return nil
}

// roomToPurge refuses where the disk has no room for what JetStream writes when it purges. Where such a
// write fails it waits for a lock of its own for ever (nats-server 2.15), and nothing ends that but the
// end of the process.
func (v *volume) roomToPurge() error {
	u, err := disk.Usage(v.dir)
	if err != nil {
		return unavailable("the disk of the journal does not answer", err)
	}
	if u.Free < purgeBytes {
		return unavailable("the disk of the journal has no room to purge", nil)
	}
	return nil
}

// writable proves that the disk can be written.
func (v *volume) writable() error {
	if err := os.MkdirAll(v.dir, 0o750); err != nil {
		return err
	}
	return probe(filepath.Join(v.dir, ".probe"))
}

// renew makes sure that what is read back from the journal's files is on disk. After an fsync
// has failed, the kernel may go on showing pages that never reached the disk; a server opened on
// them would append after a hole, and a power cut would then lose what it acknowledges later. So
// the files that were last written are written anew. No server may run on them.
func (v *volume) renew() error {
	blocks, err := v.tail()
	if err != nil {
		return err
	}
	for _, name := range blocks {
		if err := rewrite(filepath.Join(v.msgs, name)); err != nil {
			return err
		}
	}
	return nil
}

// removeIndex makes the next server read the block files through.
func (v *volume) removeIndex() error {
	err := os.Remove(filepath.Join(v.msgs, indexName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// tail returns the newest block files.
func (v *volume) tail() ([]string, error) {
	entries, err := os.ReadDir(v.msgs)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var blocks []string
	for _, e := range entries {
		if _, ok := blockNumber(e.Name()); ok {
			blocks = append(blocks, e.Name())
		}
	}
	slices.SortFunc(blocks, func(a, b string) int {
		na, _ := blockNumber(a)
		nb, _ := blockNumber(b)
		return cmp.Compare(na, nb)
	})
	return blocks[max(0, len(blocks)-tailBlocks):], nil
}

func blockNumber(name string) (uint64, bool) {
	digits, ok := strings.CutSuffix(name, blockSuffix)
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 32)
	return n, err == nil
}

// rewrite writes over a file what it holds, and syncs it. It takes no room on the disk, and
// being cut short it leaves the file as it was.
func rewrite(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	err = overwrite(f)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func overwrite(f *os.File) error {
	page := make([]byte, rewriteBytes)
	for at := int64(0); ; {
		n, err := f.ReadAt(page, at)
		if err != nil && err != io.EOF {
			return err
		}
		if n == 0 {
			return nil
		}
		if _, err := f.WriteAt(page[:n], at); err != nil {
			return err
		}
		at += int64(n)
	}
}

// probe writes and syncs a small file, and leaves none behind.
func probe(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o640)
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, probeBytes))
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close(), os.Remove(path))
}

// syncTree syncs every directory from the block files up to the one that holds the journal's.
func (v *volume) syncTree() error {
	for dir := v.msgs; ; dir = filepath.Dir(dir) {
		if err := syncDir(dir); err != nil {
			return err
		}
		if dir == v.dir {
			return syncDir(filepath.Dir(v.dir))
		}
	}
}

// syncNewFiles syncs the directory of the block files when files came or went since the last
// time. JetStream syncs a block file but not the directory that names it, which only some file
// systems make up for.
func (v *volume) syncNewFiles() error {
	looked := time.Now()
	info, err := os.Stat(v.msgs)
	if err != nil {
		return err
	}
	changed := info.ModTime()
	if changed.Equal(v.synced) {
		return nil
	}
	if err := syncDir(v.msgs); err != nil {
		return err
	}
	v.synced = time.Time{}
	if looked.Sub(changed) > clockTick { // a change since then shows as a later time
		v.synced = changed
	}
	return nil
}

func syncDir(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
