//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// goodPast are figures of both sizes that reach every target, each of them exactly.
func goodPast(database string) (few, all *past) {
	ms := time.Millisecond
	few = &past{Database: database, Events: 1, Dashboard: quantiles{N: 1, P99: 20 * ms},
		Load: throughput{Events: 1, StoredPerSecond: 1000}, Import: moved{PerSecond: 800}}
	question := func(kind, name string, took, sql time.Duration) *asked {
		return &asked{Kind: kind, Name: name, Took: quantiles{N: 1, P50: took}, SQL: sql}
	}
	all = &past{Database: database, Events: 10, Dashboard: quantiles{N: 1, P99: 30 * ms}, Asked: []*asked{
		question(dashboard, "stats", 10*ms, 500*ms), question(adHoc, "by path", 500*ms, 0),
		question(journey, "funnel", 2*time.Second, 0), question(journey, sessionsName, time.Hour, 0),
	}}
	if database == duckDB {
		all.Dashboard.P99 = 100 * ms
	}
	all.Lists = []*asked{question(listing, "all", 30*ms, 0)}
	all.Export, all.Bytes, all.Memory.Peak = moved{PerSecond: 1_000_000}, 110, 600e6
	all.Undisturbed, all.Disturbed = throughput{Events: 1, StoredPerSecond: 1000}, throughput{Events: 1, StoredPerSecond: 800}
	all.Meanwhile.Took = quantiles{N: 1, P99: 3 * all.Dashboard.P99}
	return few, all
}

func TestEachTargetOfQuestionsIsMissedAlone(t *testing.T) {
	for name, c := range map[string]struct {
		database string
		change   func(few, all *past)
		missed   string
	}{
		"none":          {duckDB, func(_, _ *past) {}, ""},
		"none here too": {postgreSQL, func(_, _ *past) {}, ""},
		"not measured":  {duckDB, func(few, all *past) { *few, *all = past{Database: duckDB}, past{Database: duckDB} }, ""},
		"dashboard":     {duckDB, func(_, all *past) { all.Dashboard.P99++ }, "dashboard, p99"},
		"dashboard there": {postgreSQL, func(few, all *past) {
			few.Dashboard.P99, all.Dashboard.P99 = all.Dashboard.P99, all.Dashboard.P99+1
		}, "dashboard, p99"},
		"grows":      {postgreSQL, func(few, _ *past) { few.Dashboard.P99-- }, "dashboard, p99 with 10 events / with 1"},
		"SQL":        {postgreSQL, func(_, all *past) { all.Asked[0].SQL-- }, "raw SQL / question, least: stats"},
		"ad hoc":     {duckDB, func(_, all *past) { all.Asked[1].Took.P50++ }, "ad hoc, slowest median: by path"},
		"journey":    {duckDB, func(_, all *past) { all.Asked[2].Took.P50++ }, "funnel, median"},
		"list":       {postgreSQL, func(_, all *past) { all.Lists[0].Took.P50++ }, "a page of a list, slowest median: all"},
		"export":     {duckDB, func(_, all *past) { all.Export.PerSecond-- }, "export as Parquet"},
		"import":     {postgreSQL, func(few, _ *past) { few.Import.PerSecond-- }, "import / the same over HTTP"},
		"bytes":      {duckDB, func(_, all *past) { all.Bytes++ }, "bytes an event"},
		"stored":     {duckDB, func(_, all *past) { all.Disturbed.StoredPerSecond-- }, "stored beside questions"},
		"meanwhile":  {duckDB, func(_, all *past) { all.Meanwhile.Took.P99++ }, "questions beside full load"},
		"refused":    {duckDB, func(_, all *past) { all.Disturbed.Refused = map[int]int{503: 1} }, "refused"},
		"unanswered": {duckDB, func(_, all *past) { all.Asked[3].Failed = 1 }, "questions not answered"},
		"no list":    {duckDB, func(_, all *past) { all.Lists[0].Failed = 1 }, "questions not answered"},
		"memory":     {duckDB, func(_, all *past) { all.Memory.Peak++ }, "memory, peak"},
	} {
		t.Run(name, func(t *testing.T) {
			few, all := goodPast(c.database)
			c.change(few, all)
			wantMissed(t, judgePast([]*past{few, all}), c.missed)
		})
	}
}

func TestQuestionsCountTheSameHoweverOftenAsked(t *testing.T) {
	fast, slow := &asked{}, &asked{took: []time.Duration{time.Minute}}
	for range 1000 {
		fast.took = append(fast.took, time.Second)
	}
	q := evenly([]*asked{slow, fast, {}})
	if q.N != 1001 || q.P50 != time.Second || q.P99 != time.Minute || q.Max != time.Minute {
		t.Errorf("got %+v", q)
	}
	if (evenly(nil) != quantiles{}) {
		t.Error("quantiles of nothing")
	}
}

// The page of a dashboard: every question has its range in it, and in SQL the same range.
func TestQuestionsAreWellFormed(t *testing.T) {
	a := &asking{running: &running{bench: &bench{}, service: &service{addr: "127.0.0.1:1"}}, past: &past{}}
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	all := append(a.ofDashboard(7, "hour"), a.others()...)
	seen := map[string]bool{}
	for _, q := range all {
		r, err := q.request(now)
		if err != nil {
			t.Fatal(err)
		}
		values, err := url.ParseQuery(r.URL.RawQuery)
		if err != nil {
			t.Fatal(err)
		}
		start := values.Get("start_date")
		if r.Method == http.MethodPost {
			var body struct {
				Start string `json:"start_date"`
			}
			if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
				t.Fatal(err)
			}
			start = body.Start
		}
		if want := startOf(now, q.Days); start != want {
			t.Errorf("%s begins at %q, want %q", q.Name, start, want)
		}
		if seen[q.Name] {
			t.Errorf("%s is there twice", q.Name)
		}
		seen[q.Name] = true
		if inSQL := strings.Contains(q.sql, "ts >= $1 AND ts < $2"); inSQL != (q.Kind == dashboard) {
			t.Errorf("%s as SQL: %s", q.Name, q.sql)
		}
	}
}

// What is not answered is told, and is no measurement.
func TestAskingCountsWhatIsNotAnswered(t *testing.T) {
	var n atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if n.Add(1)%2 == 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(w, "too busy")
		}
	}))
	defer s.Close()
	a := &asking{running: &running{bench: &bench{}, service: &service{client: s.Client(), addr: strings.TrimPrefix(s.URL, "http://")}}, past: &past{}}
	q := &asked{Name: "x", request: a.get("/stats", 1)}
	if err := a.rounds(t.Context(), []*asked{q}, 10, time.Minute); err != nil {
		t.Fatal(err)
	}
	if q.Took.N != 5 || q.Failed != 5 || !strings.Contains(q.Why, "too busy") || !strings.Contains(q.cell(), "5 × 503") {
		t.Errorf("%+v, %s", q, q.cell())
	}
	late := &asked{Name: "late"}
	if err := a.rounds(t.Context(), []*asked{late}, 10, -1); err != nil || late.Failed != 1 || !strings.Contains(late.Why, "not asked") {
		t.Errorf("without time: %v, %+v", err, late)
	}
	s.Close()
	before := q.Took.N
	q.took = append(q.took, time.Second)
	if err := a.rounds(t.Context(), []*asked{q}, 1, time.Minute); err == nil {
		t.Error("no error without a server")
	}
	if q.Took.N != before+1 {
		t.Errorf("an error costs what was measured before: %+v", q.Took)
	}
}

// A question nobody waits for is not answered; the others go on.
func TestAskingOutlivesWhatTakesTooLong(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer s.Close()
	client := &http.Client{Transport: patient{s.Client().Transport}}
	a := &asking{running: &running{bench: &bench{}, service: &service{client: client, addr: strings.TrimPrefix(s.URL, "http://")}}, past: &past{}}
	slow, fast := &asked{Name: "slow", request: a.get("/slow", 1)}, &asked{Name: "fast", request: a.get("/fast", 1)}
	if err := a.rounds(t.Context(), []*asked{slow, fast}, 3, time.Minute); err != nil {
		t.Fatal(err)
	}
	if slow.Failed != 3 || slow.Took.N != 0 || !strings.Contains(slow.Why, "no answer") || fast.Failed != 0 || fast.Took.N != 3 {
		t.Errorf("slow %+v, fast %+v", slow, fast)
	}
}

func TestSlowQuestionsAreAskedLessOften(t *testing.T) {
	slow, fast := &asked{Name: "slow"}, &asked{Name: "fast"}
	all, spent := []*asked{slow, fast}, map[*asked]time.Duration{slow: 2 * patience, fast: patience}
	if got := due(all, spent, fewest-1); len(got) != 2 {
		t.Error("a slow question is not asked the fewest times")
	}
	if got := due(all, spent, fewest); len(got) != 1 || got[0] != fast {
		t.Error("a slow question is asked on and on")
	}
	spent[slow] = tooLong + 1
	if got := due(all, spent, 1); len(got) != 1 || got[0] != fast {
		t.Error("a question that takes too long is asked again")
	}
	if len(all) != 2 || all[0] != slow {
		t.Error("the questions themselves were changed")
	}
}

func TestPastIsSpreadOverItsDays(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	clock := backThen(now, 1000)
	first := clock()
	var last time.Time
	for range 999 {
		at := clock()
		if !at.After(last) {
			t.Fatal("time goes back")
		}
		last = at
	}
	if got := now.Sub(first); got > daysBack*24*time.Hour || got < (daysBack-1)*24*time.Hour {
		t.Errorf("the first is %v back", got)
	}
	if !last.Equal(now) {
		t.Errorf("the last is at %v, want %v", last, now)
	}
}

func TestReportTellsOfQuestions(t *testing.T) {
	few, all := goodPast(postgreSQL)
	few.Asked, few.Lists = nil, nil // it was not asked so far
	r := &report{Plan: newPlan(5_000_000, 10_000_000, false), Past: []*past{all, few}}
	var text bytes.Buffer
	if err := r.print(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"postgres, 10 events", "dashboard: stats, 0 d", "10.0 / 0.0 (500)", "list: all", "1000000, -", "600 MB"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the table does not say %q:\n%s", want, text.String())
		}
	}
	path := filepath.Join(t.TempDir(), "out.json")
	if err := r.save(path); err != nil {
		t.Fatal(err)
	}
}

// patient waits for an answer from /slow until the time is up.
type patient struct{ http.RoundTripper }

func (p patient) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.HasSuffix(r.URL.Path, "/slow") {
		return nil, os.ErrDeadlineExceeded
	}
	return p.RoundTripper.RoundTrip(r)
}
