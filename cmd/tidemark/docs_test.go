package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tidemark-obs/tidemark/internal/pgtest"
)

// asProgram makes the test binary be the program.
const asProgram = "TIDEMARK_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// TestTheDocumentedCommandsWork types every tidemark line of the documents that are here, in order,
// in one shell that ends at the first failure.
func TestTheDocumentedCommandsWork(t *testing.T) {
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("SKIPPED: bash is not installed, the documents' commands were not run")
	}
	self, err := filepath.Abs(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"moving-data.md", "privacy.md"} {
		t.Run(file, func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join("../../docs", file))
			if err != nil {
				t.Fatal(err)
			}
			script := "set -euxo pipefail\ntidemark() { " + asProgram + "=1 '" + self + "' \"$@\"; }\n"
			script += `echo '{"event":"signup","tags":["web"],"timestamp":"2026-01-05T00:00:00Z"}' | tidemark import - --data.dir data` + "\n"
			n := 0
			for line := range strings.Lines(string(text)) {
				if command, ok := strings.CutPrefix(line, "    tidemark "); ok {
					script += "tidemark " + command
					n++
				}
			}
			script = strings.ReplaceAll(script, "postgres://tidemark@localhost/tidemark", "'"+pgtest.URL(t)+"'")
			cmd := exec.CommandContext(t.Context(), "bash", "-c", script)
			cmd.Dir = t.TempDir()
			out, err := cmd.CombinedOutput()
			if err != nil || n == 0 {
				t.Errorf("%d commands: %v\n%s", n, err, out)
			}
			if file == "moving-data.md" && strings.Count(string(out), "1 accepted, 0 rejected") < 4 {
				t.Errorf("the event did not get everywhere:\n%s", out)
			}
		})
	}
}
