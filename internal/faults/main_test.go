//go:build linux

package faults

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

var length = flag.String("faults", "short", "short or long: how often and how long each fault strikes")

func TestMain(m *testing.M) {
	flag.Parse()
	if *length != "short" && *length != "long" {
		fmt.Fprintln(os.Stderr, "-faults wants short or long")
		os.Exit(2)
	}
	dir, err := os.MkdirTemp("", "tidemark-faults-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	program = builder(dir)
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		os.RemoveAll(dir)
		os.Exit(code)
	}))
}

// program returns the path of the service under test; the first call builds it.
var program func() (string, error)

func builder(dir string) func() (string, error) {
	return sync.OnceValues(func() (string, error) {
		path := filepath.Join(dir, "service-under-test")
		cmd := exec.Command("go", "build", "-o", path, "github.com/tidemark-obs/tidemark/cmd/tidemark")
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("%w: %s", err, out)
		}
		return path, nil
	})
}

// story begins a story. They take minutes, which a -short run has not.
func story(t *testing.T) {
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

// eventually polls until check is nil and ends the test with check's last error when it is not in
// time.
func eventually(t *testing.T, within time.Duration, what string, check func() error) {
	t.Helper()
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("%s: not within %v: %v", what, within, err)
		}
	}
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
