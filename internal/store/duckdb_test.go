package store_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/store"
	"github.com/tidemark-obs/tidemark/internal/store/storetest"
)

// small mounts a tmpfs of a few MiB, which only root may.
func small(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		if errors.Is(err, syscall.EPERM) {
			t.Skip("mounting a small disk needs root")
		}
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// TestDuckDBFullDisk fills the disk under the database, frees it, and finds what was stored there
// once and the rest not at all. A database whose checkpoint failed answers nothing more and has to
// be opened anew.
func TestDuckDBFullDisk(t *testing.T) {
	for name, disk := range map[string]struct {
		size    string
		ballast int
	}{
		"in the log":        {"48m", 24 << 20},
		"in the checkpoint": {"160m", 90 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			if testing.Short() && name == "in the checkpoint" {
				t.Skip("takes many events, which a -short run has not")
			}
			dir := small(t, disk.size)
			ballast := filepath.Join(dir, "ballast")
			if err := os.WriteFile(ballast, make([]byte, disk.ballast), 0o600); err != nil {
				t.Fatal(err)
			}
			fillDisk(t, dir, ballast)
		})
	}
}

func fillDisk(t *testing.T, dir, ballast string) {
	s := open(t, store.Config{Dir: dir})
	g := storetest.NewGenerator(1, time.Now())
	c := store.Cursor{Stream: "s"}
	var refused []event.Event
	for refused == nil {
		events := g.Events(2_000)
		result, err := s.Commit(t.Context(), &store.Batch{From: c, Seq: c.Seq + 1, Events: events})
		if err == nil {
			c = result.Cursor
			continue
		}
		wantUnavailable(t, err)
		refused = events
	}
	t.Logf("full after %d batches", c.Seq)
	for range 2 { // it stays full
		_, err := s.Commit(t.Context(), &store.Batch{From: c, Seq: c.Seq + 1, Events: refused})
		wantUnavailable(t, err)
	}
	must(t, os.Remove(ballast))
	now, err := s.Cursor(t.Context(), "s")
	must(t, err)
	if now.Seq != c.Seq {
		t.Fatalf("a failed batch moved the cursor from %d to %d", c.Seq, now.Seq)
	}
	result, err := s.Commit(t.Context(), &store.Batch{From: now, Seq: now.Seq + 1, Events: refused})
	must(t, err)
	if len(result.Duplicates) != 0 {
		t.Errorf("%d events had been stored by a batch that failed", len(result.Duplicates))
	}
	want := int64(result.Cursor.Seq) * 2_000
	wantStored(t, s, want)
	must(t, s.Close())
	wantStored(t, open(t, store.Config{Dir: dir}), want)
}

func wantStored(t *testing.T, s *store.Store, want int64) {
	t.Helper()
	st, err := s.Stats(t.Context(), time.Unix(0, 0), time.Now().Add(24*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if st.TotalEvents != want {
		t.Errorf("%d events stored, want %d", st.TotalEvents, want)
	}
}

func TestDuckDBTwiceOnOneDirectoryInOneProcess(t *testing.T) {
	dir := t.TempDir()
	s := open(t, store.Config{Dir: dir})
	if _, err := s.Commit(t.Context(), &store.Batch{From: store.Cursor{Stream: "s"}, Seq: 1}); err != nil {
		t.Fatal(err)
	}
	again := open(t, store.Config{Dir: dir})
	if c, err := again.Cursor(t.Context(), "s"); err != nil || c.Seq != 1 {
		t.Errorf("cursor %+v, %v", c, err)
	}
}

func TestDuckDBOpenRefuses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	garbage := t.TempDir()
	if err := os.WriteFile(filepath.Join(garbage, "tidemark.duckdb"), []byte(strings.Repeat("x", 10_000)), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, cfg := range map[string]store.Config{
		"a file for a directory":  {Dir: file},
		"a path that is no DSN":   {Dir: filepath.Join(t.TempDir(), "a?b")},
		"another file's contents": {Dir: garbage},
		"a limit that is none":    {Dir: t.TempDir(), MemoryLimit: "lots"},
		"another database":        {URL: "mysql://localhost/x"},
		"a broken URL":            {URL: "postgres://user:secret@[::1/x"},
	} {
		s, err := store.Open(t.Context(), cfg)
		if err == nil {
			t.Errorf("%s: opened", name)
			s.Close()
			continue
		}
		if errs.Is(err, errs.Internal) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: kind %d, %v", name, errs.KindOf(err), err)
		}
	}
}

// TestDuckDBKeepsItsMemoryLimit works on far more than fits.
func TestDuckDBKeepsItsMemoryLimit(t *testing.T) {
	if testing.Short() {
		t.Skip("takes hundreds of thousands of events, which a -short run has not")
	}
	s := open(t, store.Config{Dir: t.TempDir(), MemoryLimit: "64MB", Threads: 2})
	g := storetest.NewGenerator(1, time.Now())
	c := store.Cursor{Stream: "s"}
	const batches = 20
	for i := range batches {
		result, err := s.Commit(t.Context(), &store.Batch{From: c, Seq: c.Seq + 1, Events: g.Events(20_000)})
		if err != nil {
			t.Fatalf("batch %d: %v", i, err)
		}
		c = result.Cursor
	}
	wantStored(t, s, batches*20_000)
	list, err := s.List(t.Context(), store.Filter{Tags: []string{"beta"}}, store.Page{Limit: 1000})
	if err != nil || len(list) != 1000 {
		t.Errorf("%d events, %v", len(list), err)
	}
	n, err := s.MarkProcessed(t.Context(), []string{list[0].ID, list[999].ID}, time.Now())
	if err != nil || n != 2 {
		t.Errorf("marked %d, %v", n, err)
	}
}

// TestDuckDBSweeps: what a killed process left beside the database is gone after the next start.
func TestDuckDBSweeps(t *testing.T) {
	dir := t.TempDir()
	temp := filepath.Join(dir, "tidemark.duckdb.tmp")
	must(t, os.MkdirAll(temp, 0o700))
	for _, name := range []string{"export-1.parquet", "compact.duckdb", "compact.duckdb.wal", "duckdb_temp_storage_DEFAULT-0.tmp", "duckdb_temp_block-7.block"} {
		must(t, os.WriteFile(filepath.Join(temp, name), []byte("erased"), 0o600))
	}
	s, err := store.Open(t.Context(), store.Config{Dir: dir})
	must(t, err)
	defer s.Close()
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// TestDuckDBAfterAPowerCut has logs whose ends never reached the disk, where the file system shows zeros.
func TestDuckDBAfterAPowerCut(t *testing.T) {
	dir := t.TempDir()
	w := newWriter(t, open(t, store.Config{Dir: dir}))
	for range 3 {
		must(t, w.commit(t.Context()))
	}
	zeros := make([]byte, 3*4096)
	begun := append([]byte{0x50, 0x46, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8}, bytes.Repeat([]byte{9}, 100)...) // an entry of 18,000 bytes
	for name, c := range map[string]struct {
		end   [][]byte
		opens bool
	}{
		"zeros":                      {[][]byte{zeros}, true},
		"few zeros":                  {[][]byte{zeros[:16]}, true},
		"an entry without its end":   {[][]byte{begun, zeros, zeros}, true},
		"something behind the zeros": {[][]byte{zeros, {1}}, false},
		"another entry's checksum":   {[][]byte{{1, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			copied := t.TempDir()
			must(t, os.CopyFS(copied, os.DirFS(dir)))
			f, err := os.OpenFile(filepath.Join(copied, "tidemark.duckdb.wal"), os.O_APPEND|os.O_WRONLY, 0)
			must(t, err)
			_, err = f.Write(bytes.Join(c.end, nil))
			must(t, errors.Join(err, f.Close()))
			s, err := store.Open(t.Context(), store.Config{Dir: copied})
			if !c.opens {
				wantUnavailable(t, err)
				return
			}
			must(t, err)
			defer s.Close()
			wantStored(t, s, w.sent)
			w := &writer{s: s, g: storetest.NewGenerator(2, time.Now()), cursor: w.cursor}
			must(t, w.commit(t.Context()))
		})
	}
}
