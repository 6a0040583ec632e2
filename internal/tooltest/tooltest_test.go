package tooltest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func program(t *testing.T, dir, name string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAnotherVersionDoesNotStandInForThePinnedOne(t *testing.T) {
	dir, system := t.TempDir(), t.TempDir()
	t.Setenv("PATH", system)
	program(t, system, "promtool")
	if path, err := pinned(dir, []string{"promtool"}); err == nil || !strings.Contains(err.Error(), "make tools") {
		t.Errorf("pinned = %q, %v", path, err)
	}
	want := program(t, dir, "promtool")
	if path, err := pinned(dir, []string{"promtool"}); err != nil || path != want {
		t.Errorf("pinned = %q, %v; want %q", path, err, want)
	}
}

func TestInstalledTriesEachName(t *testing.T) {
	system := t.TempDir()
	t.Setenv("PATH", system)
	names := []string{"alertmanager", "prometheus-alertmanager"}
	if path, err := installed(names); err == nil || !strings.Contains(err.Error(), "alertmanager or prometheus-alertmanager") {
		t.Errorf("installed = %q, %v", path, err)
	}
	want := program(t, system, "prometheus-alertmanager")
	if path, err := installed(names); err != nil || path != want {
		t.Errorf("installed = %q, %v; want %q", path, err, want)
	}
}

func TestToolsDirIsTheRepositorys(t *testing.T) {
	dir, err := toolsDir()
	if err != nil {
		t.Fatal(err)
	}
	root := filepath.Dir(filepath.Dir(dir))
	if _, err := os.Stat(filepath.Join(root, "cmd", "tidemark")); err != nil {
		t.Errorf("%s is not the repository's root: %v", root, err)
	}
}
