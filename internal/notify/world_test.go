package notify

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/rules"

	"github.com/tidemark-obs/tidemark/internal/store"
)

const (
	interval = 15 * time.Second // of evaluation
	validity = 4 * time.Minute  // of a report, as the evaluator gives it
)

// world is a manager over the real embedded database, on a clock that tests own.
type world struct {
	t    *testing.T
	cfg  Config
	dir  string
	db   *store.Store
	wrap func(*store.Store) interface { // what stands between manager and database
		Store
		Office
	}
	m        *Manager
	registry *prometheus.Registry
	ears     map[string]*ear
	firing   map[string]time.Time // what the evaluator finds, since when
}

// ear is a receiver that writes down what it hears.
type ear struct {
	mu    sync.Mutex
	heard []message
	fail  func(try int) error
	tries []time.Time
}

func (e *ear) send(_ context.Context, m *message) (string, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.tries = append(e.tries, time.Now())
	if e.fail != nil {
		if err := e.fail(len(e.tries)); err != nil {
			return "", err
		}
	}
	e.heard = append(e.heard, *m)
	return "heard", nil
}

// failing decides from now on whether a try fails; nil = none does.
func (e *ear) failing(fail func(try int) error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.fail = fail
}

func (e *ear) triedAt() []time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.tries)
}

// ids are those of the messages that take has not taken.
func (e *ear) ids() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var all []string
	for i := range e.heard {
		all = append(all, e.heard[i].id)
	}
	return all
}

// take returns what was heard since the last call: one line for each message, as
// "+Up/a +Up/b -Up/c" for alerts that fire and that have ended.
func (e *ear) take() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var lines []string
	for i := range e.heard {
		var words []string
		for _, a := range e.heard[i].alerts {
			sign := "-"
			if a.Firing {
				sign = "+"
			}
			words = append(words, sign+a.Name()+"/"+a.Labels["instance"])
		}
		slices.Sort(words)
		lines = append(lines, strings.Join(words, " "))
	}
	e.heard = nil
	return lines
}

func testConfig(receivers ...Receiver) Config {
	if len(receivers) == 0 {
		receivers = []Receiver{{Name: "ops", Type: Webhook, URL: "http://ops.example"}}
	}
	return Config{GroupBy: []string{"alertname"}, GroupWait: 30 * time.Second, GroupInterval: 5 * time.Minute,
		RepeatInterval: 4 * time.Hour, SendResolved: true, ExternalURL: "http://tidemark.example", Receivers: receivers}
}

// inWorld runs a story in a bubble of time.
func inWorld(t *testing.T, cfg Config, story func(w *world)) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, cfg: cfg, dir: dir, ears: map[string]*ear{}, firing: map[string]time.Time{}}
		for _, r := range cfg.Receivers {
			w.ears[r.Name] = &ear{}
		}
		w.start()
		story(w)
		w.stop()
	})
}

func (w *world) start() {
	w.t.Helper()
	db, err := store.Open(w.t.Context(), store.Config{Dir: w.dir, Now: time.Now, Threads: 1})
	w.ok(err)
	_, err = db.Migrate(w.t.Context(), false)
	w.ok(err)
	w.db = db
	w.registry = prometheus.NewRegistry()
	opt := Options{Config: w.cfg, Store: db, Office: db, Replica: "one", Interval: interval,
		Logger: slog.New(slog.DiscardHandler), Registry: w.registry, Now: time.Now}
	if w.wrap != nil {
		between := w.wrap(db)
		opt.Store, opt.Office = between, between
	}
	w.m, err = New(opt)
	w.ok(err)
	w.listen(w.m.book.plan)
	w.m.Start()
	synctest.Wait()
}

// listen puts the ears in the places of a plan's real senders.
func (w *world) listen(p *plan) {
	for _, r := range p.receivers {
		if w.ears[r.name] == nil {
			w.ears[r.name] = &ear{}
		}
		r.sender = w.ears[r.name]
	}
}

// apply is Manager.Apply with ears from the first moment on.
func (w *world) apply(cfg Config) {
	w.t.Helper()
	p, err := makePlan(cfg)
	w.ok(err)
	w.listen(p)
	w.m.follow(p)
}

func (w *world) stop() {
	w.t.Helper()
	w.ok(w.m.Stop(w.t.Context()))
	w.ok(w.db.Close())
}

// crash ends the manager where it stands: nothing more is sent or stored.
func (w *world) crash() {
	w.t.Helper()
	close(w.m.stopping)
	w.m.cut()
	w.m.stop()
	w.ok(w.db.Close())
	w.m.loops.Wait()
	w.m.sends.Wait()
	w.m.questions.Wait()
	for _, e := range w.ears {
		e.mu.Lock()
		e.tries = nil
		e.mu.Unlock()
	}
}

func (w *world) ok(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// fire and resolve say what the evaluator finds from now on: names as Up/a. All come in one report, so
// that nobody can be told of some of them in between.
func (w *world) fire(names ...string) {
	for _, name := range names {
		w.firing[name] = time.Now()
	}
	w.report(time.Time{}, names...)
}

func (w *world) resolve(names ...string) {
	w.report(time.Now(), names...)
	for _, name := range names {
		delete(w.firing, name)
	}
}

func (w *world) report(resolvedAt time.Time, names ...string) {
	alerts := make([]*rules.Alert, len(names))
	for i, name := range names {
		alerts[i] = ruleAlert(name, w.firing[name], resolvedAt)
	}
	w.m.Notify(w.t.Context(), "up == 0", alerts...)
}

func ruleAlert(name string, firedAt, resolvedAt time.Time) *rules.Alert {
	alertname, instance, _ := strings.Cut(name, "/")
	return &rules.Alert{
		State: rules.StateFiring, FiredAt: firedAt, ActiveAt: firedAt, ResolvedAt: resolvedAt, ValidUntil: time.Now().Add(validity),
		Labels:      labels.FromStrings("alertname", alertname, "instance", instance, "severity", "critical"),
		Annotations: labels.FromStrings("summary", name+" is down"),
	}
}

// pass lets time go by while the evaluator repeats what fires once a minute.
func (w *world) pass(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); {
		time.Sleep(min(time.Minute, time.Until(end)))
		for name := range w.firing {
			w.report(time.Time{}, name)
		}
		synctest.Wait()
	}
}

func (w *world) wantHeard(receiver string, want ...string) {
	w.t.Helper()
	synctest.Wait()
	if got := w.ears[receiver].take(); !slices.Equal(got, want) {
		w.t.Errorf("%s heard %q, want %q", receiver, got, want)
	}
}

// history are the lines in the database, oldest first, without their details.
func (w *world) history() []string {
	w.t.Helper()
	lines, err := w.db.AlertHistory(w.t.Context(), store.AlertHistoryFilter{Limit: 1000})
	w.ok(err)
	slices.Reverse(lines)
	var all []string
	for _, l := range lines {
		all = append(all, strings.TrimSpace(l.What+" "+l.AlertName+" "+l.Receiver))
	}
	return all
}
