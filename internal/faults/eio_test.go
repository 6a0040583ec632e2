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
	"syscall"
	"testing"
	"time"
)

// TestWriteErrors makes every fsync of the process fail for a while, as a dying disk does. From
// the first failure on nobody is told yes; when the disk works again, so does the service.
func TestWriteErrors(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		skip(t, "strace is not installed")
	}
	onEach(t, func(t *testing.T, url string) {
		s, b := newService(t, url), newBook()
		s.start()
		l := startLoad(t, b, steady, s)
		for range pick(2, 10) {
			b.awaitYes(t, 2000)
			heal := breakDisk(t, strace, s.pid())
			b.awaitNo(t, 500) // what was under way before has its answer by now
			acknowledged := b.totals().yes
			b.awaitNo(t, 500)
			if n := b.totals().yes - acknowledged; n > 0 {
				t.Errorf("%d events acknowledged while no write reaches the disk", n)
			}
			s.awaitUnready(30*time.Second, "journal")
			heal()
			s.awaitReady(60 * time.Second)
		}
		b.awaitYes(t, 2000)
		s.kill()
		s.start()
		b.awaitYes(t, 1000)
		l.stop()
		verify(t, b, nil, s)
	})
}

// breakDisk makes every fsync of a process fail with EIO until heal is called.
func breakDisk(t *testing.T, strace string, pid int) (heal func()) {
	t.Helper()
	cmd := exec.Command(strace, "-f", "-q", "-p", strconv.Itoa(pid), "-o", "/dev/null",
		"-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:error=EIO")
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	gone := make(chan error, 1)
	go func() { gone <- cmd.Wait() }()
	var healed bool
	heal = func() {
		if healed {
			return
		}
		healed = true
		_ = cmd.Process.Signal(syscall.SIGTERM) // it detaches; it may be gone already
		<-gone
	}
	t.Cleanup(heal)
	eventually(t, 20*time.Second, "strace holds every thread", func() error {
		select {
		case err := <-gone:
			gone <- err
			skip(t, "this machine does not let strace attach: %v", err)
		default:
		}
		return traced(pid, cmd.Process.Pid)
	})
	return heal
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
