package client

import (
	"os/exec"
	"strings"
	"testing"
)

// TestTheClientIsLight lists all that an application gets with this package.
func TestTheClientIsLight(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	allowed := []string{
		"github.com/tidemark-obs/tidemark/client",
		"go.opentelemetry.io/otel", "go.opentelemetry.io/auto/sdk", "go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp",
		"github.com/felixge/httpsnoop", "github.com/go-logr/logr", "github.com/go-logr/stdr", "github.com/cespare/xxhash/v2", // of those
	}
	heavy := []string{"go.opentelemetry.io/otel/sdk", "go.opentelemetry.io/otel/exporters"}
	for _, p := range strings.Fields(string(out)) {
		within := func(roots []string) bool {
			for _, root := range roots {
				if p == root || strings.HasPrefix(p, root+"/") {
					return true
				}
			}
			return false
		}
		if !within(allowed) || within(heavy) {
			t.Errorf("the client needs %s", p)
		}
	}
}
