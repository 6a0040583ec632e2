//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// One step that fails costs its own figures only, unless the others need it or the time is up.
func TestStepsOutliveEachOther(t *testing.T) {
	for name, c := range map[string]struct {
		needed, stopped bool
		want            []string
	}{
		"goes on":      {want: []string{"a", "b", "c"}},
		"needs it":     {needed: true, want: []string{"a", "b"}},
		"time is over": {stopped: true, want: []string{"a", "b"}},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			var done []string
			kept := 0
			b := &bench{progress: io.Discard, keep: func() error { kept++; return nil }}
			do := func(name string, err error) step {
				return step{name: name, needed: c.needed, do: func(context.Context) error {
					done = append(done, name)
					if err != nil && c.stopped {
						stop()
					}
					return err
				}}
			}
			broken := errors.New("it broke")
			err := b.each(ctx, "x", []step{do("a", nil), do("b", broken), do("c", nil)})
			if !errors.Is(err, broken) || !strings.Contains(err.Error(), "x: b: ") {
				t.Errorf("error %v", err)
			}
			if !slices.Equal(done, c.want) || kept != len(c.want) {
				t.Errorf("did %v and kept %d times, want %v", done, kept, c.want)
			}
		})
	}
}

// A run that cannot go on tells what it has, as text and as JSON.
func TestARunThatFailsStillReports(t *testing.T) {
	dir := t.TempDir()
	broken := filepath.Join(dir, "broken")
	if err := os.WriteFile(broken, []byte("#!/bin/sh\nexit 3\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "out.json")
	var said bytes.Buffer
	err := run(t.Context(), []string{"-tidemark", broken, "-dir", dir, "-db", duckDB, "-only", questionPart, "-past", "500000", "-json", path}, &said, io.Discard)
	if err == nil || !strings.Contains(said.String(), "NOT COMPLETE") || !strings.Contains(said.String(), "exit status 3") {
		t.Errorf("error %v, said:\n%s", err, said.String())
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var r report
	if err := json.Unmarshal(text, &r); err != nil || len(r.Past) != 2 || r.Past[1].Events != 500_000 || r.Failure == "" {
		t.Errorf("%v: %+v", err, r)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "tidemark-bench-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestBacklogIsRead(t *testing.T) {
	const metrics = `# HELP tidemark_rollup_untidy_rows Rows.
# TYPE tidemark_rollup_untidy_rows gauge
tidemark_rollup_untidy_rows{rollup="counts"} 200000
tidemark_rollup_untidy_rows{rollup="ids"} 1.5e+06
tidemark_rollup_missing_buckets 3
tidemark_rollup_missing_declarations 2
`
	got, err := readBacklog(strings.NewReader(metrics))
	if want := (backlog{Rows: 1_700_000, Days: 3, Declarations: 2}); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	for _, bad := range []string{"", "tidemark_rollup_missing_buckets 3\n", strings.ReplaceAll(metrics, " 3\n", " x\n")} {
		if _, err := readBacklog(strings.NewReader(bad)); err == nil {
			t.Errorf("no error about %q", bad)
		}
	}
}

// A service is at rest when it says so and has had time to look; else it is given up after a while.
func TestRestIsWaitedFor(t *testing.T) {
	none := backlog{Rows: fewRows}
	for name, c := range map[string]struct {
		after         time.Duration
		left          backlog
		over, reached bool
	}{
		"not looked yet":   {lookEvery - 1, none, false, false},
		"at rest":          {lookEvery, none, true, true},
		"rows":             {time.Minute - 1, backlog{Rows: fewRows + 1}, false, false},
		"days":             {time.Minute - 1, backlog{Days: 1}, false, false},
		"declarations":     {time.Minute - 1, backlog{Declarations: 1}, false, false},
		"given up":         {time.Minute, backlog{Days: 1}, true, false},
		"at last, in time": {time.Minute, none, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			var r resting
			if over := r.over(c.after, time.Minute, c.left); over != c.over || r.Reached != c.reached || r.Left != c.left {
				t.Errorf("over %v, %+v", over, r)
			}
			if c.over && strings.Contains(r.String(), "not within") == c.reached {
				t.Errorf("it says %q", r)
			}
		})
	}
}
