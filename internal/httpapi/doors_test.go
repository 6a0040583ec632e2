package httpapi

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event/eventjson"
)

var eventDoors = []string{"/api/analytics/track", "/api/analytics/user/page-view", "/api/analytics/user/interaction", "/api/analytics/events"}

func TestSingleDoorsRefuse(t *testing.T) {
	long := strings.Repeat("x", 101)
	for _, c := range []struct {
		path, body string
		status     int
		location   string
	}{
		{"/track", `{}`, 422, "/event_name"},
		{"/track", `{"event":""}`, 422, "/event"},
		{"/track", `{"event":"` + long + `"}`, 422, "/event"},
		{"/track", `{"event":"x","event_type":"none"}`, 422, "/event_type"},
		{"/track", `{"event":"x","severity":"huge"}`, 422, "/severity"},
		{"/track", `{"event":"x","user_id":7}`, 422, "/user_id"},
		{"/track", `{"event":"x","timestamp":"yesterday"}`, 422, "/timestamp"},
		{"/track", `{"event":"x","tags":["a",1]}`, 422, "/tags/1"},
		{"/track", `{"event":"x","properties":{"a/b":{"c":"` + strings.Repeat("y", 1001) + `"}}}`, 422, "/properties/a~1b/c"},
		{"/track", `{"event":"x","nonsense":true}`, 422, "/nonsense"},
		{"/track", `{"event":"x","sample_rate":2}`, 422, "/sample_rate"},
		{"/track", `[{"event":"x"}]`, 422, ""},
		{"/track", `{"event":"x","properties":{"a":"` + strings.Repeat(`b","c":"`, 4096) + `"}}`, 413, ""},
		{"/user/page-view", `{"user_id":"u"}`, 422, "/path"},
		{"/user/page-view", `{"path":"/","event":"x"}`, 422, "/event"},
		{"/user/page-view", `{"path":7}`, 422, "/path"},
		{"/user/interaction", `{"element":"#a"}`, 422, "/interaction_type"},
		{"/user/interaction", `{"interaction_type":"click","coordinates":3}`, 422, "/coordinates"},
		{"/events", `{"event_name":""}`, 422, "/event_name"},
	} {
		w := newWorld(t)
		p := w.post(t, "/api/analytics"+c.path, c.body).problem(c.status)
		found := c.location == ""
		for _, f := range p.Errors {
			found = found || f.Location == c.location
		}
		if !found {
			t.Errorf("%s %.40s: no error at %s in %v", c.path, c.body, c.location, p.Errors)
		}
		if w.ledger.Received != 1 || w.ledger.Rejected != 1 {
			t.Errorf("%s %.40s: counted %+v", c.path, c.body, w.ledger)
		}
	}
}

// TestNoValueIsEchoed sends a marker in every place and looks for it in the answers.
func TestNoValueIsEchoed(t *testing.T) {
	const marker = "XSECRETX"
	w := newWorld(t)
	for _, c := range []struct{ method, path, body string }{
		{"POST", "/track", `{"event":"x","severity":"` + marker + `"}`},
		{"POST", "/track", `{"event":"x","timestamp":"` + marker + `"}`},
		{"POST", "/track", `{"event":` + marker + `}`},
		{"POST", "/track", marker},
		{"POST", "/batch-track", `[{"event":"x","event_type":"` + marker + `"}]`},
		{"POST", "/config", `{"buffer_size":"` + marker + `"}`},
		{"POST", "/config", marker},
		{"POST", "/keys", `{"name":"` + marker + `","scopes":["` + marker + `"]}`},
		{"PATCH", "/events/e", `{"severity":"` + marker + `"}`},
		{"GET", "/events?limit=" + marker, ""},
		{"GET", "/events?event_type=" + marker, ""},
		{"GET", "/events?start_date=" + marker, ""},
		{"GET", "/events?cursor=" + marker, ""},
		{"GET", "/events?processed=" + marker, ""},
		{"GET", "/events/recent?limit=" + marker, ""},
		{"GET", "/events/" + marker, ""},
		{"GET", "/receipts/" + marker, ""},
		{"GET", "/performance/operation/" + marker, ""},
		{"GET", "/" + marker, ""},
	} {
		a := w.do(t, c.method, "/api/analytics"+c.path, c.body)
		a.problem(a.status)
		if strings.Contains(a.body, marker) {
			t.Errorf("%s %s %s answers %s", c.method, c.path, c.body, a.body)
		}
	}
}

func TestBatchTrack(t *testing.T) {
	many := func(n int) string { return "[" + strings.TrimSuffix(strings.Repeat(`{"event":"x"},`, n), ",") + "]" }
	for _, c := range []struct {
		name, body                  string
		status                      int
		received, rejected, tracked uint64
	}{
		{"one", many(1), 200, 1, 0, 1},
		{"hundred", many(100), 200, 100, 0, 100},
		{"over a hundred", many(101), 400, 1, 1, 0},
		{"empty", `[]`, 400, 1, 1, 0},
		{"no list", `{"event":"x"}`, 422, 1, 1, 0},
		{"broken at the end", `[{"event":"x"},{"event":"y"`, 422, 1, 1, 0},
		{"followed by more", many(2) + `x`, 422, 1, 1, 0},
		{"none valid", `[{"event":""},{"nothing":1},7,null]`, 422, 4, 4, 0},
		{"some valid", `[{"event":""},{"event":"x"},"x"]`, 200, 3, 2, 1},
		{"one too large", `[{"event":"x"},{"event":"y","metadata":{"a":[` + strings.Repeat(`"123456789",`, 3000) + `1]}}]`, 200, 2, 1, 1},
		{"repeated names inside", `[{"event":"x","event":"y"},{"event":"z"}]`, 200, 2, 1, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			a := w.post(t, "/api/analytics/batch-track", c.body)
			if a.status == 200 {
				m := a.want(c.status).json()
				if m["tracked_count"] != float64(c.tracked) || m["rejected_count"] != float64(c.rejected) || len(m["results"].([]any)) != int(c.received) {
					t.Errorf("answer %s", a.body)
				}
			} else {
				a.problem(c.status)
			}
			if l := w.ledger; l.Received != c.received || l.Rejected != c.rejected || l.Accepted != c.tracked {
				t.Errorf("counted %+v", l)
			}
		})
	}
}

func TestBatchNamesWhatIsWrongWhere(t *testing.T) {
	w := newWorld(t)
	p := w.post(t, "/api/analytics/batch-track", `[{"event":""},{"event":"x","severity":"?"}]`).problem(422)
	if len(p.Errors) != 2 || p.Errors[0].Location != "/0/event" || p.Errors[1].Location != "/1/severity" {
		t.Errorf("errors %+v", p.Errors)
	}
	p = w.post(t, "/api/analytics/events/batch", `{"events":[{"event_name":""}]}`).problem(422)
	if len(p.Errors) != 1 || p.Errors[0].Location != "/events/0/event_name" {
		t.Errorf("errors %+v", p.Errors)
	}
	for body, status := range map[string]int{
		`{"events":[]}`:                         400,
		`{"events":{}}`:                         422,
		`{}`:                                    422,
		`{"events":[{"event_name":"x"}],"a":1}`: 422,
		`{"events":[{"event_name":"x"}],"events":[]}`: 422,
		`[]`:                               422,
		`{"events":[`:                      422,
		`{"events":[{"event_name":"x"}]} `: 201,
		`{"events":[{"event_name":"x"}]}}`: 422,
		`{"events":[` + strings.TrimSuffix(strings.Repeat(`{"event_name":"x"},`, 1001), ",") + `]}`: 400,
		`{"events":[` + strings.TrimSuffix(strings.Repeat(`{"event_name":"x"},`, 1000), ",") + `]}`: 201,
	} {
		if a := w.post(t, "/api/analytics/events/batch", body); a.status != status {
			t.Errorf("%.60s: %d, want %d: %.200s", body, a.status, status, a.body)
		}
	}
}

func TestDoorsWhenNothingIsTaken(t *testing.T) {
	for _, c := range []struct {
		err        error
		status     int
		retryAfter string
	}{
		{errs.New(errs.Unavailable, "the journal cannot write"), 503, "1"},
		{&errs.Error{Kind: errs.Overloaded, Detail: "the journal is full", RetryAfter: 4200 * time.Millisecond}, 503, "5"},
		{fmt.Errorf("a fault: %w", errs.New(errs.Internal, "secret")), 500, ""},
		{fmt.Errorf("nobody classified this"), 500, ""},
	} {
		w := newWorld(t)
		w.submitErr = c.err
		for _, path := range eventDoors {
			body := map[string]string{"/api/analytics/user/page-view": `{"path":"/"}`, "/api/analytics/user/interaction": `{"interaction_type":"x"}`}[path]
			if body == "" {
				body = `{"event":"x"}`
			}
			a := w.post(t, path, body)
			p := a.problem(c.status)
			if got := a.header.Get("Retry-After"); got != c.retryAfter {
				t.Errorf("%s: Retry-After %q, want %q", path, got, c.retryAfter)
			}
			if strings.Contains(a.body, "secret") || strings.Contains(a.body, "classified") {
				t.Errorf("%s tells %s", path, p.Detail)
			}
		}
		w.post(t, "/api/analytics/batch-track", `[{"event":"x"}]`).problem(c.status)
		w.post(t, "/api/analytics/events/batch", `{"events":[{"event_name":"x"}]}`).problem(c.status)
	}
}

func TestWarningsAreToldInBatchesAndWithDebugMode(t *testing.T) {
	w := newWorld(t)
	if a := w.post(t, "/api/analytics/track", `{"event":"x","event_id":"1"}`).want(200); strings.Contains(a.body, "warnings") {
		t.Errorf("without debug_mode: %s", a.body)
	}
	r := w.post(t, "/api/analytics/batch-track", `[{"event":"x"},{"event":"y","properties":{"a":1},"tags":["t"]}]`).want(200).json()["results"].([]any)
	if n := len(r[0].(map[string]any)["warnings"].([]any)); n != 2 {
		t.Errorf("%d warnings for an event without properties and tags", n)
	}
	if _, ok := r[1].(map[string]any)["warnings"]; ok {
		t.Error("warnings for an event without fault")
	}
	w.post(t, "/api/analytics/config", `{"debug_mode":true}`).want(200)
	if a := w.post(t, "/api/analytics/track", `{"event":"x"}`).want(200).json(); len(a["warnings"].([]any)) != 2 {
		t.Errorf("with debug_mode: %v", a)
	}
}

// TestSmallRequestsGetNoLargeAnswers sends many events with many faults each.
func TestSmallRequestsGetNoLargeAnswers(t *testing.T) {
	w := newWorld(t)
	bad := `{"event_name":"x"`
	for i := range 100 {
		bad += fmt.Sprintf(`,"f%d":1`, i)
	}
	body := `{"events":[{"event_name":"good"}` + strings.Repeat(","+bad+"}", 999) + `]}`
	a := w.post(t, "/api/analytics/events/batch", body).want(201)
	if len(a.body) > 4*len(body) {
		t.Errorf("%d bytes were answered with %d", len(body), len(a.body))
	}
	p := w.post(t, "/api/analytics/events/batch", `{"events":[`+bad+`}`+strings.Repeat(","+bad+"}", 998)+`]}`).problem(422)
	if len(p.Errors) != maxFaults {
		t.Errorf("%d errors", len(p.Errors))
	}
}

func TestIDsAreWrittenAsJSON(t *testing.T) {
	w := newWorld(t)
	id := `a"b\c` + "\u2028é"
	a := w.post(t, "/api/analytics/track", `{"event":"x","event_id":"a\"b\\c\u2028é"}`).want(200)
	if a.json()["event_id"] != id {
		t.Errorf("answer %s", a.body)
	}
	b := w.post(t, "/api/analytics/batch-track", `[{"event":"x","event_id":"a\"b\\c\u2028é"}]`).want(200)
	if b.json()["results"].([]any)[0].(map[string]any)["event_id"] != id {
		t.Errorf("answer %s", b.body)
	}
}

func TestCreateEventWhenTheDatabaseIsAway(t *testing.T) {
	w := newWorld(t)
	w.waitErr = errs.New(errs.Unavailable, "the database is away")
	a := w.post(t, "/api/analytics/events", `{"event_name":"x","event_id":"e 1"}`).want(202)
	if m := a.json(); m["event_id"] != "e 1" || m["status"] != "pending" || a.header.Get("Location") != "/api/analytics/events/e%201" {
		t.Errorf("%s, Location %q", a.body, a.header.Get("Location"))
	}
	w.post(t, "/api/analytics/events/batch", `{"events":[{"event_name":"x"}]}`).want(202)
	w.post(t, "/api/analytics/flush", "").problem(503)

	w.waitErr, w.storeErr = nil, fmt.Errorf("an error nobody expected") // the event is accepted all the same
	w.post(t, "/api/analytics/events", `{"event_name":"x"}`).want(202)

	w.storeErr = errs.New(errs.Unavailable, "the database is away")
	w.post(t, "/api/analytics/events", `{"event_name":"x"}`).want(202)
	for _, path := range []string{"/events", "/events/x", "/events/stats", "/events/recent", "/ledger"} {
		if a := w.get(t, "/api/analytics"+path); a.problem(503).Status != 503 || a.header.Get("Retry-After") != "1" {
			t.Errorf("%s: Retry-After %q", path, a.header.Get("Retry-After"))
		}
	}
	w.do(t, http.MethodPatch, "/api/analytics/events/x", `{"processed":true}`).problem(503)
	w.do(t, http.MethodDelete, "/api/analytics/events/x", "").problem(503)
	w.post(t, "/api/analytics/events/processed", `{"event_ids":["x"]}`).problem(503)
}

func TestCreateEventThatTheDatabaseRefuses(t *testing.T) {
	w := newWorld(t)
	w.dead = true
	a := w.post(t, "/api/analytics/events", `{"event_name":"x","event_id":"e"}`)
	if p := a.problem(422); !strings.Contains(p.Detail, "dead letters") || a.header.Get("Location") != "" {
		t.Errorf("%s, Location %q", a.body, a.header.Get("Location"))
	}
	if got := w.get(t, "/api/analytics/receipts/e").want(200).json(); got["status"] != "dead_lettered" || got["reason"] != "store_refused" {
		t.Errorf("receipt %v", got)
	}
}

// TestIntakeKeepsNothing proves that a pooled intake holds no event of the request before.
func TestIntakeKeepsNothing(t *testing.T) {
	var pool intakes
	in := pool.get()
	item := in.next()
	_, item.Err = eventjson.NewDecoder(eventjson.Options{Limits: DefaultLimits().Event}).Decode([]byte(sample), &item.Event)
	items := in.items
	pool.put(in)
	if items[0].Event.Name != "" || items[0].Event.Properties != nil {
		t.Errorf("kept %+v", items[0])
	}
}
