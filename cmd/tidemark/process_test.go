//go:build unix

package main

import (
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidemark-obs/tidemark/internal/proctest"
)

// TestASecondSignalEndsAtOnce has a request that keeps the service from draining.
func TestASecondSignalEndsAtOnce(t *testing.T) {
	p := proctest.New(t, os.Args[0], asProgram+"=1")
	p.Start("serve", "--web.listen-address=127.0.0.1:0", "--web.shutdown-timeout=10m", "--data.dir", filepath.Join(t.TempDir(), "data"))
	conn, err := net.Dial("tcp", p.Listens(serves))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "POST /api/analytics/track HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 1)); err != nil { // it waits for the body
		t.Fatal(err)
	}
	proctest.Eventually(t, time.Minute, "it ends", func() error {
		if p.Ended() {
			return nil
		}
		return errors.Join(syscall.Kill(p.Pid(), syscall.SIGTERM), errors.New("it runs"))
	})
	if p.ExitCode() != 1 {
		t.Errorf("exit code %d", p.ExitCode())
	}
	for _, says := range []string{"a second Ctrl-C or SIGTERM ends at once", "are in the journal"} {
		if !strings.Contains(p.Said(), says) {
			t.Errorf("it does not say %q", says)
		}
	}
}

// TestOneWishIsToldTwice has a program in between that passes one signal on twice.
func TestOneWishIsToldTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		signals, ended := make(chan os.Signal), false
		go func() {
			obey(signals, func() {}, io.Discard)
			ended = true
		}()
		signals <- syscall.SIGTERM
		signals <- syscall.SIGTERM
		synctest.Wait()
		if ended {
			t.Error("it has ended at once")
		}
		time.Sleep(oneWish)
		signals <- syscall.SIGTERM
		synctest.Wait()
		if !ended {
			t.Error("it has not ended at the second wish")
		}
	})
}

var serves = regexp.MustCompile(`Tidemark serves http://(\S+)`)

// TestFilesAreTheirOwnersAlone looks at all that a service makes in a directory that others may enter, and at what
// a user has it write, which is as the user's files are.
func TestFilesAreTheirOwnersAlone(t *testing.T) {
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	if err := os.Mkdir(data, 0o755); err != nil {
		t.Fatal(err)
	}
	p := proctest.New(t, "/bin/sh", asProgram+"=1")
	p.Start("-c", `umask 022; exec "$0" "$@"`, os.Args[0], "serve", "--web.listen-address=127.0.0.1:0", "--data.dir", data)
	p.Listens(serves)
	n := 0
	err := filepath.WalkDir(data, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == data {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) { // a temporary one
			return nil
		}
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s is %v", path, info.Mode())
		}
		n++
		return err
	})
	if err != nil || n < 5 {
		t.Errorf("%d files, %v", n, err)
	}
	if code := p.Stop(time.Minute); code != 0 {
		t.Errorf("exit code %d", code)
	}
	for _, name := range []string{"all.parquet", "all.csv"} {
		p.Start("-c", `umask 022; exec "$0" "$@"`, os.Args[0], "export", "--data.dir", data, "--output", filepath.Join(dir, name))
		if !p.Ends(time.Minute) || p.ExitCode() != 0 {
			t.Fatal("the export failed")
		}
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o644 {
			t.Errorf("%s is %v", name, info.Mode())
		}
	}
}
