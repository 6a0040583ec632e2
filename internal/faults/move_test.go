//go:build linux

package faults

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/proctest"
)

// TestKillMoving kills an import again and again at instants that chance chooses, and then an export
// of what it brought in; the same commands, run again, lose and double nothing.
func TestKillMoving(t *testing.T) {
	story(t)
	onEach(t, func(t *testing.T, url string) {
		dir := t.TempDir()
		n := pick(60_000, 1_000_000)
		in, out := filepath.Join(dir, "in.ndjson"), filepath.Join(dir, "out.ndjson")
		writeEvents(t, in, n)
		data := []string{"--data.dir=" + filepath.Join(dir, "data")}
		if url != "" {
			data = append(data, "--database.url="+url)
		}
		kills := untilDone(t, nil, append([]string{"import", in, "--state=" + in + ".state"}, data...)...)
		complete := func() bool { _, err := os.Stat(out); return err == nil } // it has its name once all is in it
		kills += untilDone(t, complete, append([]string{"export", "--output=" + out}, data...)...)
		t.Logf("killed %d times", kills)
		seen := make([]int, n)
		f, err := os.Open(out)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		lines := bufio.NewScanner(f)
		for lines.Scan() {
			var e struct {
				ID string `json:"event_id"`
			}
			i := -1
			err := json.Unmarshal(lines.Bytes(), &e)
			if err == nil {
				_, err = fmt.Sscanf(e.ID, "moved-%d", &i)
			}
			if err != nil || i < 0 || i >= n {
				t.Fatalf("a line that was not moved: %.100s, %v", lines.Text(), err)
			}
			seen[i]++
		}
		if err := lines.Err(); err != nil {
			t.Fatal(err)
		}
		for i, times := range seen {
			if times != 1 {
				t.Fatalf("event %d of %d came out %d times", i, n, times)
			}
		}
	})
}

func writeEvents(t *testing.T, path string, n int) {
	t.Helper()
	var b bytes.Buffer
	for i := range n {
		b.Write(singleBody(fmt.Sprintf("moved-%d", i)))
		b.WriteByte('\n')
	}
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

// untilDone runs a command and kills it at first, later and later, until it ends by itself, or is
// killed with its work done.
func untilDone(t *testing.T, done func() bool, args ...string) (kills int) {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	p := proctest.New(t, path)
	for patience := 300 * time.Millisecond; ; patience += 200 * time.Millisecond {
		limit := time.Duration(rand.Int64N(int64(patience)))
		if kills >= pick(5, 40) {
			limit = 5 * time.Minute
		}
		p.Start(args...)
		if p.Ends(limit) {
			if p.ExitCode() != 0 {
				t.Fatalf("tidemark %s ended with %d", args[0], p.ExitCode())
			}
			return kills
		}
		p.Kill()
		kills++
		if done != nil && done() {
			return kills
		}
	}
}
