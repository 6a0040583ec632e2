package dashboards

import (
	"regexp"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/proctest"
)

// process is a program that runs beside the test, on a port of the kernel's choice.
type process struct {
	*proctest.Program
	addr string // where it listens, by its own word
}

// run starts a program and waits until it says where it listens: the first group of listens. When
// the test ends the program must end in good time.
func run(t *testing.T, listens *regexp.Regexp, env []string, path string, args ...string) *process {
	t.Helper()
	p := proctest.New(t, path, env...)
	p.Start(args...)
	t.Cleanup(func() { p.Stop(2 * time.Minute) })
	return &process{p, p.Listens(listens)}
}

// tool starts Prometheus or Alertmanager.
func tool(t *testing.T, path string, args ...string) *process {
	t.Helper()
	p, addr := proctest.Tool(t, path, args...)
	t.Cleanup(func() { p.Stop(2 * time.Minute) })
	return &process{p, addr}
}
