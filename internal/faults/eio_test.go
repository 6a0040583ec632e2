//go:build linux

package faults

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/proctest"
)

// TestWriteErrors makes the process's writes fail as a dying disk does. While all of them fail,
// nobody is told yes; when the disk works again, so does the service. (The journal writes with
// pwrite64, sockets do not.)
func TestWriteErrors(t *testing.T) {
	story(t)
	strace, err := exec.LookPath("strace")
	if err != nil {
		skip(t, "strace is not installed")
	}
	for _, c := range []struct {
		name, fault string
		total       bool
	}{
		{"every fsync fails", "fsync,fdatasync:error=EIO", true},
		{"every write fails", "pwrite64:error=EIO", true},
		{"no space for any write", "pwrite64:error=ENOSPC", true},
		{"now and then an fsync fails", "fsync,fdatasync:error=EIO:when=2+7", false},
		{"now and then a write fails", "pwrite64:error=EIO:when=2+7", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			onEach(t, func(t *testing.T, url string) {
				s, b := newService(t, url), newBook()
				s.start()
				l := startLoad(t, b, steady, s)
				for range pick(1, 10) {
					b.awaitYes(t, 2000)
					heal := inject(t, strace, s.Pid(), c.fault)
					if c.total {
						nothingIsAcknowledged(t, s, b)
					} else {
						lapse(time.Second)
					}
					heal()
					s.awaitReady(3 * time.Minute)
				}
				b.awaitYes(t, 2000)
				s.Kill()
				s.start()
				b.awaitYes(t, 1000)
				l.stop()
				verify(t, b, nil, s)
			})
		})
	}
}

func nothingIsAcknowledged(t *testing.T, s *service, b *book) {
	t.Helper()
	since := time.Now()
	b.awaitNo(t, 1000)
	s.awaitUnready(3*time.Minute, "journal")
	if late := b.newestYes().Sub(since); late > 0 {
		t.Errorf("events that were sent %v after the last write that reached the disk were acknowledged", late)
	}
}

// inject makes system calls of a process fail, as strace's -e inject says, until heal is called.
func inject(t *testing.T, strace string, pid int, fault string) (heal func()) {
	t.Helper()
	calls, _, _ := strings.Cut(fault, ":")
	p := proctest.New(t, strace)
	p.Start("-f", "-q", "-p", strconv.Itoa(pid), "-o", "/dev/null", "-e", "trace="+calls, "-e", "inject="+fault)
	proctest.Eventually(t, time.Minute, "strace holds every thread", func() error {
		if p.Ended() {
			skip(t, "this machine does not let strace attach: exit code %d: %s", p.ExitCode(), p.Said())
		}
		return traced(pid, p.Pid())
	})
	return func() { p.Stop(time.Minute) } // it detaches
}

// traced is nil when all threads of pid are traced by tracer.
func traced(pid, tracer int) error {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil || len(files) == 0 {
		return errors.Join(err, errors.New("no threads"))
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			return err
		}
		if !strings.Contains(string(b), fmt.Sprintf("TracerPid:\t%d\n", tracer)) {
			return fmt.Errorf("%s is not traced yet", f)
		}
	}
	return nil
}
