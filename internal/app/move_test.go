package app

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/pgtest"
	"github.com/tidemark-obs/tidemark/internal/question"
	"github.com/tidemark-obs/tidemark/internal/store"
	"github.com/tidemark-obs/tidemark/internal/transfer"
)

// fill sends events of every kind to a running service and works on some of them.
func fill(t *testing.T, a *App, n int) {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	for from := 0; from < n; from += 100 {
		var list []string
		for i := from; i < min(from+100, n); i++ {
			list = append(list, fmt.Sprintf(`{"event":"n%d","event_id":"e%d","user_id":"u%d","severity":"high","timestamp":"2025-01-%02dT10:00:%02d.%06dZ",
				"properties":{"a":%d.50,"s":"ü\n\"q\""},"metadata":{"m":[1,{}]},"tags":["x,y","z"],"source":"a\r\nb","user_agent":"ua","ip_address":"10.1.2.3",
				"referrer":"r","timezone":"Europe/Berlin","session_id":"s","anonymous_id":"an","sample_rate":0.25}`,
				i%7, i, i%50, 1+r.IntN(28), r.IntN(60), r.IntN(1e6), i))
		}
		if status, answer := call(t, a, "POST", "/api/analytics/batch-track", "["+strings.Join(list, ",")+"]"); status != 200 || answer["rejected_count"] != 0.0 {
			t.Fatalf("batch: %d %v", status, answer)
		}
	}
	call(t, a, "POST", "/api/analytics/flush", "")
	call(t, a, "PATCH", "/api/analytics/events/e1", `{"processed": true, "tags": [], "metadata": {"by": "me"}}`)
	call(t, a, "POST", "/api/analytics/events/processed", `{"event_ids": ["e2", "e3"]}`)
	call(t, a, "DELETE", "/api/analytics/events/e4", "")
}

// everything is all that a service's database has.
func everything(t *testing.T, cfg Config) (all []event.Event) {
	t.Helper()
	p, err := openPeer(t.Context(), cfg, io.Discard, false)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := p.close(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	if err := p.settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	for next := p.scan(store.Filter{}, store.Position{}); ; {
		page, err := next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			return all
		}
		all = append(all, page...)
	}
}

func same(t *testing.T, got, want []event.Event) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d events, want %d", len(got), len(want))
	}
	for i := range got {
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Fatalf("event %d\n is %+v\nwas %+v", i, got[i], want[i])
		}
	}
}

// TestAServiceMovesToPostgreSQL moves all of an embedded service's events, in place and to another
// directory, twice, and back, and compares every field.
func TestAServiceMovesToPostgreSQL(t *testing.T) {
	source := testConfig(t.TempDir())
	a := start(t, source, Options{})
	fill(t, a, 2_500)
	stop(t, a)
	want := everything(t, source)
	if len(want) != 2_499 {
		t.Fatalf("%d events to move", len(want))
	}
	move := func(from string, to Config) {
		t.Helper()
		var log bytes.Buffer
		if err := (Import{From: from, Log: &log}).Run(t.Context(), to); err != nil {
			t.Fatalf("%v\n%s", err, log.String())
		}
		if !strings.Contains(log.String(), "imported: 2,499 accepted, 0 rejected") {
			t.Errorf("told: %s", log.String())
		}
	}
	inPlace := source
	inPlace.Database.URL = pgtest.URL(t)
	for range 2 {
		move(source.Data.Dir, inPlace)
		same(t, everything(t, inPlace), want)
	}
	back := testConfig(t.TempDir())
	move(inPlace.Database.URL, back)
	same(t, everything(t, back), want)

	b := start(t, inPlace, Options{}) // the service goes on where the embedded one was
	if status, answer := call(t, b, "GET", "/api/analytics/events/e1", ""); status != 200 || answer["processed"] != true {
		t.Errorf("after the move: %d %v", status, answer)
	}
	call(t, b, "POST", "/api/analytics/track", `{"event": "next"}`)
	call(t, b, "POST", "/api/analytics/flush", "")
	if _, l := call(t, b, "GET", "/api/analytics/ledger", ""); l["accepted"] != 1.0 || l["stored"] != 1.0 || l["lost"] != 0.0 || l["pending"] != 0.0 {
		t.Errorf("ledger %v", l)
	}
}

// TestMovingThroughRunningServices reads from one service and writes to another while both run.
func TestMovingThroughRunningServices(t *testing.T) {
	source, target := testConfig(t.TempDir()), testConfig(t.TempDir())
	a, b := start(t, source, Options{}), start(t, target, Options{})
	fill(t, a, 2_500)
	want := everything(t, source)
	if err := (Import{From: source.Data.Dir, Log: io.Discard}).Run(t.Context(), target); err != nil {
		t.Fatal(err)
	}
	same(t, everything(t, target), want)
	if _, l := call(t, b, "GET", "/api/analytics/ledger", ""); l["stored"] != 2_499.0 || l["lost"] != 0.0 {
		t.Errorf("ledger %v", l)
	}
	link := filepath.Join(t.TempDir(), "link")
	ok(t, os.Symlink(source.Data.Dir, link))
	for _, from := range []string{source.Data.Dir, link} {
		if err := (Import{From: from, Log: io.Discard}).Run(t.Context(), source); err == nil || !strings.Contains(err.Error(), "are the same service") {
			t.Errorf("a service was moved into itself: %v", err)
		}
	}
	elsewhere := source
	elsewhere.Database.URL = "postgres://somewhere/else"
	if err := (Import{Path: "-", In: strings.NewReader("{}"), Log: io.Discard}).Run(t.Context(), elsewhere); err == nil || !strings.Contains(err.Error(), "has its events in that directory") {
		t.Errorf("an import meant for PostgreSQL went to the embedded database: %v", err)
	}
	over := Remote{URL: "http://" + a.Addr().String()}
	var out bytes.Buffer
	if err := (Export{Remote: over, Format: "csv", Out: &out, Log: io.Discard}).Run(t.Context(), Default()); err != nil || !strings.HasPrefix(out.String(), "event_id,event_name,") {
		t.Errorf("over HTTP: %v, %d bytes", err, out.Len())
	}
	var p question.Parser
	some := store.Filter{Where: p.Where("where", []byte(`[{"field":"properties.a","op":">=","value":2400.5},{"field":"event_name","op":"!=","value":"n1"}]`))}
	out.Reset()
	if err := (Export{Filter: some, Remote: over, Out: &out, Log: io.Discard}).Run(t.Context(), Default()); err != nil || strings.Count(out.String(), "\n") != 86 || strings.Contains(out.String(), `"n1"`) {
		t.Errorf("with conditions: %v, %d events", err, strings.Count(out.String(), "\n"))
	}
	out.Reset()
	if err := (Export{Filter: store.Filter{Tags: []string{"z", "x,y"}}, Remote: over, Out: &out, Log: io.Discard}).Run(t.Context(), Default()); err != nil || strings.Count(out.String(), "\n") != 2_498 {
		t.Errorf("of a tag with a comma: %v, %d events", err, strings.Count(out.String(), "\n"))
	}
	many := store.Filter{Tags: strings.Split(strings.Repeat("t", 30), "")}
	if err := (Export{Filter: many, Remote: over, Out: io.Discard, Log: io.Discard}).Run(t.Context(), Default()); err == nil || !strings.Contains(err.Error(), "tags are more than") {
		t.Errorf("what a service refuses is not told: %v", err)
	}
}

// TestMovesAreToldApart: an export goes on in a file only, and an import from a state, that is its own.
func TestMovesAreToldApart(t *testing.T) {
	cfg, seen := testConfig("data"), map[string]bool{}
	note := func(id string, err error) {
		ok(t, err)
		if seen[id] {
			t.Errorf("two moves are %s", id)
		}
		seen[id] = true
	}
	for range 2 {
		t.Chdir(t.TempDir()) // where data is another directory
		for _, f := range transfer.Formats {
			note(Export{}.selects(cfg, f))
		}
		for i := range 2 { // the same file, mended
			ok(t, os.WriteFile("in.csv", []byte("event_name\n"), 0o600))
			ok(t, os.Chtimes("in.csv", time.Unix(int64(i), 0), time.Unix(int64(i), 0)))
			note(Import{Path: "in.csv"}.identity(cfg), nil)
		}
	}
}

// TestFilesGoOutAndIn exports to each format, with the service running and stopped, and imports the
// files into a service of their own.
func TestFilesGoOutAndIn(t *testing.T) {
	cfg := testConfig(t.TempDir())
	a := start(t, cfg, Options{})
	fill(t, a, 1_200)
	want := everything(t, cfg)
	dir := t.TempDir()
	formats := []string{"ndjson", "csv", "parquet"}
	if testing.Short() {
		formats = formats[2:]
	}
	for _, running := range []bool{true, false} {
		if !running {
			stop(t, a)
		}
		for _, format := range formats {
			path := filepath.Join(dir, fmt.Sprintf("%t.%s", running, format))
			if err := (Export{Path: path, Log: io.Discard}).Run(t.Context(), cfg); err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			into := testConfig(t.TempDir())
			if err := (Import{Path: path, State: path + ".state", Log: io.Discard}).Run(t.Context(), into); err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			same(t, everything(t, into), want)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2*len(formats) {
		t.Errorf("left behind: %v, %v", entries, err)
	}
	left, err := filepath.Glob(filepath.Join(cfg.Data.Dir, "tidemark.duckdb.tmp", "export-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left in the data directory: %v, %v", left, err)
	}
}

// TestBadRowsAreToldOf imports a file of which most is wrong.
func TestBadRowsAreToldOf(t *testing.T) {
	cfg := testConfig(t.TempDir())
	text := strings.Repeat("{\"event\":\"secret\"\n", 150) + `{"event":"fine"}` + "\n"
	for _, strict := range []bool{false, true} {
		var log bytes.Buffer
		err := (Import{Path: "-", In: strings.NewReader(text), Strict: strict, Log: &log}).Run(t.Context(), cfg)
		if (err != nil) != strict {
			t.Errorf("strict %t: %v", strict, err)
		}
		told := log.String()
		if strings.Count(told, "row ") != mostReports || !strings.Contains(told, "row 100: the event is not valid JSON") ||
			!strings.Contains(told, "and 50 rows more were rejected") || !strings.Contains(told, "1 accepted, 150 rejected") || strings.Contains(told, "secret") {
			t.Errorf("told:\n%s", told)
		}
	}
	if n := len(everything(t, cfg)); n != 1 {
		t.Errorf("%d events", n)
	}
}

// TestOnlyTheServiceSpeaksOfRetention: who exports wants no warning of what a service would do.
func TestOnlyTheServiceSpeaksOfRetention(t *testing.T) {
	cfg := testConfig(t.TempDir())
	var served, exported bytes.Buffer
	stop(t, start(t, cfg, Options{Log: &served}))
	if err := (Export{Path: filepath.Join(t.TempDir(), "all.ndjson"), Log: &exported}).Run(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	const warning = "retention.events"
	if !strings.Contains(served.String(), warning) || strings.Contains(exported.String(), warning) {
		t.Errorf("the service said:\n%sthe export said:\n%s", served.String(), exported.String())
	}
}

// TestAnExportThatFailsSaysNothingElse: a file that could not be written was not exported.
func TestAnExportThatFailsSaysNothingElse(t *testing.T) {
	cfg := testConfig(t.TempDir())
	stop(t, start(t, cfg, Options{}))
	for _, format := range []string{"ndjson", "csv", "parquet"} {
		var log bytes.Buffer
		err := Export{Path: filepath.Join(t.TempDir(), "missing", "x."+format), Log: &log}.Run(t.Context(), cfg)
		if err == nil || strings.Contains(log.String(), "exported") {
			t.Errorf("%s: %v, told: %s", format, err, log.String())
		}
	}
}
