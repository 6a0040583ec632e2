package store

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/pgtest"
)

// A page of what was received in a minute is found without reading a day of events.
func TestReceivedHasAnIndexOnPostgres(t *testing.T) {
	s, err := Open(t.Context(), Config{URL: pgtest.URL(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Migrate(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	const perDay = 40_000
	_, err = s.p.admin.Exec(`
INSERT INTO events (ts, received_at, sample_rate, processed, event_id, event_name, event_type, severity, properties)
SELECT at, at, 1, false, i::text, 'n', 'custom', 'low', json_build_object('text', repeat('x', 300))
FROM (SELECT i, $1::timestamptz + i * interval '1 day' / $2::int AS at FROM generate_series(0, $2::int - 1) i) e`, start, perDay)
	if err != nil {
		t.Fatal(err)
	}
	Vacuum(t, s)
	noon := start.Add(12 * time.Hour)
	var plan []string
	if err := s.p.admin.Select(&plan, "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF)"+selectReceived, noon, noon.Add(time.Minute), "", 10); err != nil {
		t.Fatal(err)
	}
	if text := strings.Join(plan, "\n"); !strings.Contains(text, "Bitmap Index Scan on events_received") || !strings.Contains(text, "Heap Blocks: lossy=") {
		t.Errorf("the plan is\n%s", text)
	} else {
		t.Log(text)
	}
	page, err := s.Received(t.Context(), noon, noon.Add(time.Minute), "", 10)
	if err != nil || len(page) != 10 || page[0].ID != fmt.Sprint(perDay/2) || !page[0].ReceivedAt.Equal(noon) {
		t.Errorf("%d events, the first %+v, %v", len(page), page, err)
	}
}
