package alert

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/rules"
)

const (
	lookEvery = 150 * time.Millisecond // far more often than a group is evaluated
	evalEvery = time.Second            // where a group does not say
	// apart is how far from each other the groups of a file are due at least, so that a short delay of
	// one does not let another read what came before.
	apart = 140 * time.Millisecond
)

// timed is a rule group: when it is due, what it reads, and what it writes.
type timed struct {
	*rules.Group
	offset time.Duration // so long ago is the time that it evaluates
	reads  [][]*labels.Matcher
	writes map[string]bool // names of recorded series and of alerts
}

// timetable are all groups of the files, by the API's key for them.
func timetable(t *testing.T, files []string) map[string]*timed {
	t.Helper()
	set, err := ReadRuleFiles(files)
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]*timed)
	for file, groups := range set.groups {
		for _, g := range groups.Groups {
			interval := evalEvery
			if g.Interval > 0 {
				interval = time.Duration(g.Interval)
			}
			one := &timed{Group: rules.NewGroup(rules.GroupOptions{Name: g.Name, File: file, Interval: interval}), writes: make(map[string]bool)}
			if g.QueryOffset != nil {
				one.offset = time.Duration(*g.QueryOffset)
			}
			for _, r := range g.Rules {
				one.writes[r.Record+r.Alert] = true // it is one of both
				expr, err := set.parser.ParseExpr(r.Expr)
				if err != nil {
					t.Fatal(err)
				}
				parser.Inspect(expr, func(n parser.Node, _ []parser.Node) error {
					if v, ok := n.(*parser.VectorSelector); ok {
						one.reads = append(one.reads, v.LabelMatchers)
					}
					return nil
				})
			}
			all[rules.GroupKey(file, g.Name)] = one
		}
	}
	return all
}

// due is when a group was due last, at a time.
func (g *timed) due(at time.Time) time.Time { return g.EvalTimestamp(at.UnixNano()) }

// spread tells whether the groups are due apart from each other, whatever the second.
func spread(all map[string]*timed) bool {
	for a := range maps.Values(all) {
		for b := range maps.Values(all) {
			gap := (a.due(time.Now()).Sub(b.due(time.Now()))%time.Second + time.Second) % time.Second
			if a != b && min(gap, time.Second-gap) < apart {
				return false
			}
		}
	}
	return true
}

// spreadDir is a directory in which a rule file's groups are due apart from each other.
func spreadDir(t *testing.T, file string) string {
	t.Helper()
	set, err := ReadRuleFiles([]string{file})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for n := range 100_000 {
		below := filepath.Join(dir, fmt.Sprint(n))
		all := make(map[string]*timed)
		for _, g := range set.groups[file].Groups {
			all[g.Name] = &timed{Group: rules.NewGroup(rules.GroupOptions{
				Name: g.Name, File: filepath.Join(below, filepath.Base(file)), Interval: evalEvery,
			})}
		}
		if spread(all) {
			return below
		}
	}
	t.Fatalf("no directory lets the groups of %s be due apart", file)
	return ""
}

// turn is one evaluation of a group.
type turn struct{ begin, end time.Time }

// watch keeps when the groups of one evaluator were evaluated, as its API tells.
type watch struct {
	mu    sync.Mutex
	turns map[string]map[time.Time]turn // by group and time at which it was due
}

// look adds the last evaluation of every group. An answer that cannot be had is missed.
func (w *watch) look(groups map[string]*timed, answer []byte) {
	var out struct {
		Data struct {
			Groups []struct {
				Name, File     string
				LastEvaluation time.Time
				EvaluationTime float64
			}
		}
	}
	if json.Unmarshal(answer, &out) != nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, g := range out.Data.Groups {
		key := rules.GroupKey(g.File, g.Name)
		if groups[key] == nil || g.LastEvaluation.IsZero() {
			continue
		}
		if w.turns[key] == nil {
			w.turns[key] = make(map[time.Time]turn)
		}
		end := g.LastEvaluation.Add(time.Duration(g.EvaluationTime * float64(time.Second)))
		// A timer may be a little early by the wall clock.
		w.turns[key][groups[key].due(g.LastEvaluation.Add(20*time.Millisecond))] = turn{g.LastEvaluation, end}
	}
}

// follow looks until the returned function is called.
func follow(groups map[string]*timed, ask func(context.Context) []byte) (w *watch, stop func()) {
	w = &watch{turns: make(map[string]map[time.Time]turn)}
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() {
		tick := time.NewTicker(lookEvery)
		defer tick.Stop()
		for ctx.Err() == nil {
			w.look(groups, ask(ctx))
			select {
			case <-tick.C:
			case <-ctx.Done():
			}
		}
	})
	return w, func() { cancel(); work.Wait() }
}

// seen is of how many groups there were evaluations.
func (w *watch) seen() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.turns)
}

// inTime is until when every group was evaluated whenever it was due, and after all that it reads,
// and what was first amiss. written are the series that rules wrote; those of a group that evaluates
// times past are read by no other.
func (w *watch) inTime(groups map[string]*timed, written []labels.Labels, from, to time.Time) (until time.Time, why string) {
	until = to
	cut := func(at time.Time, format string, args ...any) {
		if at.Before(until) {
			until, why = at, fmt.Sprintf(format, args...)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for key, g := range groups {
		sources := g.sources(groups, written)
		for at := g.due(from); !at.After(to); at = at.Add(g.Interval()) {
			own, ok := w.turns[key][at]
			if !ok {
				cut(at.Add(-g.offset), "%s was not seen evaluated at %v", key, at)
				continue
			}
			for _, source := range sources {
				theirs := groups[source].due(at)
				if s, ok := w.turns[source][theirs]; theirs.After(from) && (!ok || s.end.After(own.begin)) {
					cut(at.Add(-g.offset), "%s at %v did not wait for %s", key, at, source)
				}
			}
		}
	}
	return until, why
}

// sources are the other groups that wrote series which this one reads.
func (g *timed) sources(groups map[string]*timed, written []labels.Labels) (keys []string) {
	for key, other := range groups {
		if other != g && slices.ContainsFunc(written, func(l labels.Labels) bool {
			return (other.writes[l.Get(model.MetricNameLabel)] || other.writes[l.Get(labels.AlertName)]) &&
				slices.ContainsFunc(g.reads, func(all []*labels.Matcher) bool { return matches(l, all) })
		}) {
			keys = append(keys, key)
		}
	}
	return keys
}

func matches(l labels.Labels, all []*labels.Matcher) bool {
	return !slices.ContainsFunc(all, func(m *labels.Matcher) bool { return !m.Matches(l.Get(m.Name)) })
}

// TestLateEvaluationsAreSeen spoils a run in which everything was in time.
func TestLateEvaluationsAreSeen(t *testing.T) {
	t.Parallel()
	file := parityRules(t, "testdata/parity.rules.yaml")
	groups := timetable(t, []string{file})
	from := time.Now()
	to, at := from.Add(20*time.Second), from.Add(10*time.Second)
	written := []labels.Labels{labels.FromStrings("__name__", "job:gauge:sum"), labels.FromStrings("__name__", "ALERTS", "alertname", "AtOnce")}
	recorded, alerts, slower := rules.GroupKey(file, "recorded"), rules.GroupKey(file, "alerts"), rules.GroupKey(file, "slower")
	for name, c := range map[string]struct {
		spoil func(w *watch)
		until time.Time
	}{
		"nothing":                  {func(*watch) {}, to},
		"one skipped":              {func(w *watch) { delete(w.turns[alerts], groups[alerts].due(at)) }, groups[alerts].due(at)},
		"one of times past":        {func(w *watch) { delete(w.turns[slower], groups[slower].due(at)) }, groups[slower].due(at).Add(-2 * time.Second)},
		"read before it was there": {func(w *watch) { w.delay(recorded, groups[recorded].due(groups[alerts].due(at)), time.Second) }, groups[alerts].due(at)},
		"late, and read by nobody": {func(w *watch) { w.delay(alerts, groups[alerts].due(at), 500*time.Millisecond) }, to},
	} {
		w := &watch{turns: make(map[string]map[time.Time]turn)}
		for key, g := range groups {
			w.turns[key] = make(map[time.Time]turn)
			for due := g.due(from); !due.After(to); due = due.Add(g.Interval()) {
				w.turns[key][due] = turn{due.Add(time.Millisecond), due.Add(2 * time.Millisecond)}
			}
		}
		c.spoil(w)
		if until, why := w.inTime(groups, written, from, to); !until.Equal(c.until) || (why == "") != until.Equal(to) {
			t.Errorf("%s: in time until %v, want %v: %s", name, until, c.until, why)
		}
	}
}

// delay has an evaluation end later.
func (w *watch) delay(key string, due time.Time, d time.Duration) {
	turn := w.turns[key][due]
	turn.end = turn.end.Add(d)
	w.turns[key][due] = turn
}
