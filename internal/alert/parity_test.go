package alert

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
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
)

// TestParity gives a real Prometheus and the evaluator the same rule files at the same paths and
// the same samples, and compares every sample that the rules write, bit by bit, and every
// notification. Both evaluate a group at times that follow from its name and its file's path.
func TestParity(t *testing.T) {
	if testing.Short() {
		t.Skip("parity takes a minute, which a -short run has not")
	}
	program := tooltest.Find(t, "prometheus")
	t.Parallel()
	// A machine that stands still for longer than lies between two groups changes what one of
	// them reads from the other, or skips an evaluation, now here and now there. What is a fault of
	// ours differs in every run.
	var always map[string]string
	for run := range 4 {
		found := compare(t, program)
		if run == 0 {
			always = found
		}
		maps.DeleteFunc(always, func(what, _ string) bool { return found[what] == "" })
		if len(always) == 0 {
			return
		}
		t.Logf("%d differences in run %d, %d of them in every run", len(found), run+1, len(always))
	}
	for what, text := range always {
		t.Errorf("%s: %.2000s", what, text)
	}
}

// compare runs both once and tells what came out differently: the series, or the alert, and how.
func compare(t *testing.T, program string) map[string]string {
	t.Helper()
	files := []string{parityRules(t, "testdata/parity.rules.yaml"), parityRules(t, "../../alerts/tidemark.rules.yaml")}
	theirs := startPrometheus(t, program, files)
	ours := startOurs(t, files)
	// An alert that is active without any samples has fired by then, and is left out: it began
	// when each of both was started.
	start := time.Now().Add(8 * time.Second).Truncate(time.Second)
	samples := paritySamples(t, files, start, parityFor)
	if err := errors.Join(theirs.push(t, samples), ours.push(t, samples)); err != nil {
		t.Fatal(err)
	}
	from, to := start.Add(-time.Second), start.Add(parityFor)
	select {
	case <-time.After(time.Until(to.Add(3 * time.Second))): // both evaluate in real time
	case <-t.Context().Done():
	}
	theirDir, ourDir := theirs.stop(t), ours.stop(t)
	differences := compareStores(t, read(t, theirDir, from, to), read(t, ourDir, from, to))
	maps.Copy(differences, compareNotifications(t, theirs.sent(from, to), ours.sent(from, to)))
	return differences
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
	copied := filepath.Join(t.TempDir(), filepath.Base(file))
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
	cfg.ExternalURL, cfg.ResendDelay = parityURL, parityResend
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

func (o *own) sent(from, to time.Time) map[string]int { return o.received.sent(from, to) }

// read returns the samples of everything that rules wrote, as text, by series. Series are those
// of alerts, and recorded ones, which have a colon in their names.
func read(t *testing.T, dir string, from, to time.Time) map[string][]string {
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
		}
	}
	if err := set.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// began is since when an alert is active, by a sample of ALERTS_FOR_STATE.
func began(it chunkenc.Iterator) time.Time {
	at, v := it.At()
	if value.IsStaleNaN(v) {
		return time.UnixMilli(at)
	}
	return time.Unix(int64(v), 0)
}

func compareStores(t *testing.T, theirs, ours map[string][]string) map[string]string {
	t.Helper()
	differences := map[string]string{}
	samples, histograms, stale := 0, 0, 0
	for series, want := range theirs {
		if got := ours[series]; !slices.Equal(want, got) {
			differences[series] = fmt.Sprintf("\n Prometheus: %s\n here:       %s", strings.Join(want, " "), strings.Join(got, " "))
		}
		samples += len(want)
		for _, s := range want {
			if strings.Contains(s, "{") {
				histograms++
			}
			if strings.HasSuffix(s, staleText) {
				stale++
			}
		}
	}
	for series := range ours {
		if theirs[series] == nil {
			differences[series] = "only here: " + strings.Join(ours[series], " ")
		}
	}
	t.Logf("%d series, %d samples, of which %d native histograms and %d stale markers", len(theirs), samples, histograms, stale)
	if len(theirs) < 100 || samples < 2000 || histograms < 50 || stale < 20 {
		differences["samples"] = "too little was compared"
	}
	return differences
}

func compareNotifications(t *testing.T, theirs, ours map[string]int) map[string]string {
	t.Helper()
	differences := map[string]string{}
	total, over := 0, 0
	for text, n := range theirs {
		if ours[text] != n {
			differences[alertOf(t, text)] = fmt.Sprintf("Prometheus sent %d times, the evaluator %d times: %s", n, ours[text], text)
		}
		total += n
		if strings.HasSuffix(text, `"Over":true}`) {
			over++
		}
	}
	for text, n := range ours {
		if theirs[text] == 0 {
			differences[alertOf(t, text)] = fmt.Sprintf("only the evaluator sent, %d times: %s", n, text)
		}
	}
	t.Logf("%d notifications, of which %d tell that an alert is over", total, over)
	if total < 30 || over < 10 {
		differences["notifications"] = "too little was compared"
	}
	return differences
}

// alertOf is which alert a notice, as text, is about.
func alertOf(t *testing.T, text string) string {
	t.Helper()
	var n struct {
		Labels map[string]string
		Over   bool
	}
	if err := json.Unmarshal([]byte(text), &n); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint("notification of ", n.Labels, ", over: ", n.Over)
}
