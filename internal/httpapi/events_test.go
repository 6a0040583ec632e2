package httpapi

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/store"
)

func TestReadsRefuseBadParameters(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct{ path, location string }{
		{"/events?limit=0", "limit"},
		{"/events?limit=1001", "limit"},
		{"/events?limit=ten", "limit"},
		{"/events?limit=99999999999999999999", "limit"},
		{"/events?event_type=none", "event_type"},
		{"/events?severity=HIGH", "severity"},
		{"/events?processed=maybe", "processed"},
		{"/events?start_date=2026-13-01", "start_date"},
		{"/events?end_date=1", "end_date"},
		{"/events?start_date=2026-01-02&end_date=2026-01-01", "end_date"},
		{"/events?start_date=2026-01-01&end_date=2026-01-01", "end_date"},
		{"/events?user_id=%00", "user_id"},
		{"/events?user_id=%ff", "user_id"},
		{"/events?event_name=%C3%28", "event_name"},
		{"/events?session_id=a%00b", "session_id"},
		{"/events?tags=%ff", "tags"},
		{"/events?tags=" + strings.Repeat("a,", 21), "tags"},
		{"/events?cursor=!", "cursor"},
		{"/events?cursor=AAAA", "cursor"},
		{"/events?cursor=" + strings.Repeat("A", 2000), "cursor"},
		{"/events/stats?start_date=x", "start_date"},
		{"/events/stats?start_date=2999-01-01", "start_date"},
		{"/events/stats?end_date=2026-01-01T00:00", "end_date"},
		{"/events/timeseries?interval=year", "interval"},
		{"/events/timeseries?interval=minute", "interval"},
		{"/events/timeseries?metric=p0:x", "metric"},
		{"/events/timeseries?metric=sum", "metric"},
		{"/events/timeseries?tz=Mars/Base", "tz"},
		{"/events/timeseries?tz=../../etc/passwd", "tz"},
		{"/events/timeseries?group_by=nothing", "group_by"},
		{"/events/timeseries?group_by=timestamp", "group_by"},
		{"/events/timeseries?group_by=properties.x&interval=hour&limit=100", "limit"},
		{"/events/timeseries?where=%7B", "where"},
		{"/events/timeseries?start_date=2001-01-01", "start_date"},
		{"/events/breakdown", "by"},
		{"/events/breakdown?by=event_name&limit=101", "limit"},
		{"/events/breakdown?by=event_name&where=%5B%7B%22field%22%3A%22x%22%7D%5D", "where/0/field"},
		{"/query", "sql"},
		{"/query?sql=%ff", "sql"},
		{"/query?sql=SELECT+1&limit=10001", "limit"},
		{"/events/sessions?gap=0", "gap"},
		{"/events/sessions?gap=25h", "gap"},
		{"/events/recent?limit=0", "limit"},
		{"/events/recent?limit=101", "limit"},
		{"/events/recent?limit=1.5", "limit"},
		{"/events/%ff", "event_id"},
		{"/events/a%00", "event_id"},
		{"/events/" + strings.Repeat("x", 101), "event_id"},
		{"/receipts/%ff", "event_id"},
		{"/receipts/" + strings.Repeat("x", 101), "event_id"},
	} {
		p := w.get(t, "/api/analytics"+c.path).problem(422)
		if len(p.Errors) == 0 || p.Errors[0].Location != c.location {
			t.Errorf("%s: errors %+v, want one at %s", c.path, p.Errors, c.location)
		}
	}
}

func TestChangesRefuseBadBodies(t *testing.T) {
	w := newWorld(t)
	ids := `"` + strings.Repeat(`a","`, 1000) + `b"`
	for _, c := range []struct{ method, path, body, location string }{
		{"PATCH", "/events/e", `{}`, ""},
		{"PATCH", "/events/e", `{"processed":null}`, ""},
		{"PATCH", "/events/e", `{"event_name":"x"}`, "/event_name"},
		{"PATCH", "/events/e", `{"processed":"yes"}`, "/processed"},
		{"PATCH", "/events/e", `{"processed":true,"processed":false}`, "/processed"},
		{"PATCH", "/events/e", `{"severity":"huge"}`, "/severity"},
		{"PATCH", "/events/e", `{"tags":"x"}`, "/tags"},
		{"PATCH", "/events/e", `{"tags":[""]}`, "/tags/0"},
		{"PATCH", "/events/e", `{"tags":["a","` + strings.Repeat("é", 51) + `"]}`, "/tags/1"},
		{"PATCH", "/events/e", `{"tags":[` + strings.Repeat(`"a",`, 20) + `"a"]}`, "/tags"},
		{"PATCH", "/events/e", `{"metadata":[]}`, "/metadata"},
		{"PATCH", "/events/e", `{"metadata":{"a":{"b":"` + strings.Repeat("y", 1001) + `"}}}`, "/metadata/a/b"},
		{"PATCH", "/events/%ff", `{"processed":true}`, "event_id"},
		{"POST", "/events/processed", `{}`, "/event_ids"},
		{"POST", "/events/processed", `{"event_ids":[]}`, "/event_ids"},
		{"POST", "/events/processed", `{"event_ids":["a",""]}`, "/event_ids/1"},
		{"POST", "/events/processed", `{"event_ids":["a\u0000"]}`, "/event_ids/0"},
		{"POST", "/events/processed", `{"event_ids":[7]}`, "/event_ids/0"},
		{"POST", "/events/processed", `{"event_ids":[` + ids + `]}`, "/event_ids"},
		{"POST", "/events/funnel", `{}`, "/steps"},
		{"POST", "/events/funnel", `{"steps":[{}]}`, "/steps/0"},
		{"POST", "/events/funnel", `{"steps":[{"event_name":"a","where":[{"field":"x","op":"=","value":1}]}]}`, "/steps/0/where/0/field"},
		{"POST", "/events/funnel", `{"steps":[{"event_name":"a\u0000"}]}`, "/steps/0/event_name"},
		{"POST", "/events/funnel", `{"steps":[{"event_name":"a"}],"window":"soon"}`, "/window"},
		{"POST", "/events/funnel", `{"steps":[{"event_name":"a"}],"by":"nobody"}`, "/by"},
		{"POST", "/events/funnel", `{"steps":[{"event_name":"a"}],"breakdown":"x"}`, "/breakdown"},
		{"POST", "/events/funnel", `{"steps":[{"event_name":"a"}],"start_date":"x"}`, "/start_date"},
		{"POST", "/events/funnel", `{"steps":[{"event_name":"a"}],"limit":-1}`, "/limit"},
		{"POST", "/events/funnel", `{"steps":[{"event_name":"a"}],"more":1}`, "/more"},
		{"POST", "/events/funnel", `{"steps":[` + strings.Repeat(`{"event_name":"a"},`, 10) + `{"event_name":"a"}]}`, "/steps"},
		{"POST", "/events/retention", `{"period":"hour"}`, "/period"},
		{"POST", "/events/retention", `{"periods":61}`, "/periods"},
		{"POST", "/events/retention", `{"first":{"event_name":7}}`, "/first/event_name"},
		{"POST", "/events/retention", `{"returning":{"where":[{"field":"user_id","op":"=","value":7}]}}`, "/returning/where/0/value"},
		{"POST", "/events/paths", `{}`, "/anchor"},
		{"POST", "/events/paths", `{"anchor":"a","depth":6}`, "/depth"},
		{"POST", "/events/paths", `{"anchor":"a","direction":"up"}`, "/direction"},
		{"POST", "/keys", `{"name":"a","scopes":["ingest"],"key":"x"}`, "/key"},
	} {
		p := w.do(t, c.method, "/api/analytics"+c.path, c.body).problem(422)
		if len(p.Errors) == 0 || p.Errors[0].Location != c.location {
			t.Errorf("%s %s %.60s: errors %+v, want one at %q", c.method, c.path, c.body, p.Errors, c.location)
		}
	}
	for _, body := range []string{``, `{`, `{"processed":tru}`, `"`, "\xff", `{"tags":["\ud800"]}`} {
		w.do(t, http.MethodPatch, "/api/analytics/events/e", body, "Content-Type", "application/json").problem(422)
		w.do(t, http.MethodPost, "/api/analytics/events/processed", body, "Content-Type", "application/json").problem(422)
		w.do(t, http.MethodPost, "/api/analytics/keys", body, "Content-Type", "application/json").problem(422)
	}
}

// TestABreakdownOfNobodyIsAList: who asked for groups need not look whether there are any.
func TestABreakdownOfNobodyIsAList(t *testing.T) {
	w := newWorld(t)
	for body, want := range map[string]bool{
		`{"steps":[{"event_name":"never"}],"breakdown":"properties.plan"}`: true, `{"steps":[{"event_name":"never"}]}`: false,
	} {
		if got := w.post(t, "/api/analytics/events/funnel", body).want(200).body; strings.Contains(got, `"groups":[]`) != want || strings.Contains(got, `"groups"`) != want {
			t.Errorf("%s answered %s", body, got)
		}
	}
}

func TestConfigRefusesWith400(t *testing.T) {
	w := newWorld(t)
	stats := w.get(t, "/api/analytics/stats").want(200).json()
	before := stats["config"]
	if got := stats["storage"].(map[string]any)["property_columns"]; fmt.Sprint(got) != "[properties.plan]" {
		t.Errorf("properties with columns: %v", got)
	}
	for body, location := range map[string]string{
		`{"bufer_size":1}`:                            "/bufer_size",
		`{"buffer_size":0}`:                           "/buffer_size",
		`{"enabled":"yes"}`:                           "/enabled",
		`{"sample_rates":{"custom":0}}`:               "/sample_rates/custom",
		`{"sample_rates":{"none":1}}`:                 "/sample_rates/none",
		`{"debug_mode":true,"thresholds":{"slow":1}}`: "/thresholds/slow",
	} {
		p := w.post(t, "/api/analytics/config", body).problem(400)
		if len(p.Errors) != 1 || p.Errors[0].Location != location {
			t.Errorf("%s: errors %+v", body, p.Errors)
		}
	}
	for _, body := range []string{``, `[]`, `{`, `nonsense`} {
		w.do(t, http.MethodPost, "/api/analytics/config", body, "Content-Type", "application/json").problem(400)
	}
	w.post(t, "/api/analytics/config", `{"a":"`+strings.Repeat("x", 2<<20)+`"}`).problem(413)
	after := w.get(t, "/api/analytics/stats").want(200).json()["config"]
	if a, b := after.(map[string]any), before.(map[string]any); a["debug_mode"] != b["debug_mode"] || a["buffer_size"] != b["buffer_size"] {
		t.Errorf("settings changed from %v to %v", before, after)
	}
}

func TestCursorKeepsItsPlace(t *testing.T) {
	for _, e := range []event.Event{
		{ID: "a", Timestamp: time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.UTC)},
		{ID: strings.Repeat("é", 100), Timestamp: time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC)},
		{ID: "\u2028\"/", Timestamp: time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC)},
	} {
		var p params
		page := p.cursor("cursor", cursorAfter(&e), 7)
		if err := p.err(); err != nil || page.EventID != e.ID || !page.Timestamp.Equal(e.Timestamp) || page.Limit != 7 {
			t.Errorf("%q at %v came back as %+v, %v", e.ID, e.Timestamp, page, err)
		}
	}
}

func FuzzCursor(f *testing.F) {
	f.Add(cursorAfter(&event.Event{ID: "a", Timestamp: time.Unix(1, 0)}))
	f.Add("AQ")
	f.Add("AQA0000000\r00BA")
	f.Fuzz(func(t *testing.T, text string) {
		var p params
		page := p.cursor("cursor", text, 1)
		if p.err() != nil || text == "" {
			return
		}
		if again := cursorAfter(&event.Event{ID: page.EventID, Timestamp: page.Timestamp}); again != text {
			t.Errorf("%q reads like %q", text, again)
		}
	})
}

// TestStatsSayHowFarTheyAreOff asks for statistics of which some come from sketches.
func TestStatsSayHowFarTheyAreOff(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		stats               store.Stats
		exact               bool
		bound, topUsersUpTo float64
	}{
		{store.Stats{UniqueUsers: 3}, true, 0, 0},
		{store.Stats{UniqueUsers: 30_000, UsersBound: 0.015}, false, 0.015, 0},
		{store.Stats{UniqueUsers: 30_000, UsersBound: 0.02, TopUsersMore: 7}, false, 0.02, 7},
		{store.Stats{TopUsersMore: 7}, false, 0, 7},
	} {
		w.stats = c.stats
		st := w.get(t, "/api/analytics/events/stats").want(200).json()
		if st["exact"] != c.exact || st["error_bound"] != c.bound || st["top_users_error"] != c.topUsersUpTo || st["metric"] != "count" {
			t.Errorf("%+v is answered with %v", c.stats, st)
		}
	}
}
