package tooltest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Find returns the path of the first of the pinned programs, which `make tools` builds. A distribution's program of
// the same name is of another version and does not stand in for it.
func Find(t testing.TB, names ...string) string {
	t.Helper()
	dir, err := toolsDir()
	if err != nil {
		t.Fatal(err)
	}
	path, err := pinned(dir, names)
	return require(t, path, err)
}

// Installed returns the path of the first of the named programs that is in PATH. Several names are
// for programs that distributions rename.
func Installed(t testing.TB, names ...string) string {
	t.Helper()
	path, err := installed(names)
	return require(t, path, err)
}

func require(t testing.TB, path string, err error) string {
	t.Helper()
	if err == nil {
		return path
	}
	if os.Getenv("CI") == "true" {
		t.Fatal(err)
	}
	t.Skip("skipped: " + err.Error())
	return ""
}

func pinned(dir string, names []string) (string, error) {
	for _, name := range names {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s is not in bin/tools: run `make tools`", strings.Join(names, " or "))
}

func installed(names []string) (string, error) {
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return filepath.Abs(path)
		}
	}
	return "", fmt.Errorf("%s is not in PATH: install its package", strings.Join(names, " or "))
}

// toolsDir is bin/tools beside the module's go.mod; tests run in their package's directory.
func toolsDir() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return filepath.Join(dir, "bin", "tools"), nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", fmt.Errorf("no go.mod above the working directory")
		}
		dir = parent
	}
}
