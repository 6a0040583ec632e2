package tooltest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Find returns the path of the first of the named programs that exists, in bin/tools of this
// repository or else in PATH. Several names are for programs that distributions rename.
func Find(t testing.TB, names ...string) string {
	t.Helper()
	dir, err := toolsDir()
	if err != nil {
		t.Fatal(err)
	}
	path, err := find(dir, names)
	return require(t, path, err)
}

// Installed is Find without bin/tools: the program as the machine's distribution ships it.
func Installed(t testing.TB, names ...string) string {
	t.Helper()
	path, err := find("", names)
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

func find(dir string, names []string) (string, error) {
	for _, name := range names {
		if dir != "" {
			path := filepath.Join(dir, name)
			if _, err := os.Stat(path); err == nil {
				return path, nil
			}
		}
		if path, err := exec.LookPath(name); err == nil {
			return filepath.Abs(path)
		}
	}
	where := "in PATH: install its package"
	if dir != "" {
		where = "in bin/tools or PATH: run `make tools` or install its package"
	}
	return "", fmt.Errorf("%s is not %s", strings.Join(names, " or "), where)
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
