package httpapi

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// bodyDoors are all pages that read a body, with one that is good.
var bodyDoors = []struct{ method, path, good string }{
	{"POST", "/api/analytics/track", `{"event":"x"}`},
	{"POST", "/api/analytics/batch-track", `[{"event":"x"}]`},
	{"POST", "/api/analytics/user/page-view", `{"path":"/"}`},
	{"POST", "/api/analytics/user/interaction", `{"interaction_type":"click"}`},
	{"POST", "/api/analytics/events", `{"event_name":"x"}`},
	{"POST", "/api/analytics/events/batch", `{"events":[{"event_name":"x"}]}`},
	{"POST", "/api/analytics/events/processed", `{"event_ids":["x"]}`},
	{"PATCH", "/api/analytics/events/e", `{"processed":true}`},
	{"POST", "/api/analytics/config", `{"debug_mode":false}`},
	{"POST", "/api/analytics/keys", `{"name":"k","scopes":["read"]}`},
}

// malformed are documents that no page takes.
func malformed() map[string]string {
	return map[string]string{
		"nothing":             "",
		"space":               " \t\r\n",
		"brace":               "{",
		"bracket":             "[",
		"closed twice":        "{}}",
		"wrong close":         "[}",
		"no colon":            `{"event" "x"}`,
		"no value":            `{"event":}`,
		"comma at the end":    `{"event":"x",}`,
		"two commas":          `[{"event":"x"},,{"event":"x"}]`,
		"single quotes":       `{'event':'x'}`,
		"no quotes":           `{event:"x"}`,
		"comment":             `{"event":"x"/*c*/}`,
		"unterminated":        `{"event":"x`,
		"bad escape":          `{"event":"\q"}`,
		"half an escape":      `{"event":"\u12"}`,
		"control character":   "{\"event\":\"a\x01b\"}",
		"NaN":                 `{"event":"x","properties":{"a":NaN}}`,
		"Infinity":            `{"event":"x","properties":{"a":Infinity}}`,
		"leading zero":        `{"event":"x","properties":{"a":01}}`,
		"plus":                `{"event":"x","properties":{"a":+1}}`,
		"hex":                 `{"event":"x","properties":{"a":0x1}}`,
		"two documents":       `{"event":"x"}{"event":"x"}`,
		"BOM":                 "\xef\xbb\xbf" + `{"event":"x"}`,
		"UTF-16":              "\xff\xfe{\x00}\x00",
		"binary":              "\x00\x01\x02\x03\xff\xfe",
		"HTML":                "<html></html>",
		"form":                "event=x&user_id=1",
		"null":                "null",
		"number":              "1e400",
		"text":                `"event"`,
		"100,000 brackets":    strings.Repeat("[", 100_000),
		"100,000 closed":      strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000),
		"100,000 braces":      strings.Repeat(`{"a":`, 100_000) + "1" + strings.Repeat("}", 100_000),
		"nested properties":   `{"event":"x","properties":{"a":` + strings.Repeat("[", 9_000) + strings.Repeat("]", 9_000) + "}}",
		"1 MB key":            `{"` + strings.Repeat("k", 1_000_000) + `":1}`,
		"1 MB text":           `{"event":"` + strings.Repeat("v", 1_000_000) + `"}`,
		"100,000 keys":        "{" + strings.Repeat(`"k":1,`, 100_000) + `"k":1}`,
		"over the limit":      strings.Repeat(" ", 1<<20) + "{}",
		"invalid UTF-8 key":   "{\"event\":\"x\",\"properties\":{\"\xff\":1}}",
		"invalid UTF-8 text":  "{\"event\":\"\xc3\x28\"}",
		"lone surrogate":      `{"event":"\ud800"}`,
		"U+0000":              `{"event":"a\u0000b"}`,
		"repeated properties": `{"event":"x","properties":{},"properties":{}}`,
	}
}

func TestMalformedBodiesAreProblems(t *testing.T) {
	w := newWorld(t)
	encodings := []string{"", "gzip", "zstd"}
	if testing.Short() {
		encodings = encodings[:1]
	}
	for name, body := range malformed() {
		for _, d := range bodyDoors {
			for _, encoding := range encodings {
				a := w.do(t, d.method, d.path, packed(t, encoding, body), "Content-Type", "application/json", "Content-Encoding", encoding)
				if a.status < 400 || a.status > 499 {
					t.Errorf("%s %s, %s %s: %d %.200s", d.method, d.path, name, encoding, a.status, a.body)
					continue
				}
				a.problem(a.status)
				if len(a.body) > 16<<10 {
					t.Errorf("%s %s, %s: an answer of %d bytes", d.method, d.path, name, len(a.body))
				}
			}
		}
	}
	if l := w.ledger; l.Received != l.Rejected || l.Accepted != 0 || l.Received == 0 {
		t.Errorf("counted %+v", l)
	}
}

func packed(t testing.TB, encoding, body string) string {
	t.Helper()
	var out bytes.Buffer
	var to io.WriteCloser
	switch encoding {
	case "gzip":
		to = gzip.NewWriter(&out)
	case "zstd":
		z, err := zstd.NewWriter(&out, zstd.WithEncoderConcurrency(1))
		must(t, err)
		to = z
	default:
		return body
	}
	_, err := io.WriteString(to, body)
	must(t, err)
	must(t, to.Close())
	return out.String()
}

func TestCompressedBodiesAreRead(t *testing.T) {
	w := newWorld(t)
	for _, encoding := range []string{"gzip", "zstd"} {
		for _, d := range bodyDoors {
			if d.method == "PATCH" || strings.HasSuffix(d.path, "/keys") {
				continue // need something stored, or a new name
			}
			a := w.do(t, d.method, d.path, packed(t, encoding, d.good), "Content-Encoding", encoding)
			if a.status >= 300 {
				t.Errorf("%s %s: %d %s", encoding, d.path, a.status, a.body)
			}
		}
	}
	w.do(t, "POST", "/api/analytics/track", packed(t, "gzip", `{"event":"x"}`), "Content-Encoding", "X-GZIP").want(200)
	w.do(t, "POST", "/api/analytics/track", `{"event":"x"}`, "Content-Encoding", "identity").want(200)
	big := `[{"event":"x","properties":{"a":"` + strings.Repeat("1", 900) + `"}}` + strings.Repeat(`,{"event":"x","properties":{"a":"`+strings.Repeat("1", 900)+`"}}`, 99) + `]`
	for range 8 { // reused decompressors and buffers
		w.do(t, "POST", "/api/analytics/batch-track", packed(t, "zstd", big), "Content-Encoding", "zstd").want(200)
		w.do(t, "POST", "/api/analytics/batch-track", packed(t, "gzip", big), "Content-Encoding", "gzip").want(200)
	}
}

func TestEncodingsAndTypesThatAreNotUnderstood(t *testing.T) {
	w := newWorld(t)
	good := `{"event":"x"}`
	for _, c := range []struct {
		kind, encoding, body string
		status               int
	}{
		{"application/json", "br", good, 415},
		{"application/json", "gzip, gzip", good, 415},
		{"application/json", "deflate", good, 415},
		{"text/plain", "", good, 415},
		{"application/x-www-form-urlencoded", "", "event=x", 415},
		{"multipart/form-data; boundary=x", "", good, 415},
		{"application/json; charset=iso-8859-1", "", good, 415},
		{"application/jsonp", "", good, 415},
		{"application/", "", good, 415},
		{";", "", good, 415},
		{"application/json; charset=UTF-8", "", good, 200},
		{"APPLICATION/JSON", "", good, 200},
		{"application/vnd.tidemark+json", "", good, 200},
		{"", "", good, 200},
		{"application/json", "gzip", good, 422},
		{"application/json", "zstd", good, 422},
		{"application/json", "gzip", packed(t, "gzip", good)[:20], 422},
		{"application/json", "zstd", packed(t, "zstd", good)[:10], 422},
	} {
		a := w.do(t, "POST", "/api/analytics/track", c.body, "Content-Type", c.kind, "Content-Encoding", c.encoding)
		if a.want(c.status); c.status != 200 {
			a.problem(c.status)
		}
	}
}

// TestBombsStopAtTheLimit sends small bodies that decompress to 512 MiB, many at once.
func TestBombsStopAtTheLimit(t *testing.T) {
	w := newWorld(t)
	zeros, size := make([]byte, 1<<20), 512
	if testing.Short() {
		size = 64
	}
	bombs := map[string]string{}
	for _, encoding := range []string{"gzip", "zstd"} {
		var out bytes.Buffer
		var to io.WriteCloser = gzip.NewWriter(&out)
		if encoding == "zstd" {
			z, err := zstd.NewWriter(&out, zstd.WithEncoderConcurrency(1))
			must(t, err)
			to = z
		}
		for range size {
			_, err := to.Write(zeros)
			must(t, err)
		}
		must(t, to.Close())
		bombs[encoding] = out.String()
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var wg sync.WaitGroup
	for encoding, bomb := range bombs {
		for range 16 {
			wg.Go(func() {
				a := w.do(t, "POST", "/api/analytics/track", bomb, "Content-Encoding", encoding)
				if p := a.problem(413); !strings.Contains(p.Detail, "1048576 bytes") {
					t.Errorf("%s: %s", encoding, p.Detail)
				}
			})
		}
	}
	wg.Wait()
	runtime.ReadMemStats(&after)
	if grown := int64(after.TotalAlloc - before.TotalAlloc); grown > 128<<20 {
		t.Errorf("32 bombs allocated %d MiB", grown>>20)
	}
	// A frame that asks for a window of 64 MiB is refused before it gets one.
	p := w.do(t, "POST", "/api/analytics/track", "\x28\xb5\x2f\xfd\x00\x80\x01\x00\x00", "Content-Encoding", "zstd").problem(413)
	if !strings.Contains(p.Detail, "window") {
		t.Errorf("a large window: %s", p.Detail)
	}
	w.post(t, "/api/analytics/track", `{"event":"x"}`).want(200)
}

func TestBodiesAreBoundedWhateverTheirLengthSays(t *testing.T) {
	w := newWorld(t)
	exact := `{"event":"x"}` + strings.Repeat(" ", 32<<10-13)
	w.post(t, "/api/analytics/track", exact).want(200)
	w.post(t, "/api/analytics/track", exact+" ").problem(413)
	list := `[{"event":"x"}]`
	w.post(t, "/api/analytics/batch-track", list+strings.Repeat(" ", 1<<20-len(list))).want(200)
	p := w.post(t, "/api/analytics/batch-track", list+strings.Repeat(" ", 1<<20-len(list)+1)).problem(413)
	if !strings.Contains(p.Detail, "1048576") {
		t.Errorf("413 says %s", p.Detail)
	}
	// Without a length, in chunks.
	r, err := http.NewRequest("POST", w.URL+"/api/analytics/batch-track", io.MultiReader(strings.NewReader(strings.Repeat(" ", 2<<20)), strings.NewReader(list)))
	must(t, err)
	res, err := w.Client().Do(r)
	must(t, err)
	defer res.Body.Close()
	if res.StatusCode != 413 {
		t.Errorf("chunks over the limit: %d", res.StatusCode)
	}
}

func TestSlowBodiesEnd(t *testing.T) {
	w := newWorld(t, func(d *Deps) {
		d.Limits = DefaultLimits()
		d.Limits.BodyTimeout = 50 * time.Millisecond
	})
	conn, err := net.Dial("tcp", strings.TrimPrefix(w.URL, "http://"))
	must(t, err)
	defer conn.Close()
	_, err = fmt.Fprintf(conn, "POST /api/analytics/track HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"event\":")
	must(t, err)
	must(t, conn.SetReadDeadline(time.Now().Add(time.Minute)))
	all, err := io.ReadAll(conn) // the server answers and closes
	must(t, err)
	if !strings.HasPrefix(string(all), "HTTP/1.1 408 ") || !strings.Contains(string(all), "problem+json") {
		t.Errorf("answer %q", all)
	}
	if w.ledger.Received != 1 || w.ledger.Rejected != 1 {
		t.Errorf("counted %+v", w.ledger)
	}
}

// TestTheDeadlineEndsWithTheBody waits for the store longer than a body may take.
func TestTheDeadlineEndsWithTheBody(t *testing.T) {
	w := newWorld(t, func(d *Deps) {
		d.Limits = DefaultLimits()
		d.Limits.BodyTimeout = time.Second
		d.Intake = slowStore{d.Intake}
	})
	w.post(t, "/api/analytics/events", `{"event_name":"x"}`).want(201)
}

func TestABodyCutShortIsCounted(t *testing.T) {
	w := newWorld(t)
	conn, err := net.Dial("tcp", strings.TrimPrefix(w.URL, "http://"))
	must(t, err)
	_, err = fmt.Fprintf(conn, "POST /api/analytics/track HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{\"event\":")
	must(t, err)
	must(t, conn.Close())
	until(t, func() bool {
		l, _ := w.Ledger(t.Context())
		return l.Received == 1 && l.Rejected == 1
	})
}

// TestLargeBodiesShareABudget holds large bodies open until no more are let in.
func TestLargeBodiesShareABudget(t *testing.T) {
	w := newWorld(t, func(d *Deps) {
		d.Limits = DefaultLimits()
		d.Limits.BodyMemory = 1 << 20
	})
	addr := strings.TrimPrefix(w.URL, "http://")
	conn, err := net.Dial("tcp", addr)
	must(t, err)
	defer conn.Close()
	_, err = fmt.Fprintf(conn, "POST /api/analytics/batch-track HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n%s", strings.Repeat(" ", 600_000))
	must(t, err)
	large := strings.Repeat(" ", 600_000) + `[{"event":"x"}]`
	until(t, func() bool { return w.api.bodies.budget.Load() < 200_000 })
	a := w.post(t, "/api/analytics/batch-track", large)
	if a.problem(503); a.header.Get("Retry-After") != "1" {
		t.Errorf("Retry-After %q", a.header.Get("Retry-After"))
	}
	w.post(t, "/api/analytics/track", `{"event":"x"}`).want(200) // small ones need no budget
	must(t, conn.Close())
	until(t, func() bool { return w.api.bodies.budget.Load() == 1<<20 })
	w.post(t, "/api/analytics/batch-track", large).want(200)
}

// until waits for something that happens soon.
func until(t *testing.T, true func() bool) {
	t.Helper()
	deadline := time.After(2 * time.Minute)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !true() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("it did not happen in time")
		}
	}
}
