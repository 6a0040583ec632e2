//go:build linux

package alertstory

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/leaktest"
	"github.com/tidemark-obs/tidemark/internal/proctest"
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
		return path, proctest.Build(path)
	})
	leaktest.Main(m, func() { os.RemoveAll(dir) })
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

// eventually polls until check is nil.
func eventually(t *testing.T, what string, check func() error) {
	t.Helper()
	proctest.Eventually(t, 2*time.Minute, what, check)
}
