package httpapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/ingest"
	"github.com/tidemark-obs/tidemark/internal/store"
)

func TestRequestIDs(t *testing.T) {
	w := newWorld(t)
	for given, kept := range map[string]bool{
		"abc-DEF_1.2":            true,
		strings.Repeat("x", 128): true,
		strings.Repeat("x", 129): false,
		"":                       false,
		"a b":                    false,
		"a/b":                    false,
		"é":                      false,
		`"><script>`:             false,
	} {
		got := w.get(t, "/-/healthy", "X-Request-ID", given).want(200).header.Get("X-Request-ID")
		if (got == given) != kept {
			t.Errorf("%.40q was answered with %q", given, got)
		}
		if !kept && !regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(got) {
			t.Errorf("%q is no UUIDv7", got)
		}
	}
	if p := w.get(t, "/nowhere", "X-Request-ID", "mine").problem(404); p.RequestID != "mine" {
		t.Errorf("request_id %q", p.RequestID)
	}
}

func TestResponseTimeIsWrittenBeforeTheFirstByte(t *testing.T) {
	started := make(chan struct{})
	w := newWorld(t, func(d *Deps) {
		d.Metrics = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "first ")
			_ = http.NewResponseController(w).Flush()
			<-started
			_, _ = io.WriteString(w, "second")
		})
	})
	res, err := w.Client().Get(w.URL + "/metrics")
	must(t, err)
	defer res.Body.Close()
	if !regexp.MustCompile(`^\d+\.\d\dms$`).MatchString(res.Header.Get("X-Response-Time")) {
		t.Errorf("X-Response-Time %q", res.Header.Get("X-Response-Time"))
	}
	close(started)
	b, err := io.ReadAll(res.Body)
	must(t, err)
	if string(b) != "first second" {
		t.Errorf("body %q", b)
	}
}

func TestMilliseconds(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0.00ms", 1230 * time.Microsecond: "1.23ms", 3 * time.Second: "3000.00ms", -1: "0.00ms", time.Hour: "3600000.00ms",
	} {
		if got := milliseconds(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}

func TestUnmatchedRequests(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		method, path string
		status       int
		allow        string
		name         string
	}{
		{"GET", "/nowhere", 404, "", "GET unmatched"},
		{"GET", "/api/analytics/events/a/b", 404, "", "GET unmatched"},
		{"GET", "/api/analytics/track", 405, "POST", "GET unmatched"},
		{"PUT", "/api/analytics/events/x", 405, "DELETE, GET, HEAD, PATCH", "PUT unmatched"},
		{"BREW", "/api/analytics/track", 405, "POST", "OTHER unmatched"},
		{"BREW" + strings.Repeat("X", 50), "/nowhere", 404, "", "OTHER unmatched"},
	} {
		a := w.do(t, c.method, c.path, "")
		a.problem(c.status)
		if got := a.header.Get("Allow"); got != c.allow {
			t.Errorf("%s %s: Allow %q, want %q", c.method, c.path, got, c.allow)
		}
		if _, ok := w.deps.Operations.Operation(c.name); !ok {
			t.Errorf("%s %s was not timed as %s", c.method, c.path, c.name)
		}
	}
	if n := len(w.deps.Operations.Stats()); n != 3 {
		t.Errorf("%d names for requests that matched nothing", n)
	}
	if a := w.do(t, http.MethodHead, "/api/analytics/stats", ""); a.want(200).body != "" {
		t.Errorf("HEAD answered with a body: %q", a.body)
	}
	if a := w.do(t, http.MethodHead, "/nowhere", ""); a.want(404).body != "" {
		t.Errorf("HEAD answered with a body: %q", a.body)
	}
}

// TestTheFrontPageLeadsOn follows every link of what a browser finds that opens the address.
func TestTheFrontPageLeadsOn(t *testing.T) {
	w := newWorld(t)
	a := w.get(t, "/").want(200)
	links := regexp.MustCompile(`href="([^"/][^"]*)"`).FindAllStringSubmatch(a.body, -1)
	if kind := a.header.Get("Content-Type"); kind != "text/html; charset=utf-8" || len(links) < 5 {
		t.Errorf("%d links on a page of type %s", len(links), kind)
	}
	for _, link := range links {
		w.get(t, "/"+link[1]).want(200)
	}
}

func TestPanicsAreCounted500s(t *testing.T) {
	w := newWorld(t, func(d *Deps) {
		d.Metrics = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("a fault of ours") })
		d.Events = panicky{d.Events}
	})
	for _, path := range []string{"/metrics", "/api/analytics/events/x"} {
		a := w.get(t, path)
		if p := a.problem(500); strings.Contains(a.body, "fault of ours") || p.Detail != internalDetail {
			t.Errorf("the answer tells %s", a.body)
		}
	}
	for _, name := range []string{"GET /metrics", "GET /api/analytics/events/{event_id}"} {
		if st, ok := w.deps.Operations.Operation(name); !ok || st.Count != 1 || st.ErrorCount != 1 {
			t.Errorf("%s: %+v", name, st)
		}
	}
	log := w.log.String()
	if strings.Count(log, "a fault of ours") != 2 || !strings.Contains(log, "serve_test.go") {
		t.Errorf("the log has %s", log)
	}
	w.get(t, "/-/healthy").want(200)
}

func TestAnAnswerThatBreaksOffLooksBroken(t *testing.T) {
	for name, v := range map[string]any{"panic": "a fault", "abort": http.ErrAbortHandler} {
		w := newWorld(t, func(d *Deps) {
			d.Metrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.WriteString(w, "half")
				_ = http.NewResponseController(w).Flush()
				panic(v)
			})
		})
		res, err := w.Client().Get(w.URL + "/metrics")
		must(t, err)
		b, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err == nil {
			t.Errorf("%s: a cut answer was read as whole: %q", name, b)
		}
		until(t, func() bool { return w.deps.Operations.Total() == 1 })
		st, _ := w.deps.Operations.Operation("GET /metrics")
		if wrong := name == "panic"; (st.ErrorCount == 1) != wrong {
			t.Errorf("%s: %+v", name, st)
		}
		if logged := strings.Contains(w.log.String(), "panic"); logged != (name == "panic") {
			t.Errorf("%s: the log has %s", name, w.log)
		}
	}
}

func TestInternalErrorsGoToTheLog(t *testing.T) {
	w := newWorld(t)
	w.storeErr = fmt.Errorf("reading row 7: %w", errors.New("SELECT broke"))
	for _, path := range []string{"/api/analytics/events/x", "/api/analytics/ledger"} {
		a := w.get(t, path, "X-Request-ID", "find-me")
		a.problem(500)
		if strings.Contains(a.body, "SELECT") {
			t.Errorf("told the client: %s", a.body)
		}
	}
	w.do(t, http.MethodPatch, "/api/analytics/events/x", `{"processed":true}`, "X-Request-ID", "find-me").problem(500)
	if log := w.log.String(); strings.Count(log, "SELECT broke") != 3 || strings.Count(log, "find-me") != 3 {
		t.Errorf("the log has %s", log)
	}
}

func TestRequestsAreLoggedAtDebugAndSlowOnesAsWarnings(t *testing.T) {
	var out safeBuffer
	clock := time.Now()
	var mu sync.Mutex
	w := newWorld(t, func(d *Deps) {
		d.Logger = slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
		d.Now = func() time.Time {
			mu.Lock()
			defer mu.Unlock()
			return clock
		}
		d.Metrics = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			clock = clock.Add(2001 * time.Millisecond)
		})
	})
	w.post(t, "/api/analytics/track", `{"event":"x","user_id":"a-person"}`).want(200)
	if a := w.get(t, "/metrics").want(200); a.header.Get("X-Response-Time") != "2001.00ms" {
		t.Errorf("X-Response-Time %s", a.header.Get("X-Response-Time"))
	}
	until(t, func() bool { return w.deps.Operations.Total() == 2 })
	log := out.String()
	for _, want := range []string{
		`level=DEBUG msg=request route="POST /api/analytics/track" status=200`,
		`level=WARN msg="slow request" route="GET /metrics" status=200 duration_ms=2001`,
	} {
		if !strings.Contains(log, want) {
			t.Errorf("no line %s in %s", want, log)
		}
	}
	if strings.Contains(log, "a-person") {
		t.Error("the log has personal data")
	}
}

func TestReady(t *testing.T) {
	broken := map[string]error{}
	check := func(name string) ReadyCheck {
		return ReadyCheck{Name: name, Check: func(context.Context) error { return broken[name] }}
	}
	w := newWorld(t, func(d *Deps) { d.Ready = []ReadyCheck{check("ingest"), check("queries")} })
	if m := w.get(t, "/-/ready").want(200).json(); m["status"] != "ready" {
		t.Errorf("answer %v", m)
	}
	broken["ingest"] = errs.New(errs.Overloaded, "the journal is full")
	broken["queries"] = errors.New("dial /secret/socket")
	a := w.get(t, "/-/ready")
	p := a.problem(503)
	if p.Detail != "not working: ingest, queries" || len(p.Errors) != 2 || p.Errors[0].Location != "ingest" || p.Errors[0].Message != "the journal is full" {
		t.Errorf("problem %+v", p)
	}
	if strings.Contains(a.body, "secret") {
		t.Errorf("told %s", a.body)
	}
	delete(broken, "ingest")
	if p := w.get(t, "/-/ready").problem(503); p.Detail != "not working: queries" {
		t.Errorf("problem %+v", p)
	}
}

func TestReload(t *testing.T) {
	var failure error
	calls := 0
	w := newWorld(t, func(d *Deps) { d.Reload = func(context.Context) error { calls++; return failure } })
	w.post(t, "/-/reload", "").want(200)
	failure = errs.New(errs.Invalid, "line 3: unknown key")
	if p := w.post(t, "/-/reload", "").problem(400); p.Detail != "line 3: unknown key" || calls != 2 {
		t.Errorf("problem %+v after %d calls", p, calls)
	}
}

func TestNewNeedsEverything(t *testing.T) {
	if _, err := New(Deps{}); err == nil {
		t.Error("a server of nothing")
	}
}

// panicky breaks while it reads.
type panicky struct{ Events }

func (panicky) Get(context.Context, string) (event.Event, error) { panic("a fault of ours") }

// safeBuffer may be written and read at once.
type safeBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

var (
	_ Intake = (*ingest.Pipeline)(nil)
	_ Events = (*store.Store)(nil)
)
