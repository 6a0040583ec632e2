package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// service is the real program over its lives: data and address stay, the process changes.
type service struct {
	t    *testing.T
	dir  string
	url  string
	cmd  *exec.Cmd
	logs string
}

// programPath names a program that is built already.
const programPath = "TIDEMARK_TEST_PROGRAM"

// program builds the service once, from the repository that this module lies in.
var program = sync.OnceValues(func() (string, error) {
	if path := os.Getenv(programPath); path != "" {
		return path, nil
	}
	dir, err := os.MkdirTemp("", "tidemark-client-test-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "tidemark")
	cmd := exec.Command("go", "build", "-o", path, "./cmd/tidemark")
	cmd.Dir = ".."
	if out, err := cmd.CombinedOutput(); err != nil {
		return path, fmt.Errorf("building the service: %w: %s", err, out)
	}
	return path, nil
})

var built atomic.Bool

func removeProgram() {
	if built.Load() && os.Getenv(programPath) == "" {
		path, _ := program()
		_ = os.RemoveAll(filepath.Dir(path))
	}
}

func newService(t *testing.T) *service {
	t.Helper()
	if testing.Short() {
		t.Skip("tests with the real service do not run with -short")
	}
	if _, err := os.Stat("../cmd/tidemark"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("the repository of the service is not around this module")
		}
		t.Skip("the repository of the service is not around this module")
	}
	s := &service{t: t, dir: t.TempDir(), url: "http://" + ownAddress(t), logs: filepath.Join(t.TempDir(), "log")}
	t.Cleanup(func() {
		s.kill()
		if text, err := os.ReadFile(s.logs); err == nil && t.Failed() {
			t.Logf("the end of the service's log:\n%s", text[max(0, len(text)-3000):])
		}
	})
	s.start()
	return s
}

// ownAddress is a loopback address where nobody listens, with a port that no kernel gives to who asks
// for any: it is not somebody else's connection while the service is away.
func ownAddress(t *testing.T) string {
	t.Helper()
	var failed error
	for range 1000 {
		address := fmt.Sprintf("127.0.0.1:%d", 12_000+rand.IntN(20_000))
		l, err := net.Listen("tcp", address)
		if err == nil {
			l.Close()
			return address
		}
		failed = err
	}
	t.Fatal(failed)
	return ""
}

// start runs the service and waits until it is ready.
func (s *service) start() {
	s.t.Helper()
	built.Store(true)
	path, err := program()
	if err != nil {
		s.t.Fatal(err)
	}
	log, err := os.Create(s.logs)
	if err != nil {
		s.t.Fatal(err)
	}
	defer log.Close()
	s.cmd = exec.Command(path, "serve", "--web.listen-address="+strings.TrimPrefix(s.url, "http://"), "--data.dir="+s.dir, "--log.format=json")
	s.cmd.Stdout, s.cmd.Stderr = log, log
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "TIDEMARK_") {
			s.cmd.Env = append(s.cmd.Env, v)
		}
	}
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	await(s.t, func() bool {
		text, err := os.ReadFile(s.logs)
		if err != nil {
			s.t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			var l struct{ Msg string }
			if json.Unmarshal([]byte(line), &l) == nil && l.Msg == "tidemark is ready" {
				return true
			}
		}
		return false
	})
}

// kill ends the process as kill -9 does.
func (s *service) kill() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill() // fails only when it is gone already
	_ = s.cmd.Wait()
	s.cmd = nil
}

func (s *service) ask(path string, into any) {
	s.t.Helper()
	res, err := http.Get(s.url + path)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		s.t.Fatalf("GET %s: %v %d %s", path, err, res.StatusCode, text)
	}
	if err := json.Unmarshal(text, into); err != nil {
		s.t.Fatal(err)
	}
}

// stored counts the stored events by id, once all that was accepted is stored.
func (s *service) stored(name string) map[string]int {
	s.t.Helper()
	res, err := http.Post(s.url+"/api/analytics/flush", "application/json", nil)
	if err != nil || res.StatusCode != http.StatusOK {
		s.t.Fatal(err, res)
	}
	_ = res.Body.Close()
	ids := map[string]int{}
	for cursor := ""; ; {
		var page struct {
			Events []struct {
				ID string `json:"event_id"`
			}
			Next string `json:"next_cursor"`
		}
		s.ask("/api/analytics/events?limit=1000&event_name="+name+"&cursor="+url.QueryEscape(cursor), &page)
		for _, e := range page.Events {
			ids[e.ID]++
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	http.DefaultClient.CloseIdleConnections()
	return ids
}

// whole checks that exactly these events are stored, each once.
func (s *service) whole(name string, want []string) {
	s.t.Helper()
	got := s.stored(name)
	missing := 0
	for _, id := range want {
		if got[id] != 1 {
			missing++
		}
	}
	if missing > 0 || len(got) != len(want) {
		s.t.Errorf("%d events are stored, %d were tracked, %d of them are missing or there twice", len(got), len(want), missing)
	}
	var ledger struct{ Lost int }
	s.ask("/api/analytics/ledger", &ledger)
	if ledger.Lost != 0 {
		s.t.Errorf("the service lost %d", ledger.Lost)
	}
	http.DefaultClient.CloseIdleConnections()
}

func (s *service) client(change func(*Config)) *Client {
	s.t.Helper()
	cfg := Config{URL: s.url, MinWait: 10 * time.Millisecond, MaxWait: 200 * time.Millisecond}
	if change != nil {
		change(&cfg)
	}
	c, err := New(cfg)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { abandon(s.t, c) })
	return c
}

func TestEveryFormIsTaken(t *testing.T) {
	s := newService(t)
	var refused atomic.Int64
	c := s.client(func(c *Config) {
		c.Source = "shop"
		c.OnRefused = func(r Refusal) {
			refused.Add(1)
			if !strings.Contains(r.Reason, "tags/0") {
				t.Errorf("%s: %s", r.Event, r.Reason)
			}
		}
	})
	ctx := WithSession(WithUser(t.Context(), "u1"), "s1")
	c.Track(ctx, "signup", map[string]any{"text": "\xffé\u2028\"", "at": time.Now(), "list": []any{1, 2.5, nil}}, Tags("a"), Metadata(map[string]any{"m": 1}),
		Severity(Critical), IPAddress("203.0.113.9"), Timezone("Europe/Berlin"), UserAgent("ua"), Referrer("r"), SampleRate(0.5))
	c.Track(ctx, "bad", nil, Tags(strings.Repeat("x", 60)))
	c.TrackPerformance(ctx, Performance{Operation: "load", Duration: time.Hour, MemoryMB: 3, CPUPercent: 5})
	c.TrackInteraction(ctx, Interaction{Kind: "click", Element: "b", PagePath: "/", At: &Point{1, 2}})
	c.TrackPageView(ctx, PageView{Path: "/p"})
	c.TrackRequest(ctx, APIRequest{Method: "GET", Path: "/x", Status: 503, Duration: time.Second})
	c.TrackError(ctx, errors.ErrUnsupported, nil)
	func() { defer c.Time(ctx, "operation")() }()
	if st := closeNow(t, c); st.Sent != 7 || st.Refused != 1 || refused.Load() != 1 {
		t.Errorf("%+v", st)
	}
	s.stored("signup") // waits until all is stored
	var page struct {
		Events []struct {
			Name     string `json:"event_name"`
			Type     string `json:"event_type"`
			Severity string
			User     string `json:"user_id"`
			Session  string `json:"session_id"`
			Source   string
		}
	}
	s.ask("/api/analytics/events?limit=100&user_id=u1", &page)
	got := map[string]string{}
	for _, e := range page.Events {
		got[e.Name] = e.Type + " " + e.Severity + " " + e.User + " " + e.Session + " " + e.Source
	}
	who := " u1 s1 shop"
	want := map[string]string{"signup": "custom critical" + who, "load": "operation_timing high" + who, "click": "user_interaction low" + who,
		"page_view": "page_view low" + who, "GET /x": "api_error high" + who, "error": "custom high" + who, "operation": "operation_timing low" + who}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v\nwant %v", got, want)
	}
}

// gradual is a load of which so much is tracked as was released: what is sent meanwhile, however
// fast, is not all.
type gradual struct {
	tickets chan struct{}
	done    chan []string
	left    int
}

func startLoad(c *Client, n int) *gradual {
	l := &gradual{tickets: make(chan struct{}, n), done: make(chan []string, 1), left: n}
	go func() { l.done <- load(c, n, func() { <-l.tickets }) }()
	return l
}

func (l *gradual) release(n int) {
	l.left -= n
	for range n {
		l.tickets <- struct{}{}
	}
}

// all releases the rest and returns the ids.
func (l *gradual) all() []string {
	l.release(l.left)
	return <-l.done
}

// load tracks from several goroutines and returns the ids.
func load(c *Client, n int, pace func()) (ids []string) {
	var mu sync.Mutex
	var all sync.WaitGroup
	for g := range 4 {
		all.Go(func() {
			for i := range n / 4 {
				id := fmt.Sprintf("%d-%d", g, i)
				c.Track(context.Background(), "load", map[string]any{"n": i}, EventID(id))
				mu.Lock()
				ids = append(ids, id)
				mu.Unlock()
				pace()
			}
		})
	}
	all.Wait()
	return ids
}

func TestTheServiceIsKilledUnderLoad(t *testing.T) {
	s := newService(t)
	c := s.client(nil)
	l := startLoad(c, 20000)
	for range 3 {
		before := c.Stats().Sent
		l.release(2000)
		await(t, func() bool { return c.Stats().Sent > before+500 })
		s.kill()
		l.release(2000)
		s.start()
	}
	ids := l.all()
	if st := closeNow(t, c); st.Sent != uint64(len(ids)) || st.Retries == 0 {
		t.Errorf("%+v", st)
	}
	s.whole("load", ids)
}

// TestThroughAStorm puts a proxy before the service that refuses, delays, cuts the connection
// before the service hears of a request, and after it has said yes.
func TestThroughAStorm(t *testing.T) {
	s := newService(t)
	target, _ := url.Parse(s.url)
	transport := &http.Transport{}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }, Transport: transport}
	var n atomic.Int64
	storm := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch n.Add(1) % 7 {
		case 0:
			w.WriteHeader(http.StatusTooManyRequests)
		case 1:
			w.WriteHeader(http.StatusServiceUnavailable)
		case 2:
			panic(http.ErrAbortHandler)
		case 3:
			proxy.ServeHTTP(httptest.NewRecorder(), r) // stored, and nobody hears of it
			panic(http.ErrAbortHandler)
		case 4:
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done() // slower than the client waits
		default:
			proxy.ServeHTTP(w, r)
		}
	}))
	defer transport.CloseIdleConnections()
	defer storm.Close()
	c := s.client(func(c *Config) { c.URL, c.Timeout = storm.URL, 300*time.Millisecond })
	ids := load(c, 4000, func() {})
	if st := closeNow(t, c); st.Sent != uint64(len(ids)) || st.Retries == 0 {
		t.Errorf("%+v", st)
	}
	s.whole("load", ids)
}

// TestWhatDoesNotFitIsCounted has a buffer too small for what comes while the service is away.
func TestWhatDoesNotFitIsCounted(t *testing.T) {
	s := newService(t)
	s.kill()
	c := s.client(func(c *Config) { c.MaxBuffered, c.WhenFull = 100<<10, DropOldest })
	load(c, 4000, func() {})
	if st := balanced(t, c); st.Dropped.Full == 0 || st.Sent > 0 {
		t.Errorf("%+v", st)
	}
	s.start()
	st := closeNow(t, c)
	if got := len(s.stored("load")); st.Sent != uint64(got) || st.Sent+st.Dropped.Full != 4000 {
		t.Errorf("%d are stored, %+v", got, st)
	}
}

const (
	victimURL   = "TIDEMARK_TEST_VICTIM"
	victimSpool = "TIDEMARK_TEST_SPOOL"
	victimName  = "TIDEMARK_TEST_NAME"
)

// victim tracks without end and says which events it has tracked, until it is killed.
func victim() error {
	c, err := New(Config{URL: os.Getenv(victimURL), SpoolDir: os.Getenv(victimSpool), MinWait: time.Millisecond})
	if err != nil {
		return err
	}
	var out sync.Mutex
	for g := range 4 {
		go func() {
			for i := 0; ; i++ {
				id := fmt.Sprintf("%s-%d-%d", os.Getenv(victimName), g, i)
				c.Track(context.Background(), "spooled", map[string]any{"n": i}, EventID(id))
				out.Lock()
				fmt.Println(id)
				out.Unlock()
			}
		}()
	}
	select {}
}

// TestAKilledProcessLosesNothing kills applications with events in their spool, while the service
// is there and while it is not.
func TestAKilledProcessLosesNothing(t *testing.T) {
	s := newService(t)
	dir := t.TempDir()
	var tracked []string
	for life := range 6 {
		if life == 2 {
			s.kill()
		}
		if life == 4 {
			s.start()
		}
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), victimURL+"="+s.url, victimSpool+"="+dir, fmt.Sprintf("%s=%d", victimName, life))
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		text := make([]byte, 20000+rand.IntN(60000))
		n, _ := io.ReadFull(out, text) // the victim is killed wherever it is then
		_ = cmd.Process.Kill()
		rest, _ := io.ReadAll(out)
		_ = cmd.Wait()
		for line := range strings.Lines(string(append(text[:n], rest...))) {
			if id, whole := strings.CutSuffix(line, "\n"); whole {
				tracked = append(tracked, id)
			}
		}
	}
	c := s.client(func(c *Config) { c.SpoolDir = dir })
	if st := closeNow(t, c); st.Refused > 0 || st.Dropped.Total() > 0 || st.Corrupt > 0 {
		t.Errorf("%+v", st)
	}
	got := s.stored("spooled")
	missing := 0
	for _, id := range tracked {
		if got[id] != 1 {
			missing++
		}
	}
	// Events whose Track had not returned when the process died may be there as well.
	if missing > 0 || len(tracked) < 1000 || len(got) > len(tracked)+6*4 {
		t.Errorf("%d tracked, %d stored, %d missing", len(tracked), len(got), missing)
	}
	t.Logf("%d tracked, %d stored", len(tracked), len(got))
}
