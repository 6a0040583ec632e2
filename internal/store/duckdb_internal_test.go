package store

import (
	"strings"
	"testing"
)

// Should a statement ever be smuggled in, it must reach neither files nor extensions.
func TestDuckDBIsShut(t *testing.T) {
	s, err := Open(t.Context(), Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, statement := range []string{
		"SELECT * FROM read_csv('/etc/passwd')",
		"COPY (SELECT 1) TO '/tmp/tidemark-escape.csv'",
		"ATTACH '/tmp/tidemark-escape.duckdb'",
		"INSTALL httpfs",
		"LOAD httpfs",
		"SET enable_external_access = true",
	} {
		if _, err := s.p.read.ExecContext(t.Context(), statement); err == nil {
			t.Errorf("%s: was allowed", statement)
		} else if !strings.Contains(err.Error(), "Permission") && !strings.Contains(err.Error(), "disabled") &&
			!strings.Contains(err.Error(), "Cannot enable") {
			t.Errorf("%s: %v", statement, err)
		}
	}
	var zone string
	if err := s.p.read.Get(&zone, "SELECT current_setting('TimeZone')"); err != nil || zone != "UTC" {
		t.Errorf("time zone %q, %v", zone, err)
	}
}
