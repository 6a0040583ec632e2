//go:build linux

package faults

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/leaktest"
	"github.com/tidemark-obs/tidemark/internal/proctest"
)

var length = flag.String("faults", "short", "short or long: how often and how long each fault strikes")

func TestMain(m *testing.M) {
	flag.Parse()
	if *length != "short" && *length != "long" {
		fmt.Fprintln(os.Stderr, "-faults wants short or long")
		os.Exit(2)
	}
	dir, alive, err := workplace()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	program = builder(dir)
	leaktest.Main(m, func() { alive.Close() })
}

// tidy removes the workplace once its stdin closes and the guards of mounts and databases, who
// notice the same, are done.
const tidy = `
cat >/dev/null
n=0
while [ $n -lt 150 ] && { grep -q " $1/" /proc/mounts || find "$1" -name 'tidemark-pg-*' 2>/dev/null | grep -q .; }; do
	sleep 0.1; n=$((n+1))
done
rm -rf "$1"
`

// workplace makes the directory in which everything temporary lies, and sees to its removal
// however the test binary ends. The file must stay referenced until then.
func workplace() (dir string, alive *os.File, err error) {
	if dir, err = os.MkdirTemp("", "tidemark-faults-"); err != nil {
		return "", nil, err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return "", nil, err
	}
	defer r.Close()
	cmd := exec.Command("/bin/sh", "-c", tidy, "tidy", dir)
	cmd.Stdin = r
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	// PostgreSQL, run as another user, must be able to pass.
	return dir, w, errors.Join(cmd.Start(), os.Chmod(dir, 0o755), os.Setenv("TMPDIR", dir))
}

// program returns the path of the service under test; the first call builds it.
var program func() (string, error)

func builder(dir string) func() (string, error) {
	return sync.OnceValues(func() (string, error) {
		path := filepath.Join(dir, "service-under-test")
		return path, proctest.Build(path)
	})
}

// story begins a story that may run beside others: most of its time it waits.
func story(t *testing.T) {
	t.Helper()
	alone(t)
	t.Parallel()
}

// alone begins a story that measures. Stories take minutes, which a -short run has not.
func alone(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("fault stories do not run with -short")
	}
}

// pick returns what the chosen length asks for.
func pick[T any](short, long T) T {
	if *length == "long" {
		return long
	}
	return short
}

// lapse lets time pass for faults that last a while; nothing is concluded from its length.
func lapse(d time.Duration) { <-time.After(d) }

// skip ends a story that this machine cannot run, loudly.
func skip(t *testing.T, format string, args ...any) {
	t.Helper()
	why := fmt.Sprintf(format, args...)
	if os.Getenv("CI") == "true" && os.Geteuid() == 0 {
		t.Fatalf("CI=true as root must run this: %s", why)
	}
	fmt.Fprintf(os.Stderr, "\n*** SKIPPED %s: %s ***\n\n", t.Name(), why)
	t.Skip(why)
}
