package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// TestGenerated: the files are what the program writes, and it writes the same each time.
func TestGenerated(t *testing.T) {
	dirs := []string{"..", t.TempDir(), t.TempDir()}
	for _, dir := range dirs[1:] {
		if err := write(dir); err != nil {
			t.Fatal(err)
		}
	}
	var all [3]map[string][]byte
	for i, dir := range dirs {
		files, err := filepath.Glob(filepath.Join(dir, "*.json"))
		if err != nil {
			t.Fatal(err)
		}
		all[i] = map[string][]byte{}
		for _, file := range files {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			all[i][filepath.Base(file)] = b
		}
	}
	for i, others := range all {
		for name, b := range others {
			if !bytes.Equal(b, all[(i+1)%3][name]) {
				t.Errorf("%s differs between %s and %s: run make generate", name, dirs[i], dirs[(i+1)%3])
			}
		}
	}
}
