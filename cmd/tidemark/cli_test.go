package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestWhatIsWrongIsSaidInOneLine has commands that cannot do what they are told, and leave nothing behind.
func TestWhatIsWrongIsSaidInOneLine(t *testing.T) {
	none := filepath.Join(t.TempDir(), "none")
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"an export of nothing", []string{"export"}, "there is no data directory " + none},
		{"maintenance of nothing", []string{"maintenance"}, "there is no data directory " + none},
		{"keys of nothing", []string{"keys", "list"}, "there is no data directory " + none},
		{"a key of nothing", []string{"keys", "revoke", "a"}, "there is no data directory " + none},
		{"a condition without an operator", []string{"export", "--where", `[{"field": "event_name"}]`}, "--where/0/op "},
		{"a condition on no field", []string{"export", "--where", `[{"field": "nobody", "op": "exists"}]`}, "--where/0/field "},
		{"a day that is none", []string{"export", "--end_date", "yesterday"}, "--end_date must be a time"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := run(t.Context(), append(tt.args, "--data.dir", none), io.Discard, io.Discard)
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want one line with %q", err, tt.want)
			}
			if _, err := os.Stat(none); err == nil {
				t.Error("the directory was made")
			}
		})
	}
}
