//go:build linux

package alertstory

import (
	"bufio"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/tidemark-obs/tidemark/internal/tooltest"
)

// TestEveryCommandOfTheRunbooksWorks runs the commands of the runbooks and of what explains the
// rules, line by line, as somebody would at night: against a running service, in the directory
// with its data.
func TestEveryCommandOfTheRunbooksWorks(t *testing.T) {
	story(t)
	promtool, manager := tooltest.Find(t, "promtool"), alertmanager(t)
	s := serve(t, "")
	if _, err := call(t, "POST", s.url("/api/analytics/track"), `{"event": "e", "event_id": "missed"}`); err != nil {
		t.Fatal(err)
	}
	receiver := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(receiver.Close)
	destination := `{"name": "failing", "kind": "webhook", "url": "` + receiver.URL + `", "allow_private_addresses": true}`
	if _, err := call(t, "POST", s.url("/api/analytics/destinations"), destination); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the metric store answers", func() error { _, err := fetch(t, s.url("/api/v1/query?query=up")); return err })
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, to := range map[string]string{"data": s.dir, "alerts": "../../alerts", "tidemark.yaml": "../../docs/tidemark.yaml",
		"bin/tidemark": path, "bin/promtool": promtool} {
		to, err := filepath.Abs(to)
		if err != nil {
			t.Fatal(err)
		}
		link := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(link), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(to, link); err != nil {
			t.Fatal(err)
		}
	}
	here := strings.NewReplacer("http://127.0.0.1:8080", s.url(""), "http://127.0.0.1:9093", manager,
		"EVENT_ID", "missed", "destinations/NAME", "destinations/failing", "seconds=30", "seconds=1")
	files, err := filepath.Glob("../../docs/runbooks/*.md")
	if err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, file := range append(files, "../../docs/alert-rules.md") {
		for _, command := range commands(t, file) {
			// curl alone says nothing of an answer that is an error.
			script := "set -e; U=" + s.url("") + "; curl() { command curl -f \"$@\"; }\n" + here.Replace(command)
			cmd := exec.CommandContext(t.Context(), "bash", "-c", script)
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "PATH="+filepath.Join(dir, "bin")+":"+os.Getenv("PATH"))
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%s: %s\n%v: %s", filepath.Base(file), command, err, out)
			}
			ran++
		}
	}
	if ran < 2*len(files) {
		t.Errorf("only %d commands in %d files", ran, len(files))
	}
}

// commands are the indented lines that run a program, and the curl lines within the text.
func commands(t *testing.T, file string) []string {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	line := regexp.MustCompile(`^    ((?:curl|promtool|tidemark|du|amtool) .*)$`)
	inline := regexp.MustCompile("`(curl [^`]+)`")
	var all []string
	scan := bufio.NewScanner(f)
	for scan.Scan() {
		if m := line.FindStringSubmatch(scan.Text()); m != nil {
			all = append(all, m[1])
		}
		for _, m := range inline.FindAllStringSubmatch(scan.Text(), -1) {
			all = append(all, m[1])
		}
	}
	if err := scan.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}
