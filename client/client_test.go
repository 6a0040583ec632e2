package client

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestWhatIsTrackedArrives(t *testing.T) {
	f := &fake{}
	c := f.client(t, func(c *Config) { c.Source, c.Key, c.URL = "shop", "secret", "http://tidemark.invalid/base/" })
	ctx := WithSession(WithAnonymous(WithUser(t.Context(), "u1"), "a1"), "s1")
	properties := map[string]any{"plan": "pro"}
	c.Track(ctx, "signup", properties, Tags("web", "new"), Severity(Medium), Type(TypeCustom), Timezone("Europe/Berlin"),
		At(time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.UTC)), Metadata(map[string]any{"build": 7}), SampleRate(0.5))
	properties["plan"] = "changed later"
	c.Track(ctx, "other", nil, EventID("mine \"1\""), User("u2"))
	s := closeNow(t, c)
	if s.Tracked != 2 || s.Sent != 2 {
		t.Errorf("%+v", s)
	}
	r := f.requests[0]
	if r.URL.String() != "http://tidemark.invalid/base/api/analytics/batch-track" || r.Header.Get("Authorization") != "Bearer secret" {
		t.Errorf("%s %v", r.URL, r.Header)
	}
	e := f.batches[0][0]
	if id := e["event_id"].(string); len(id) != 36 || id[14] != '7' {
		t.Errorf("id %s", id)
	}
	delete(e, "event_id")
	want := map[string]any{"event": "signup", "user_id": "u1", "anonymous_id": "a1", "session_id": "s1", "source": "shop",
		"severity": "medium", "event_type": "custom", "timezone": "Europe/Berlin", "timestamp": "2026-03-01T12:00:00.123456Z",
		"tags": []any{"web", "new"}, "metadata": map[string]any{"build": 7.0}, "sample_rate": 0.5,
		"properties": map[string]any{"plan": "pro"}}
	if fmt.Sprint(e) != fmt.Sprint(want) {
		t.Errorf("sent %v\nwant %v", e, want)
	}
	if e := f.batches[0][1]; e["event_id"] != `mine "1"` || e["user_id"] != "u2" {
		t.Errorf("sent %v", e)
	}
}

func TestTheShortForms(t *testing.T) {
	f := &fake{}
	c := f.client(t, nil)
	ctx := t.Context()
	c.TrackPerformance(ctx, Performance{Operation: "load", Duration: 1500 * time.Microsecond, CPUPercent: 3})
	c.TrackPerformance(ctx, Performance{Operation: "load", Error: "no"})
	c.TrackInteraction(ctx, Interaction{Kind: "click", Element: "buy", PagePath: "/p", At: &Point{1, 2}})
	c.TrackPageView(ctx, PageView{Path: "/p", Properties: map[string]any{"n": 1}}, Referrer("https://x.example"))
	c.TrackRequest(ctx, APIRequest{Method: "GET", Path: "/p/{id}", Status: 502, Duration: time.Second})
	c.TrackError(ctx, fmt.Errorf("outer: %w", errors.ErrUnsupported), map[string]any{"error_type": "mine"})
	c.TrackError(ctx, nil, nil)
	closeNow(t, c)
	want := []string{
		`map[cpu_percent:3 duration_ms:1.5 operation:load success:true]`,
		`map[duration_ms:0 error_message:no operation:load success:false]`,
		`map[coordinates:map[x:1 y:2] element:buy interaction_type:click page_path:/p]`,
		`map[event_type:page_view path:/p properties:map[n:1] referrer:https://x.example]`,
		`map[duration_ms:1000 method:GET path:/p/{id} status_code:502]`,
		`map[event:error properties:map[error_message:outer: unsupported operation error_type:mine] severity:high]`,
	}
	for i, e := range f.batches[0] {
		delete(e, "event_id")
		delete(e, "timestamp")
		if fmt.Sprint(e) != want[i] {
			t.Errorf("%d: %v, want %s", i, e, want[i])
		}
	}
	if len(f.batches[0]) != len(want) {
		t.Errorf("%d events", len(f.batches[0]))
	}
}

func TestWhenEventsAreSent(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Config)
		events int
		after  time.Duration
		sizes  []int
	}{
		"at 100 events":   {events: 250, sizes: []int{100, 100}},
		"after a minute":  {events: 3, after: time.Minute, sizes: []int{3}},
		"not before":      {events: 3, after: time.Minute - 1},
		"at a size":       {change: func(c *Config) { c.FlushBytes = 250 }, events: 5, sizes: []int{2, 1}},
		"at other counts": {change: func(c *Config) { c.FlushEvents = 2 }, events: 5, sizes: []int{2, 2}},
		"many at once":    {change: func(c *Config) { c.FlushEvents = 300 }, events: 301, sizes: []int{100, 100, 100}},
		"other intervals": {change: func(c *Config) { c.FlushInterval = time.Second }, events: 1, after: time.Second, sizes: []int{1}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fake{}
				cl := f.client(t, c.change)
				for i := range c.events {
					cl.Track(t.Context(), "e", map[string]any{"n": i})
					synctest.Wait()
				}
				time.Sleep(c.after)
				synctest.Wait()
				var sizes []int
				for _, b := range f.batches {
					sizes = append(sizes, len(b))
				}
				if !slices.Equal(sizes, c.sizes) {
					t.Errorf("batches of %v, want %v", sizes, c.sizes)
				}
				if s := closeNow(t, cl); s.Sent != uint64(c.events) {
					t.Errorf("after Close: %+v", s)
				}
			})
		})
	}
}

// TestWithoutAVerdictNothingEnds has every answer that says nothing of the events.
func TestWithoutAVerdictNothingEnds(t *testing.T) {
	text := func(status int, body string) func([]map[string]any) (int, http.Header, string) {
		return func([]map[string]any) (int, http.Header, string) { return status, nil, body }
	}
	synctest.Test(t, func(t *testing.T) {
		f := &fake{answers: []func([]map[string]any) (int, http.Header, string){
			refusal(401, nil), refusal(403, nil), text(404, "not here"), refusal(415, nil), refusal(500, nil), text(502, "bad gateway"),
			refusal(503, nil), text(200, "<html>welcome</html>"), text(200, `{"results":[]}`), text(200, `{"results":[{"status":"odd"}]}`),
			text(302, ""), text(400, "bad header"), text(422, "somebody else's"),
		}}
		c := f.client(t, nil)
		c.Track(t.Context(), "e", nil)
		if err := c.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		s := balanced(t, c)
		if s.Sent != 1 || s.Retries != uint64(len(f.answers)) || f.stored() != 1 {
			t.Errorf("%+v, %d stored", s, f.stored())
		}
		first := f.batches[0][0]["event_id"]
		for _, b := range f.batches {
			if b[0]["event_id"] != first {
				t.Error("another attempt, another id")
			}
		}
		for i := 2; i < len(f.at); i++ { // the first wait may have been ended by Flush
			d := f.at[i].Sub(f.at[i-1])
			if most := min(200*time.Millisecond<<(i-1), 30*time.Second); d < most/2 || d > most {
				t.Errorf("waited %v before attempt %d, want %v to %v", d, i+1, most/2, most)
			}
		}
	})
}

func TestTheServiceSaysWhenToComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		f := &fake{answers: []func([]map[string]any) (int, http.Header, string){
			refusal(429, http.Header{"Retry-After": {"7"}}),
			refusal(503, http.Header{"Retry-After": {start.Add(20 * time.Second).UTC().Format(http.TimeFormat)}}),
		}}
		c := f.client(t, nil)
		c.Track(t.Context(), "e", nil)
		if err := c.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if d := f.at[1].Sub(f.at[0]); d != 7*time.Second {
			t.Errorf("came back after %v", d)
		}
		if d := f.at[2].Sub(start); d != 20*time.Second {
			t.Errorf("came back %v after the start", d)
		}
	})
	for header, want := range map[string]time.Duration{"": 0, "-1": 0, "soon": 0, "999999": time.Hour, "99999999999999999999": time.Hour, "0": 0, "3": 3 * time.Second} {
		if got := retryAfter(header, time.Now()); got != want {
			t.Errorf("Retry-After %q is %v", header, got)
		}
	}
}

func TestRefusalsAreReported(t *testing.T) {
	name := func(e map[string]any) string { return e["event"].(string) }
	for what, answers := range map[string][]func([]map[string]any) (int, http.Header, string){
		"per event": {func(events []map[string]any) (int, http.Header, string) {
			return results(events, func(e map[string]any) string {
				return map[bool]string{true: "rejected", false: "accepted"}[strings.HasPrefix(name(e), "bad")]
			})
		}},
		"all, some named": {refusal(422, nil, "/1/tags", "/3", "/1/event"), nil},
		"too large": {refusal(413, nil), refusal(413, nil), nil /* 0 */, refusal(413, nil), /* 1 */
			refusal(413, nil), nil, refusal(413, nil)},
		"wrong, nobody named": {refusal(422, nil), refusal(400, nil), nil, refusal(422, nil),
			refusal(400, nil), nil, refusal(400, nil)},
	} {
		t.Run(what, func(t *testing.T) {
			f := &fake{answers: answers}
			var mu sync.Mutex
			told := map[string]string{}
			c := f.client(t, func(c *Config) {
				c.OnRefused = func(r Refusal) {
					mu.Lock()
					defer mu.Unlock()
					told[r.EventID] = r.Reason
					if !strings.Contains(string(r.Event), r.EventID) {
						t.Errorf("event %s", r.Event)
					}
					panic("a fault of the application's")
				}
			})
			for i, name := range []string{"good", "bad", "good", "bad"} {
				c.Track(t.Context(), name, nil, EventID(fmt.Sprint("id-", i)))
			}
			s := closeNow(t, c)
			if s.Sent != 2 || s.Refused != 2 {
				t.Errorf("%+v", s)
			}
			if ids := slices.Sorted(maps.Keys(told)); !slices.Equal(ids, []string{"id-1", "id-3"}) || told["id-1"] == "" {
				t.Errorf("told of %v", told)
			}
			if f.stored() != 2 || f.accepted["id-0"] != 1 || f.accepted["id-2"] != 1 {
				t.Errorf("stored %v", f.accepted)
			}
		})
	}
}

func TestSampledByTheService(t *testing.T) {
	f := &fake{answers: []func([]map[string]any) (int, http.Header, string){func(events []map[string]any) (int, http.Header, string) {
		return results(events, func(map[string]any) string { return "sampled" })
	}}}
	c := f.client(t, nil)
	c.Track(t.Context(), "e", nil)
	if s := closeNow(t, c); s.Sampled != 1 || s.Sent != 0 {
		t.Errorf("%+v", s)
	}
}

type explosive struct{}

func (explosive) MarshalJSON() ([]byte, error) { panic("boom") }

type brokenError struct{ text *string }

func (e *brokenError) Error() string { return *e.text }

// TestNothingPanics tracks what cannot be tracked.
func TestNothingPanics(t *testing.T) {
	f := &fake{}
	var reasons []string
	c := f.client(t, func(c *Config) {
		c.OnRefused = func(r Refusal) {
			if len(r.EventID) != 36 {
				t.Errorf("id %q", r.EventID)
			}
			reasons = append(reasons, r.Reason)
		}
	})
	loop := map[string]any{}
	loop["self"] = loop
	list := []any{nil}
	list[0] = list
	bad := []any{explosive{}, func() {}, make(chan int), math.NaN(), math.Inf(1), loop, list, complex(1, 1), strings.Repeat("x", 33<<10)}
	for _, v := range bad {
		c.Track(t.Context(), "e", map[string]any{"v": v})
	}
	good := []any{(*brokenError)(nil), errors.New("x"), nil, "\xff\x00", struct{ A int }{1}, []int{1}, map[string]string{"a": "b"}}
	var noContext context.Context
	for _, v := range good {
		c.Track(noContext, "e", map[string]any{"v": v})
	}
	c.TrackError(t.Context(), (*brokenError)(nil), nil)
	var none *Client
	none.Track(t.Context(), "e", nil)
	none.Time(t.Context(), "x")()
	if err := errors.Join(none.Flush(t.Context()), none.Close(t.Context())); err != nil || none.Stats() != (Stats{}) {
		t.Error("a nil client does something")
	}
	s := closeNow(t, c)
	if int(s.Refused) != len(bad) || int(s.Sent) != len(good)+1 || len(reasons) != len(bad) {
		t.Errorf("%+v, %q", s, reasons)
	}
}

func TestAFullBuffer(t *testing.T) {
	const n = 1000 + batchEvents
	for name, policy := range map[string]Policy{"newest": DropNewest, "oldest": DropOldest} {
		t.Run(name, func(t *testing.T) {
			f := &fake{hold: make(chan struct{})}
			c := f.client(t, func(c *Config) { c.MaxBuffered, c.WhenFull = 20000, policy })
			for range batchEvents {
				c.Track(t.Context(), "under way", map[string]any{"n": 0})
			}
			await(t, f.holds) // what is under way takes no room any more
			var all sync.WaitGroup
			for g := range 4 {
				all.Go(func() {
					for i := range 250 { // more than there is room for
						c.Track(context.Background(), fmt.Sprint("e", g), map[string]any{"n": i})
					}
				})
			}
			all.Wait()
			s := balanced(t, c)
			if s.Dropped.Full == 0 || s.Pending == 0 || s.Tracked != n || s.Dropped.Total() != s.Dropped.Full {
				t.Errorf("%+v", s)
			}
			close(f.hold)
			s = closeNow(t, c)
			if s.Sent+s.Dropped.Full != n || int(s.Sent) != f.stored() {
				t.Errorf("%+v, %d stored", s, f.stored())
			}
			last := 0
			for _, b := range f.batches {
				for _, e := range b {
					last = max(last, int(e["properties"].(map[string]any)["n"].(float64)))
				}
			}
			if kept := last == 249; kept != (policy == DropOldest) {
				t.Errorf("the last one that was kept has number %d", last)
			}
		})
	}
}

func TestBlockWaitsForRoomAndNoLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{hold: make(chan struct{})}
		c := f.client(t, func(c *Config) {
			c.MaxBuffered, c.WhenFull, c.BlockFor, c.Timeout = 1000, Block, 3*time.Second, time.Hour
		})
		big := map[string]any{"v": strings.Repeat("x", 700)}
		c.Track(t.Context(), "in flight", big)
		c.demandAll()
		synctest.Wait()
		c.Track(t.Context(), "in the buffer", big)
		start := time.Now()
		c.Track(t.Context(), "dropped", big)
		if d := time.Since(start); d != 3*time.Second {
			t.Errorf("waited %v", d)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start = time.Now()
		c.Track(ctx, "dropped", big)
		if d := time.Since(start); d != time.Second {
			t.Errorf("waited %v", d)
		}
		time.AfterFunc(2*time.Second, func() { close(f.hold) })
		c.Track(t.Context(), "waited", big)
		if s := closeNow(t, c); s.Sent != 3 || s.Dropped.Full != 2 {
			t.Errorf("%+v", s)
		}
	})
}

// demandAll makes the sender send without waiting for it.
func (c *Client) demandAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.demand()
}

func TestCloseEndsInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{hold: make(chan struct{})}
		c := f.client(t, nil)
		for range 250 {
			c.Track(t.Context(), "e", nil)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		start := time.Now()
		err := c.Close(ctx)
		if d := time.Since(start); d != 5*time.Second || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v after %v", err, d)
		}
		c.Track(t.Context(), "too late", nil)
		if s := balanced(t, c); s.Dropped.Closed != 251 || s.Pending != 0 {
			t.Errorf("%+v", s)
		}
		if again := c.Close(t.Context()); again == nil || again.Error() != err.Error() {
			t.Errorf("closed again: %v", again)
		}
		if c.Flush(t.Context()) == nil {
			t.Error("a closed client flushes")
		}
	})
}

func TestFlushDoesNotWaitOutABackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		for range 12 {
			f.answers = append(f.answers, refusal(503, nil))
		}
		c := f.client(t, nil)
		c.Track(t.Context(), "e", nil)
		c.demandAll()
		for f.count() < 12 {
			time.Sleep(time.Second)
		}
		start := time.Now()
		if err := c.Flush(t.Context()); err != nil || time.Since(start) > 0 {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

func TestModes(t *testing.T) {
	var out strings.Builder
	c, err := New(Config{Mode: Console, Output: &out})
	if err != nil {
		t.Fatal(err)
	}
	c.Track(t.Context(), "hello", map[string]any{"who": "me"})
	if s := closeNow(t, c); s.Sent != 1 || !strings.HasSuffix(out.String(), `"event":"hello","properties":{"who":"me"}}`+"\n") {
		t.Errorf("%+v %s", s, out.String())
	}
	c, err = New(Config{Mode: Disabled})
	if err != nil {
		t.Fatal(err)
	}
	c.Track(t.Context(), "hello", nil)
	if s := closeNow(t, c); s != (Stats{}) {
		t.Errorf("%+v", s)
	}
}

func TestWhatCannotBeConfigured(t *testing.T) {
	for name, c := range map[string]Config{
		"no address": {}, "a scheme": {URL: "ftp://x"}, "a query": {URL: "http://x?a=b"}, "no host": {URL: "http:///x"},
		"a key": {URL: "http://x", Key: "a\nb"}, "negative": {URL: "http://x", FlushEvents: -1},
		"too large": {URL: "http://x", FlushBytes: 2 << 20}, "a small spool": {URL: "http://x", SpoolBytes: 5},
		"a mode": {Mode: 9}, "a policy": {URL: "http://x", WhenFull: 9},
		"a directory": {URL: "http://x", SpoolDir: "/dev/null/x"},
	} {
		if c, err := New(c); err == nil {
			t.Errorf("%s is accepted", name)
			_ = c.Close(t.Context())
		}
	}
}

func TestTimings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		c := f.client(t, nil)
		func() {
			defer c.Time(t.Context(), "plain", Tags("x"))()
			time.Sleep(30 * time.Millisecond)
		}()
		caught := func(g func()) (v any) {
			defer func() { v = recover() }()
			g()
			return nil
		}
		if v := caught(func() { defer c.Time(t.Context(), "panics")(); panic("boom") }); v != "boom" {
			t.Errorf("Time let %v through", v)
		}
		if v := caught(func() {
			_ = c.Timed(t.Context(), "panics", func(context.Context) error { panic(http.ErrAbortHandler) })
		}); v != http.ErrAbortHandler {
			t.Errorf("Timed let %v through", v)
		}
		if err := c.Timed(t.Context(), "fails", func(context.Context) error { return errors.ErrUnsupported }); err != errors.ErrUnsupported {
			t.Error(err)
		}
		if err := c.Timed(t.Context(), "works", func(context.Context) error { return nil }); err != nil {
			t.Error(err)
		}
		closeNow(t, c)
		var got []string
		for _, e := range f.batches[0] {
			got = append(got, fmt.Sprint(e["operation"], e["duration_ms"], e["success"], e["error_message"]))
		}
		want := []string{"plain30 true <nil>", "panics0 falsepanic: boom", "panics0 falsepanic: net/http: abort Handler",
			"fails0 falseunsupported operation", "works0 true <nil>"}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%q", got)
		}
	})
}

func TestLongErrorsAreCut(t *testing.T) {
	if text := errorText(errors.New(strings.Repeat("é", 2000) + "\xff")); len([]rune(text)) != textLength || !strings.HasSuffix(text, "…") {
		t.Errorf("%d characters", len([]rune(text)))
	}
	if text := errorText(errors.New("a\x00b\xff")); text != "a\ufffdb\ufffd" {
		t.Errorf("%q", text)
	}
}
