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

func TestFindPrefersThePinnedOne(t *testing.T) {
	pinned, system := t.TempDir(), t.TempDir()
	t.Setenv("PATH", system)
	inPath := program(t, system, "promtool")

	for _, step := range []struct {
		name, dir, want string
		prepare         func()
	}{
		{"only in PATH", pinned, inPath, func() {}},
		{"in both", pinned, filepath.Join(pinned, "promtool"), func() { program(t, pinned, "promtool") }},
		{"the distribution's", "", inPath, func() {}},
	} {
		step.prepare()
		if got, err := find(step.dir, []string{"promtool"}); err != nil || got != step.want {
			t.Errorf("%s: find = %q, %v; want %q", step.name, got, err, step.want)
		}
	}
}

func TestFindTriesEachName(t *testing.T) {
	system := t.TempDir()
	t.Setenv("PATH", system)
	want := program(t, system, "prometheus-alertmanager")
	got, err := find(t.TempDir(), []string{"alertmanager", "prometheus-alertmanager"})
	if err != nil || got != want {
		t.Errorf("find = %q, %v; want %q", got, err, want)
	}
}

func TestFindSaysHowToGetIt(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := find(t.TempDir(), []string{"alertmanager", "prometheus-alertmanager"})
	if err == nil || !strings.Contains(err.Error(), "alertmanager or prometheus-alertmanager") || !strings.Contains(err.Error(), "make tools") {
		t.Errorf("find = %v", err)
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
