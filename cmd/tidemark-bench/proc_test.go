//go:build linux

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestProcessFigures(t *testing.T) {
	m, err := memoryOf(os.Getpid())
	if err != nil || m.Resident < 1<<20 || m.Peak < m.Resident {
		t.Errorf("memory %+v, %v", m, err)
	}
	if _, err := processorTime(os.Getpid()); err != nil {
		t.Error(err)
	}
}

func TestDisk(t *testing.T) {
	dir := t.TempDir()
	took, err := syncs(t.Context(), dir, 3)
	if err != nil || len(took) != 3 {
		t.Fatalf("%d times, %v", len(took), err)
	}
	for _, name := range []string{"kept", "left/out"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, make([]byte, 1<<20), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := onDisk(dir, "left"); err != nil || n < 1<<20 || n >= 2<<20 {
		t.Errorf("%d bytes, %v; want one megabyte, without what is left out", n, err)
	}
}

func TestProcessThatEndsIsNoticed(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	p, err := startProcess(exec.Command("sh", "-c", "echo the reason >&2; exit 3"), log)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.pause(t.Context(), time.Minute); err == nil || !strings.Contains(err.Error(), "the reason") {
		t.Errorf("error %v", err)
	}
	if p.health() == nil {
		t.Error("it is well")
	}
	if err := p.stop(); err != nil {
		t.Error(err)
	}
}

func TestProcessIsStopped(t *testing.T) {
	p, err := startProcess(exec.Command("sh", "-c", "trap 'exit 0' TERM; echo up; while :; do sleep 0.05; done"), filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(time.Minute)
	for p.said() == "" { // until the trap is set
		if time.Now().After(deadline) {
			t.Fatal("it does not start")
		}
		if err := p.pause(t.Context(), 10*time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.health(); err != nil {
		t.Error(err)
	}
	if err := p.stop(); err != nil {
		t.Error(err)
	}
	if _, err := memoryOf(p.cmd.Process.Pid); err == nil {
		t.Error("the process is still there")
	}
}
