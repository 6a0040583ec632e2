//go:build linux

package faults

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// disk is a small file system of the test's own.
type disk struct {
	t   *testing.T
	dir string // where it is mounted
}

// needRoot ends a story that mounts when the test may not.
func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		skip(t, "mounting a small file system takes root")
	}
}

// tmpfs mounts a file system of the given size at dir, which is made when it is missing.
func tmpfs(t *testing.T, dir, size string) *disk {
	t.Helper()
	needRoot(t)
	d := &disk{t, dir}
	d.mount("mount", "-t", "tmpfs", "-o", "mode=0755,size="+size, "tmpfs", dir)
	return d
}

// image mounts an ext4 file system that lives in a file.
func image(t *testing.T, file, dir string) (*disk, error) {
	t.Helper()
	d := &disk{t, dir}
	return d, d.try("mount", "-o", "loop", file, dir)
}

func (d *disk) mount(command ...string) {
	d.t.Helper()
	if err := d.try(command...); err != nil {
		skip(d.t, "this machine does not let a test mount: %v", err)
	}
}

// try mounts and sees to the unmounting: at the end of the test, and also when the test binary
// dies, which a small shell notices by its end of a pipe.
func (d *disk) try(command ...string) error {
	d.t.Helper()
	if err := os.MkdirAll(d.dir, 0o755); err != nil {
		d.t.Fatal(err)
	}
	if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
		return errors.New(strings.TrimSpace(string(out)) + ": " + err.Error())
	}
	r, w, err := os.Pipe()
	if err != nil {
		d.t.Fatal(errors.Join(err, syscall.Unmount(d.dir, syscall.MNT_DETACH)))
	}
	defer r.Close()
	guard := exec.Command("/bin/sh", "-c", `cat >/dev/null; umount -l "$1"`, "unmount", d.dir)
	guard.Stdin = r
	guard.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := guard.Start(); err != nil {
		d.t.Fatal(errors.Join(err, w.Close(), syscall.Unmount(d.dir, syscall.MNT_DETACH)))
	}
	d.t.Cleanup(func() {
		if err := errors.Join(w.Close(), guard.Wait()); err != nil {
			d.t.Errorf("unmount %s: %v", d.dir, err)
		}
	})
	return nil
}

// fill takes all the space that is left.
func (d *disk) fill() {
	d.t.Helper()
	f, err := os.OpenFile(d.ballast(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		d.t.Fatal(err)
	}
	defer f.Close()
	for chunk := 1 << 20; chunk > 0; {
		n, err := f.Write(make([]byte, chunk))
		switch {
		case errors.Is(err, syscall.ENOSPC) || errors.Is(err, io.ErrShortWrite):
			chunk /= 2
		case err != nil:
			d.t.Fatalf("filling the disk (%d bytes written): %v", n, err)
		}
	}
}

// free gives back what fill took.
func (d *disk) free() {
	d.t.Helper()
	if err := os.Remove(d.ballast()); err != nil {
		d.t.Fatal(err)
	}
}

func (d *disk) ballast() string { return filepath.Join(d.dir, "ballast") }

// openDir is a temporary directory that every user may pass, as PostgreSQL's must.
func openDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for d := dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
