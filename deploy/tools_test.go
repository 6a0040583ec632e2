package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tidemark-obs/tidemark/internal/tooltest"
)

// TestPromtool: Prometheus's own checker accepts its file, with what it names in place.
func TestPromtool(t *testing.T) {
	promtool := tooltest.Find(t, "promtool")
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "alerts"), os.DirFS(filepath.Join("..", "alerts"))); err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string]string{"prometheus.yml": read(t, "prometheus.yml"), "keys/prometheus": "tm_key"} {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if out := run(t, promtool, "check", "config", filepath.Join(dir, "prometheus.yml")); !strings.Contains(out, "1 rule files found") {
		t.Errorf("promtool found no rules: %s", out)
	}
}

// TestAmtool: Alertmanager's own checker accepts its file.
func TestAmtool(t *testing.T) {
	run(t, tooltest.Installed(t, "amtool"), "check-config", "alertmanager.yml")
}

// TestCollector: the collector accepts both its files, one over the other.
func TestCollector(t *testing.T) {
	otelcol := tooltest.Find(t, "otelcol")
	for key, value := range readYAML[compose](t, "compose.yaml").Services["collector"].Environment {
		t.Setenv(key, value)
	}
	run(t, otelcol, "validate", "--config=../otel-collector.yaml", "--config=collector.yaml")
}

// packages are the directories of this module that the program is made of.
func packages(t *testing.T) []string {
	t.Helper()
	const module = "github.com/tidemark-obs/tidemark/"
	var dirs []string
	for line := range strings.Lines(run(t, "go", "list", "-deps", module+"cmd/tidemark")) {
		if dir, ok := strings.CutPrefix(strings.TrimSpace(line), module); ok {
			dirs = append(dirs, dir)
		}
	}
	if len(dirs) < 10 {
		t.Fatalf("the program is made of %v", dirs)
	}
	return dirs
}

func run(t *testing.T, path string, args ...string) string {
	t.Helper()
	out, err := exec.Command(path, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v: %s", path, strings.Join(args, " "), err, out)
	}
	return string(out)
}
