package deploy

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// compose is what the checks need of compose.yaml.
type compose struct {
	Services map[string]struct {
		Image       string
		Command     []string
		Environment map[string]string
		Volumes     []string
		Ports       []string
		DependsOn   map[string]any `yaml:"depends_on"`
		Build       struct{ Context, Dockerfile string }
	}
	Volumes map[string]any
}

func readYAML[T any](t *testing.T, path string) T {
	t.Helper()
	var v T
	if err := yaml.Unmarshal([]byte(read(t, path)), &v); err != nil {
		t.Fatalf("%s: %s", path, yaml.FormatError(err, false, true))
	}
	return v
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// mount is one entry of a service's volumes.
type mount struct{ source, target string }

func mounts(volumes []string) []mount {
	var all []mount
	for _, v := range volumes {
		parts := strings.Split(v, ":")
		all = append(all, mount{parts[0], parts[1]})
	}
	return all
}

// TestMounts: what is mounted from the repository is there, and every other volume is declared
// and used.
func TestMounts(t *testing.T) {
	c := readYAML[compose](t, "compose.yaml")
	used := map[string]bool{}
	for name, s := range c.Services {
		for _, m := range mounts(s.Volumes) {
			if !strings.HasPrefix(m.source, ".") {
				used[m.source] = true
				if _, ok := c.Volumes[m.source]; !ok {
					t.Errorf("%s mounts the volume %s, which is not declared", name, m.source)
				}
				continue
			}
			if _, err := os.Stat(m.source); err != nil {
				t.Errorf("%s mounts %v", name, err)
			}
		}
		for on := range s.DependsOn {
			if _, ok := c.Services[on]; !ok {
				t.Errorf("%s depends on %s, which is no service", name, on)
			}
		}
		if s.Build.Dockerfile != "" {
			if _, err := os.Stat(filepath.Join(s.Build.Context, s.Build.Dockerfile)); err != nil {
				t.Errorf("%s is built from %v", name, err)
			}
		}
	}
	for name := range c.Volumes {
		if !used[name] {
			t.Errorf("nothing uses the volume %s", name)
		}
	}
}

// TestPorts: nothing is open to the network.
func TestPorts(t *testing.T) {
	for name, s := range readYAML[compose](t, "compose.yaml").Services {
		for _, p := range s.Ports {
			if !strings.HasPrefix(p, "127.0.0.1:") {
				t.Errorf("%s opens %s", name, p)
			}
		}
	}
}

// TestImages: every image has a version, that of the libraries and tools which the tests use.
func TestImages(t *testing.T) {
	c := readYAML[compose](t, "compose.yaml")
	for name, s := range c.Services {
		_, tag, ok := strings.Cut(s.Image, ":")
		if !ok || tag == "" || tag == "latest" {
			t.Errorf("%s runs %q", name, s.Image)
		}
	}
	modules := required(t)
	major, rest, _ := strings.Cut(strings.TrimPrefix(modules["github.com/prometheus/prometheus"], "v0."), ".")
	prometheus := "prom/prometheus:v" + major[:1] + "." + strings.TrimLeft(major[1:], "0") + "." + rest
	for service, image := range map[string]string{
		"prometheus":   prometheus, // the module v0.315.0 is the release v3.15.0
		"alertmanager": "prom/alertmanager:" + modules["github.com/prometheus/alertmanager"],
	} {
		if got := c.Services[service].Image; got != image {
			t.Errorf("%s runs %s and the tests %s", service, got, image)
		}
	}
}

// required are the versions in go.mod.
func required(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for line := range strings.Lines(read(t, "../go.mod")) {
		if f := strings.Fields(line); len(f) >= 2 {
			all[f[0]] = f[1]
		}
	}
	return all
}

// TestBuildContext: the image is built from all that the program is made of.
func TestBuildContext(t *testing.T) {
	ignore := strings.Fields(read(t, "Dockerfile.dockerignore"))
	for _, dir := range packages(t) {
		top, _, _ := strings.Cut(dir, "/")
		if !slices.Contains(ignore, "!"+top) {
			t.Errorf("Dockerfile.dockerignore keeps %s out, which the program is made of", dir)
		}
	}
	for _, file := range []string{"!go.mod", "!go.sum"} {
		if !slices.Contains(ignore, file) {
			t.Errorf("Dockerfile.dockerignore lacks %s", file)
		}
	}
	if v := required(t)["go"]; !strings.Contains(read(t, "Dockerfile"), "FROM golang:"+v[:strings.LastIndex(v, ".")]) {
		t.Errorf("Dockerfile builds with another Go than %s", v)
	}
}
