package alert

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/notifier"
	"github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"github.com/tidemark-obs/tidemark/internal/proctest"
	"github.com/tidemark-obs/tidemark/internal/tooltest"
)

const (
	parityFor    = 40 * time.Second // of samples, pushed ahead
	parityResend = 10 * time.Second
	parityURL    = "http://parity.example"
	rulesPath    = "/api/v1/rules?exclude_alerts=true"
)

// TestParity gives a real Prometheus and the evaluator the same rule files at the same paths and
// the same samples, and compares every sample that the rules write, bit by bit, and every
// notification. Both evaluate a group at times that follow from its name and its file's path.
//
// When a machine stands still, one of the two skips an evaluation, or lets a group read another's
// samples before they are written. What came before that is compared all the same, and strictly;
// then it is done once more, to compare all of it.
func TestParity(t *testing.T) {
	if testing.Short() {
		t.Skip("parity takes a minute, which a -short run has not")
	}
	program := tooltest.Find(t, "prometheus")
	t.Parallel()
	const runs = 5
	var enough bool
	for run := range runs {
		amount, amiss := compare(t, program)
		if enough = enough || amount.enough(); t.Failed() || amiss == "" {
			break
		}
		t.Logf("run %d of at most %d was not in time: %s", run+1, runs, amiss)
	}
	if !enough {
		t.Error("too little was compared")
	}
}

// compare runs both once. It tells how much was compared, and why not all of it.
func compare(t *testing.T, program string) (done amount, amiss string) {
	t.Helper()
	files := []string{parityRules(t, "testdata/parity.rules.yaml"), parityRules(t, "../../alerts/tidemark.rules.yaml")}
	groups := timetable(t, files)
	theirs := startPrometheus(t, program, files)
	ours := startOurs(t, files)
	theirTurns, stopTheirs := follow(groups, theirs.rules)
	defer stopTheirs()
	ourTurns, stopOurs := follow(groups, ours.rules)
	defer stopOurs()
	eventually(t, "both evaluate all groups", func() error {
		if a, b := theirTurns.seen(), ourTurns.seen(); a < len(groups) || b < len(groups) {
			return fmt.Errorf("Prometheus %d, the evaluator %d of %d", a, b, len(groups))
		}
		return nil
	})
	// An alert that is active without any samples has fired by then, and is left out: it began
	// when each of both was started.
	ready := time.Now()
	start := ready.Add(10 * time.Second).Truncate(time.Second)
	samples := paritySamples(t, files, start, parityFor)
	if err := errors.Join(theirs.push(t, samples), ours.push(t, samples)); err != nil {
		t.Fatal(err)
	}
	pushed := time.Now()
	from, to := start.Add(-time.Second), start.Add(parityFor)
	select {
	case <-time.After(time.Until(to.Add(3 * time.Second))): // both evaluate in real time
	case <-t.Context().Done():
	}
	stopTheirs()
	stopOurs()
	theirDir, ourDir := theirs.stop(t), ours.stop(t)

	_, written := read(t, theirDir, from, to)
	for who, w := range map[string]*watch{"Prometheus": theirTurns, "the evaluator": ourTurns} {
		if until, why := w.inTime(groups, written, ready, to); why != "" {
			to, amiss = until.Add(-time.Millisecond), who+": "+why
		}
	}
	if pushed.After(from) {
		to, amiss = from, "samples came too late"
	}
	want, _ := read(t, theirDir, from, to)
	got, _ := read(t, ourDir, from, to)
	done.samples(t, want, got)
	done.notifications(t, theirs.sent(from, to), ours.sent(from, to))
	t.Logf("%+v were equal, up to %v of %v", done, to.Sub(start), parityFor)
	return done, amiss
}

var minutes = regexp.MustCompile(`(for|interval|keep_firing_for): \d+[mh]\b`)

// parityRules is a copy of a rule file in which alerts wait seconds, not minutes.
func parityRules(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(file, "tidemark") {
		text = minutes.ReplaceAll(text, []byte("$1: 3s"))
	}
	dir := spreadDir(t, file)
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(dir, filepath.Base(file))
	rewrite(t, copied, string(text))
	return copied
}

// real is a Prometheus and what it sends to its Alertmanager.
type real struct {
	*proctest.Program
	base     string
	dir      string
	received receiver
}

// receiver is an Alertmanager that only writes down.
type receiver struct {
	mu     sync.Mutex
	alerts []notice
}

// notice is one alert as an Alertmanager gets it.
type notice struct {
	Labels       map[string]string
	Annotations  map[string]string
	StartsAt     time.Time
	EndsAt       time.Time
	GeneratorURL string
}

func (r *receiver) add(n ...notice) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.alerts = append(r.alerts, n...)
}

// sent are the notices from an evaluation in the given time, each as text. How often an alert
// that is over is repeated depends on when both were stopped, so those count once.
func (r *receiver) sent(from, to time.Time) map[string]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make(map[string]int)
	for _, n := range r.alerts {
		evaluated, over := n.EndsAt.Add(-4*parityResend), false
		if !n.EndsAt.After(n.StartsAt.Add(parityFor)) && evaluated.Before(n.StartsAt) {
			evaluated, over = n.EndsAt, true
		}
		if n.StartsAt.Before(from) || evaluated.Before(from) || evaluated.After(to) {
			continue
		}
		text, _ := json.Marshal(struct {
			notice
			Over bool
		}{n, over})
		if over {
			out[string(text)] = 1
		} else {
			out[string(text)]++
		}
	}
	return out
}

func startPrometheus(t *testing.T, program string, files []string) *real {
	t.Helper()
	p := &real{dir: filepath.Join(t.TempDir(), "prometheus")}
	manager := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var all []notice
		if err := json.NewDecoder(r.Body).Decode(&all); err != nil {
			t.Error(err)
		}
		p.received.add(all...)
	}))
	t.Cleanup(manager.Close)
	config, err := json.Marshal(map[string]any{
		"global":     map[string]any{"evaluation_interval": "1s"},
		"rule_files": files,
		"alerting": map[string]any{"alertmanagers": []any{map[string]any{"static_configs": []any{
			map[string]any{"targets": []string{strings.TrimPrefix(manager.URL, "http://")}},
		}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "prometheus.yml")
	rewrite(t, file, string(config))
	var address string
	p.Program, address = proctest.Tool(t, program, "--config.file="+file, "--storage.tsdb.path="+p.dir,
		"--web.enable-remote-write-receiver", "--web.external-url="+parityURL, "--rules.alert.for-grace-period=1s",
		"--rules.alert.for-outage-tolerance=1h", "--rules.alert.resend-delay="+parityResend.String())
	p.base = "http://" + address
	eventually(t, "Prometheus is ready", func() error {
		res, err := http.Get(p.base + "/-/ready")
		if err != nil {
			return err
		}
		defer res.Body.Close()
		if res.StatusCode != http.StatusOK {
			return errors.New(res.Status)
		}
		return nil
	})
	return p
}

// stop ends Prometheus and returns where its samples are.
func (p *real) stop(t *testing.T) string {
	t.Helper()
	http.DefaultClient.CloseIdleConnections()
	if code := p.Stop(time.Minute); code != 0 {
		t.Errorf("Prometheus ended with %d", code)
	}
	return p.dir
}

// rules is what the API says of rules; nothing when it does not answer.
func (p *real) rules(ctx context.Context) []byte {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.base+rulesPath, nil)
	if err != nil {
		return nil
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil
	}
	return body
}

func (p *real) sent(from, to time.Time) map[string]int { return p.received.sent(from, to) }

// own is the evaluator, which notifies as Prometheus does.
type own struct {
	*world
	dir      string
	received receiver
}

func startOurs(t *testing.T, files []string) *own {
	t.Helper()
	o := &own{world: &world{t: t, reg: prometheus.NewRegistry(), log: &logBuffer{}}}
	cfg := testConfig(t.TempDir(), files...)
	cfg.EvaluationInterval, cfg.ScrapeInterval, cfg.ForGracePeriod = time.Second, 1000*time.Hour, time.Second
	cfg.ExternalURL, cfg.ResendDelay, cfg.QueryTimeout = parityURL, parityResend, 2*time.Minute // as there
	deps := o.deps()
	deps.Notify = rules.SendAlerts(o, parityURL)
	e, err := New(cfg, deps)
	if err == nil {
		o.Evaluator, o.dir = e, filepath.Join(cfg.Dir, storeDir)
		err = e.Start("127.0.0.1:1")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(o.world.stop)
	return o
}

// Send makes it a notifier.
func (o *own) Send(all ...*notifier.Alert) {
	for _, a := range all {
		text, err := json.Marshal(a)
		var n notice
		if err := errors.Join(err, json.Unmarshal(text, &n)); err != nil {
			o.t.Error(err)
		}
		// On the wire times have milliseconds.
		n.StartsAt, n.EndsAt = n.StartsAt.Truncate(time.Millisecond), n.EndsAt.Truncate(time.Millisecond)
		if len(n.Annotations) == 0 {
			n.Annotations = nil // which is not on the wire
		}
		o.received.add(n)
	}
}

func (o *own) stop(*testing.T) string {
	o.world.stop()
	return o.dir
}

func (o *own) rules(ctx context.Context) []byte {
	rec := httptest.NewRecorder()
	o.Handler().ServeHTTP(rec, httptest.NewRequestWithContext(ctx, http.MethodGet, rulesPath, nil))
	return rec.Body.Bytes()
}

func (o *own) sent(from, to time.Time) map[string]int { return o.received.sent(from, to) }

// read returns the samples of everything that rules wrote, as text, by series, and those series.
// They are those of alerts, and recorded ones, which have a colon in their names.
func read(t *testing.T, dir string, from, to time.Time) (map[string][]string, []labels.Labels) {
	t.Helper()
	db, err := tsdb.OpenDBReadOnly(dir, "", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	q, err := db.Querier(from.UnixMilli(), to.UnixMilli())
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	out := make(map[string][]string)
	var written []labels.Labels
	set := q.Select(context.Background(), false, nil, labels.MustNewMatcher(labels.MatchRegexp, "__name__", "ALERTS|ALERTS_FOR_STATE|.*:.*"))
	for set.Next() {
		var all []string
		it := set.At().Iterator(nil)
		since := set.At().Labels().Get("__name__") == "ALERTS_FOR_STATE"
		for kind := it.Next(); kind != chunkenc.ValNone; kind = it.Next() {
			if since && began(it).Before(from) {
				continue
			}
			all = append(all, sampleText(it, kind))
		}
		if err := it.Err(); err != nil {
			t.Fatal(err)
		}
		if len(all) > 0 {
			out[set.At().Labels().String()] = all
			written = append(written, set.At().Labels())
		}
	}
	if err := set.Err(); err != nil {
		t.Fatal(err)
	}
	return out, written
}

// began is since when an alert is active, by a sample of ALERTS_FOR_STATE.
func began(it chunkenc.Iterator) time.Time {
	at, v := it.At()
	if value.IsStaleNaN(v) {
		return time.UnixMilli(at)
	}
	return time.Unix(int64(v), 0)
}

// amount is how much was compared.
type amount struct{ Series, Samples, Histograms, Stale, Notifications, Over int }

// enough tells whether every kind was among it.
func (a amount) enough() bool {
	return a.Series >= 100 && a.Samples >= 2000 && a.Histograms >= 50 && a.Stale >= 20 && a.Notifications >= 30 && a.Over >= 10
}

func (a *amount) samples(t *testing.T, theirs, ours map[string][]string) {
	t.Helper()
	for series, want := range theirs {
		if got := ours[series]; !slices.Equal(want, got) {
			t.Errorf("%s:\n Prometheus: %.2000s\n here:       %.2000s", series, strings.Join(want, " "), strings.Join(got, " "))
		}
		a.Samples += len(want)
		for _, s := range want {
			if strings.Contains(s, "{") {
				a.Histograms++
			}
			if strings.HasSuffix(s, staleText) {
				a.Stale++
			}
		}
	}
	for series := range ours {
		if theirs[series] == nil {
			t.Errorf("%s is only here: %.2000s", series, strings.Join(ours[series], " "))
		}
	}
	a.Series += len(theirs)
}

func (a *amount) notifications(t *testing.T, theirs, ours map[string]int) {
	t.Helper()
	for text, n := range theirs {
		if ours[text] != n {
			t.Errorf("Prometheus sent %d times, the evaluator %d times: %s", n, ours[text], text)
		}
		a.Notifications += n
		if strings.HasSuffix(text, `"Over":true}`) {
			a.Over++
		}
	}
	for text, n := range ours {
		if theirs[text] == 0 {
			t.Errorf("only the evaluator sent, %d times: %s", n, text)
		}
	}
}
