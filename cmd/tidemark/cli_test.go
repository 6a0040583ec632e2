package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var quiet = streams{out: io.Discard, err: io.Discard}

// TestWhatIsWrongIsSaidInOneLine has commands that cannot do what they are told, and leave nothing behind.
func TestWhatIsWrongIsSaidInOneLine(t *testing.T) {
	empty := t.TempDir()
	none := filepath.Join(t.TempDir(), "none")
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"an export of nothing", []string{"export"}, "there is no data directory " + none},
		{"an import from nothing", []string{"import", "--from", none + "/x"}, "there is no data directory " + none},
		{"an import from an empty directory", []string{"import", "--from", empty}, "no service has its events in " + empty},
		{"maintenance of nothing", []string{"maintenance"}, "there is no data directory " + none},
		{"keys of nothing", []string{"keys", "list"}, "there is no data directory " + none},
		{"a key of nothing", []string{"keys", "revoke", "a"}, "there is no data directory " + none},
		{"a look at the migrations of nothing", []string{"migrate", "--dry-run"}, "there is no data directory " + none},
		{"a condition without an operator", []string{"export", "--where", `[{"field": "event_name"}]`}, "--where/0/op "},
		{"a condition on no field", []string{"export", "--where", `[{"field": "nobody", "op": "exists"}]`}, "--where/0/field "},
		{"a type that is none", []string{"export", "--event_type", "pageview"}, "--event_type must be one of [page_view "},
		{"a severity that is none", []string{"export", "--severity", "hgih"}, "--severity must be one of [low "},
		{"an end before the start", []string{"export", "--start_date", "2026-02-01", "--end_date", "2026-01-01"}, "--end_date must be after --start_date"},
		{"a day that is none", []string{"export", "--end_date", "yesterday"}, "--end_date must be a time"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := run(t.Context(), append(tt.args, "--data.dir", none), quiet)
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want one line with %q", err, tt.want)
			}
			if _, err := os.Stat(none); err == nil {
				t.Error("the directory was made")
			}
		})
	}
}

// TestAStoppedCommandSaysWhatItLeft has each begin when the signal has come.
func TestAStoppedCommandSaysWhatItLeft(t *testing.T) {
	dir := t.TempDir()
	events, data := filepath.Join(dir, "events.ndjson"), filepath.Join(dir, "data")
	if err := os.WriteFile(events, []byte(`{"event": "signup"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := run(t.Context(), []string{"import", events, "--data.dir", data}, quiet); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	for want, args := range map[string][]string{
		"--output":                          {"export"},
		"events.csv is not written yet":     {"export", "--output", filepath.Join(dir, "events.csv")},
		"nothing is taken in twice":         {"import", events},
		"what was deleted stays deleted":    {"maintenance"},
		"migrations that were applied stay": {"migrate"},
		"before the service was ready":      {"serve", "--web.listen-address", "127.0.0.1:0"},
	} {
		err := run(ctx, append(args, "--data.dir", data), quiet)
		if err == nil || !strings.HasPrefix(err.Error(), "stopped: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", args, err, want)
		}
	}
}

func TestTheVersionIsPrintedHoweverOneAsks(t *testing.T) {
	for _, ask := range []string{"version", "--version"} {
		var out strings.Builder
		if err := run(t.Context(), []string{ask}, streams{out: &out, err: io.Discard}); err != nil || !strings.HasPrefix(out.String(), "tidemark ") {
			t.Errorf("%s: %q, %v", ask, out.String(), err)
		}
	}
}
