package journal

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/errs"
)

func TestVolumeRenewsTheNewestBlocks(t *testing.T) {
	dir := t.TempDir()
	v := newVolume(dir+"/./", filepath.Join(dir, "msgs"), -1)
	if err := v.renew(); err != nil { // nothing there yet
		t.Fatal(err)
	}
	if err := os.Mkdir(v.msgs, 0o700); err != nil {
		t.Fatal(err)
	}
	content := make(map[string][]byte)
	for i, name := range []string{"2.blk", "10.blk", "9.blk", "index.db", "x.blk", "11.blk.tmp", "12.key"} {
		content[name] = bytes.Repeat([]byte{byte(i + 1)}, i*rewriteBytes+i)
		if err := os.WriteFile(filepath.Join(v.msgs, name), content[name], 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tail, err := v.tail()
	if err != nil || !slices.Equal(tail, []string{"9.blk", "10.blk"}) {
		t.Fatalf("the newest blocks are %v: %v", tail, err)
	}
	if err := v.renew(); err != nil {
		t.Fatal(err)
	}
	for name, want := range content {
		if got, err := os.ReadFile(filepath.Join(v.msgs, name)); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%s has changed: %v", name, err)
		}
	}
	if err := v.syncTree(); err != nil {
		t.Fatal(err)
	}
}

func TestVolumeRoom(t *testing.T) {
	dir := t.TempDir()
	if err := newVolume(dir, dir, 1).room(1); err != nil {
		t.Fatalf("with a reserve of one byte: %v", err)
	}
	if err := newVolume(dir, dir, 1<<62).room(1); !errs.Is(err, errs.Overloaded) {
		t.Fatalf("with an impossible reserve: %v", err)
	}
	if err := newVolume(filepath.Join(dir, "gone"), dir, 1).room(1); !errs.Is(err, errs.Unavailable) {
		t.Fatalf("without a disk: %v", err)
	}
}

func TestVolumeWritable(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := newVolume(filepath.Join(file, "journal"), dir, 1).writable(); err == nil {
		t.Fatal("a journal below a file is writable")
	}
	v := newVolume(filepath.Join(dir, "a", "b"), dir, 1)
	if err := v.writable(); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(v.dir); err != nil || len(left) > 0 {
		t.Fatalf("it leaves %v behind: %v", left, err)
	}
}

func TestVolumeSyncsNewFilesOnce(t *testing.T) {
	dir := t.TempDir()
	v := newVolume(dir, dir, 1)
	sync := func() {
		t.Helper()
		if err := v.syncNewFiles(); err != nil {
			t.Fatal(err)
		}
	}
	soon := time.Now().Add(time.Hour) // however long the disk takes, it has just changed
	if err := os.Chtimes(dir, soon, soon); err != nil {
		t.Fatal(err)
	}
	sync()
	if !v.synced.IsZero() {
		t.Fatal("a directory that has just changed may change again unseen, but is taken for synced")
	}
	old := v.synced.AddDate(2000, 0, 0)
	if err := os.Chtimes(dir, old, old); err != nil {
		t.Fatal(err)
	}
	sync()
	if !v.synced.Equal(old) {
		t.Fatal("a directory that has long not changed is not taken for synced")
	}
	if err := os.WriteFile(filepath.Join(dir, "new"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	sync()
	if v.synced.Equal(old) {
		t.Fatal("a new file goes unseen")
	}
}
