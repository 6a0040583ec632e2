//go:build linux

package alertstory

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// program returns the path of the service under test; the first call builds it.
var program func() (string, error)

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "tidemark-alertstory-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	program = sync.OnceValues(func() (string, error) {
		path := filepath.Join(dir, "service-under-test")
		cmd := exec.Command("go", "build", "-o", path, "github.com/tidemark-obs/tidemark/cmd/tidemark")
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("%w: %s", err, out)
		}
		return path, nil
	})
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		os.RemoveAll(dir)
		os.Exit(code)
	}))
}

// story begins a test that takes the real program, which a -short run has no time for. Stories run
// beside each other: most of their time they wait.
func story(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("takes the real program; not with -short")
	}
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	t.Parallel()
}

// eventually polls until check is nil, and ends the test with check's last error when it is not
// in time. The time is only a limit: nothing is concluded from how long it took.
func eventually(t *testing.T, what string, check func() error) {
	t.Helper()
	const within = 2 * time.Minute
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	tick := time.NewTicker(50 * time.Millisecond)
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
