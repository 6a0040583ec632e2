//go:build linux

package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// syncs appends 4 KiB and syncs, n times, and returns how long each took: the least that any
// promise of durability costs on this disk.
func syncs(ctx context.Context, dir string, n int) (took []time.Duration, err error) {
	f, err := os.CreateTemp(dir, "sync-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	page := make([]byte, 4<<10)
	for i := range page {
		page[i] = byte(i * 7)
	}
	for range n {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		begin := time.Now()
		if _, err := f.Write(page); err != nil {
			return nil, err
		}
		if err := syscall.Fdatasync(int(f.Fd())); err != nil {
			return nil, err
		}
		took = append(took, time.Since(begin))
	}
	return took, nil
}

// onDisk is what the files under dir take of the disk, without those under the directory named except.
// A file that is gone takes nothing.
func onDisk(dir, except string) (total int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if d.IsDir() && d.Name() == except {
			return filepath.SkipDir
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if s, ok := info.Sys().(*syscall.Stat_t); ok && !d.IsDir() {
			total += s.Blocks * 512
		}
		return nil
	})
	return total, err
}
