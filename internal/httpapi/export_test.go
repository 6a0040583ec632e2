package httpapi

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/transfer"
)

// importLine is an event of another service.
func importLine(i int) string {
	return fmt.Sprintf(`{"event_id":"e%d","event_name":"n","timestamp":"2024-01-01T00:00:%02d.000001Z","received_at":"2024-01-01T00:01:00.000002Z",`+
		`"user_id":"u%d","severity":"high","tags":["a,b"],"sample_rate":0.5,"processed":true,"processed_at":"2024-01-02T00:00:00.000003Z"}`, i, i, i%2) + "\n"
}

const ndjson = "application/x-ndjson"

// TestExportAndImport takes events in as another service had them, and gives them back the same in
// every format.
func TestExportAndImport(t *testing.T) {
	w := newRealWorld(t)
	body := ""
	for i := range 10 {
		body += importLine(i)
	}
	for range 2 { // the second time they are duplicates
		got := w.post(t, "/api/analytics/events/import", body+"broken\n", "Content-Type", ndjson).want(200).json()
		if got["received"] != 11.0 || got["accepted"] != 10.0 || got["rejected"] != 1.0 {
			t.Errorf("import answered %v", got)
		}
		if bad := got["errors"].([]any)[0].(map[string]any); bad["row"] != 11.0 {
			t.Errorf("the bad row is %v", bad)
		}
	}
	w.post(t, "/api/analytics/flush", "").want(200)
	if l := w.ledgerOf(t); l.Stored != 10 || l.Duplicate != 10 || l.Rejected != 2 {
		t.Errorf("ledger %+v", l)
	}
	lines := w.get(t, "/api/analytics/events/export").want(200)
	if got := lines.header.Get("Content-Type"); got != ndjson {
		t.Errorf("type %q", got)
	}
	var want strings.Builder
	for i := range 10 {
		want.WriteString(strings.Replace(importLine(i), `"user_id"`, `"event_type":"custom","user_id"`, 1))
	}
	if normal(lines.body) != normal(want.String()) {
		t.Errorf("exported\n%swant\n%s", lines.body, want.String())
	}
	if got := w.get(t, "/api/analytics/events/export?user_id=u1").want(200).body; strings.Count(got, "\n") != 5 {
		t.Errorf("of one user:\n%s", got)
	}
	first := event.Event{ID: "e6", Timestamp: time.Date(2024, 1, 1, 0, 0, 6, 1000, time.UTC)}
	if got := w.get(t, "/api/analytics/events/export?cursor="+cursorAfter(&first)).want(200).body; !strings.HasPrefix(got, `{"event_id":"e7"`) || strings.Count(got, "\n") != 3 {
		t.Errorf("after a cursor:\n%s", got)
	}
	if got := w.get(t, "/api/analytics/events/export?format=csv").want(200).body; strings.Count(got, "\n") != 11 || !strings.HasPrefix(got, "event_id,event_name,") {
		t.Errorf("CSV:\n%s", got)
	}
	file := filepath.Join(t.TempDir(), "x")
	must(t, os.WriteFile(file, []byte(w.get(t, "/api/analytics/events/export?format=parquet").want(200).body), 0o600))
	f, err := os.Open(file)
	must(t, err)
	defer f.Close()
	rows, err := transfer.NewReader(transfer.Parquet, f)
	must(t, err)
	defer rows.Close()
	seen := 0
	for row, err := rows.Next(); err != io.EOF; row, err = rows.Next() { //nolint:errorlint // as io.Reader
		must(t, err)
		var e event.Event
		_, err := w.deps.Decoder.DecodeMoved(row.JSON, &e)
		must(t, err)
		if e.ReceivedAt.Nanosecond() != 2000 || e.ProcessedAt.Nanosecond() != 3000 || e.SampleRate != 0.5 || e.Tags[0] != "a,b" {
			t.Errorf("from Parquet %+v", e)
		}
		seen++
	}
	if seen != 10 {
		t.Errorf("%d events in Parquet", seen)
	}
}

// normal makes lines equal that differ only in the place of the type.
func normal(lines string) string { return strings.ReplaceAll(lines, `"event_type":"custom",`, "") }

func TestImportRefuses(t *testing.T) {
	w := newWorld(t)
	for name, c := range map[string]struct {
		body, kind string
		status     int
	}{
		"another type":  {importLine(1), "application/json", 415},
		"nothing":       {"\n\n", ndjson, 400},
		"too many":      {strings.Repeat("{}\n", importRows+1), ndjson, 400},
		"too large":     {strings.Repeat(importLine(1), 6_000), ndjson, 413},
		"all are wrong": {"{}\n", ndjson, 200},
	} {
		if got := w.post(t, "/api/analytics/events/import", c.body, "Content-Type", c.kind); got.status != c.status {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
	if w.ledger.Received != 5 || w.ledger.Rejected != 5 {
		t.Errorf("ledger %+v", w.ledger)
	}
}

// TestExportFailsBeforeItBegins: an error of the store is a problem document, not a cut file.
func TestExportFailsBeforeItBegins(t *testing.T) {
	w := newWorld(t)
	w.storeErr = io.ErrUnexpectedEOF
	w.get(t, "/api/analytics/events/export?format=csv").want(500)
	w.get(t, "/api/analytics/events/export?format=xml").want(422)
	w.get(t, "/api/analytics/events/export?cursor=x").want(422)
	w.get(t, "/api/analytics/events/export?user_id=%00").want(422)
}

// TestClientThatStopsReadingIsCutOff asks for more than sockets hold, and takes nothing.
func TestClientThatStopsReadingIsCutOff(t *testing.T) {
	w := newWorld(t, func(d *Deps) {
		d.Limits = DefaultLimits()
		d.Limits.ExportStall = time.Second // long enough for the first answer of a busy machine
	})
	big := bytes.Repeat([]byte("x"), 1<<20)
	for i := range 60 {
		id := fmt.Sprintf("e%02d", i)
		w.events[id] = event.Event{ID: id, Name: "n", Properties: fmt.Appendf(nil, `{"x":"%s"}`, big)}
	}
	conn, err := net.Dial("tcp", strings.TrimPrefix(w.URL, "http://"))
	must(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, "GET /api/analytics/events/export HTTP/1.1\r\nHost: x\r\n\r\n")
	must(t, err)
	answer := bufio.NewReader(conn)
	_, err = answer.ReadString('\n')
	must(t, err)
	deadline := time.Now().Add(2 * time.Minute)
	for len(w.api.exports) > 0 {
		if time.Now().After(deadline) {
			t.Fatal("the export still waits for its client")
		}
		time.Sleep(5 * time.Millisecond)
	}
	w.mu.Lock()
	pages := w.scanned
	w.mu.Unlock()
	if pages >= 20 {
		t.Errorf("all %d pages were read for a client that takes none", pages)
	}
	if rest, err := io.Copy(io.Discard, answer); err == nil && rest > 59<<20 {
		t.Errorf("%d bytes came all the same", rest)
	}
}

// TestExportsAreFew: beyond the bound they are told to come again.
func TestExportsAreFew(t *testing.T) {
	w := newWorld(t)
	for range exports {
		w.api.exports <- struct{}{}
	}
	if got := w.get(t, "/api/analytics/events/export").want(http.StatusServiceUnavailable); got.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	<-w.api.exports
	w.get(t, "/api/analytics/events/export").want(200)
}
