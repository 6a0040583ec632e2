package storetest

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tidemark-obs/tidemark/internal/declared"
	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/projection"
	"github.com/tidemark-obs/tidemark/internal/store"
)

func projectionStories() []story {
	return []story{
		{"metrics are what was stored, over duplicates, crashes and two writers", projectionsRecounted},
		{"known values come first, then who comes first, the rest is other", projectionBudget},
		{"another declaration begins anew, and the old one goes on where it was", projectionsRedeclared},
	}
}

func shopDeclared() declared.Config {
	return declared.Config{
		Dimensions: []declared.DimensionConfig{
			{Property: "plan", Values: 4, Known: []string{"pro", "free"}},
			{Property: "cart.country", Values: 3, Events: []string{"pay"}},
		},
		Numbers: []declared.NumberConfig{{Property: "amount"}},
		Metrics: []declared.MetricConfig{
			{Event: "pay", Labels: []string{"plan", "cart.country"}},
			{Event: "pay", Histogram: "amount", Buckets: []float64{-1, 0.5, 10}, Labels: []string{"plan"}},
			{Event: "view"},
		},
	}
}

// declare opens the store anew with a declaration.
func (b *bench) declare(c declared.Config) {
	b.Helper()
	set, err := declared.New(c, "s")
	b.ok(err)
	b.cfg.Declared = set
	b.reopen()
}

// counted is what a test knows of one series: count, sum, and how many lay at or below each bound.
type counted struct {
	count uint64
	sum   float64
	upTo  [3]uint64
}

// recount counts a stream's events as doc.go of projection promises, in its own way.
type recount struct {
	kept   map[string][]string // by metric and label
	series map[string]counted
}

func newRecount() *recount {
	return &recount{kept: map[string][]string{"pays/plan": {"pro", "free"}, "amounts/plan": {"pro", "free"}}, series: map[string]counted{
		"views": {}, "amounts pro": {}, "amounts free": {},
	}}
}

func (r *recount) label(metric, label string, budget int, v any) string {
	text := ""
	switch v := v.(type) {
	case string:
		text = v
	case float64:
		text = strconv.FormatFloat(v, 'f', -1, 64)
	case bool:
		text = fmt.Sprint(v)
	}
	if text == "" || text == "other" {
		return text
	}
	kept := r.kept[metric+"/"+label]
	for _, k := range kept {
		if k == text {
			return text
		}
	}
	if len([]rune(text)) > 100 || len(kept) == budget {
		return "other"
	}
	r.kept[metric+"/"+label] = append(kept, text)
	return text
}

func (r *recount) add(e *event.Event) {
	var p struct {
		Plan, Amount, Cart any
	}
	if e.Properties != nil {
		if err := json.Unmarshal(e.Properties, &p); err != nil {
			panic(err)
		}
	}
	cart, _ := p.Cart.(map[string]any)
	count := func(key string, v float64) {
		c := r.series[key]
		c.count++
		c.sum += v
		for i, bound := range []float64{-1, 0.5, 10} {
			if v <= bound {
				c.upTo[i]++
			}
		}
		r.series[key] = c
	}
	switch e.Name {
	case "view":
		count("views", 100)
	case "pay":
		count("pays "+r.label("pays", "plan", 4, p.Plan)+","+r.label("pays", "country", 3, cart["country"]), 100)
		if v, is := p.Amount.(float64); is {
			count(strings.TrimSpace("amounts "+r.label("amounts", "plan", 4, p.Plan)), v)
		}
	}
}

// seen are series as recount has them.
func seen(list []projection.Series) map[string]counted {
	all := map[string]counted{}
	for _, s := range list {
		c := counted{count: s.Count, sum: s.Sum}
		if s.Buckets == nil {
			c.sum = 100 * float64(s.Count) // above every bound
		}
		var below uint64
		for i, n := range s.Buckets {
			below += n
			c.upTo[i] = below
		}
		all[strings.TrimSpace([]string{"pays ", "amounts ", "views"}[s.Metric]+strings.Join(s.Labels, ","))] = c
	}
	return all
}

// shopEvent is an event with values of every sort.
func shopEvent(r *rand.Rand, id string) event.Event {
	e := at(id, time.Duration(r.IntN(1000))*time.Minute)
	e.Name = pick(r, "pay", "pay", "pay", "view", "else")
	if r.IntN(10) == 0 {
		return e
	}
	plan := pick(r, `"pro"`, `"pro"`, `"free"`, `"\u0070ro"`, `"team"`, `"x y"`, `7`, `7.0`, `"7"`, `true`, `null`, `""`, `"other"`, `[1]`, `"a\"é\\"`, `"`+strings.Repeat("l", 101)+`"`)
	amount := pick(r, `1`, `0.5`, `-1`, `-2.25`, `1e2`, `10.0`, `"3"`, `null`, `{}`, `10.25`)
	e.Properties = event.Object(`{"plan":` + plan + `,"cart":` + pick(r, `{"n":1,"country":"DE"}`, `{"country":`+strconv.Itoa(r.IntN(6))+`}`, `{}`, `"c"`) + `,"amount":` + amount + `}`)
	return e
}

// branch is one writer: its store, its stream, and the recount of it.
type branch struct {
	name   string
	store  *store.Store
	cursor store.Cursor
	count  *recount
	seen   map[string]counted // as the results of commits told
}

func (b *bench) branches(n int) []*branch {
	b.Helper()
	list := make([]*branch, n)
	for i := range list {
		list[i] = &branch{name: fmt.Sprint("stream ", i), store: b.store, count: newRecount()}
		if i > 0 && b.store.Dialect() == "postgres" {
			list[i].store = b.another()
		}
		list[i].cursor = b.cursorOf(list[i].name)
	}
	return list
}

// push commits a batch however often it takes, as the store writer does; the first tries end early.
func (w *branch) push(b *bench, r *rand.Rand, events []event.Event) {
	b.Helper()
	batch := store.Batch{From: w.cursor, Seq: w.cursor.Seq + 1, Events: events}
	for try := 0; ; try++ {
		ctx, cancel := context.WithTimeout(b.Context(), 10*time.Second)
		if try == 0 && r.IntN(3) == 0 {
			ctx, cancel = context.WithTimeout(b.Context(), time.Duration(r.IntN(8000))*time.Microsecond)
		}
		result, err := w.store.Commit(ctx, &batch)
		cancel()
		if err == nil {
			w.cursor = result.Cursor
			return
		}
		if try == 20 || !errs.Is(err, errs.Unavailable) && !errs.Is(err, errs.Conflict) {
			b.Fatal(err)
		}
		if now, err := w.store.Cursor(b.Context(), w.name); err == nil && now.Seq == batch.Seq {
			w.cursor = now
			return
		}
	}
}

func (w *branch) compare(b *bench) {
	b.Helper()
	list, err := w.store.Projections(b.Context(), w.name)
	b.ok(err)
	if got := seen(list); !reflect.DeepEqual(got, w.count.series) {
		b.Fatalf("%s: exported\n%v\ncounted\n%v", w.name, got, w.count.series)
	}
}

func projectionsRecounted(b *bench) {
	b.declare(shopDeclared())
	for seed := range uint64(fewer(2, 1)) {
		r := rand.New(rand.NewPCG(seed, 11))
		writers := b.branches(2)
		for _, w := range writers {
			w.name += fmt.Sprint(" of ", seed)
			w.cursor = b.cursorOf(w.name)
		}
		stored, ids := map[string]bool{}, 0
		for round := range 40 {
			w := pick(r, writers...)
			var batch []event.Event
			for range r.IntN(60) {
				if ids++; ids > 1 && r.IntN(5) == 0 {
					batch = append(batch, shopEvent(r, fmt.Sprint(seed, " ", 1+r.IntN(ids)))) // perhaps one that is there
					continue
				}
				batch = append(batch, shopEvent(r, fmt.Sprint(seed, " ", ids)))
			}
			w.push(b, r, batch)
			for i := range batch {
				if !stored[batch[i].ID] {
					stored[batch[i].ID] = true
					w.count.add(&batch[i])
				}
			}
			if len(batch) > 0 && r.IntN(4) == 0 { // what was stored was stored
				if err := w.store.Delete(b.Context(), batch[0].ID); err != nil && !errs.Is(err, errs.NotFound) {
					b.Fatal(err)
				}
			}
			w.compare(b)
			if round%10 == 9 {
				b.reopen()
				writers[0].store = b.store
				if writers[1].store = b.store; b.store.Dialect() == "postgres" {
					writers[1].store = b.another()
				}
			}
		}
		for _, w := range writers {
			w.compare(b)
		}
	}
}

// projectionsTogether has two writers store the same ids at once. Who stored which, the results tell.
func projectionsTogether(b *bench) {
	b.declare(shopDeclared())
	writers := b.branches(2)
	for round := range 10 {
		var wg sync.WaitGroup
		for n, w := range writers {
			r := rand.New(rand.NewPCG(uint64(round), uint64(n)))
			var batch []event.Event
			for range 200 {
				batch = append(batch, shopEvent(r, fmt.Sprint(round, " ", r.IntN(250))))
			}
			wg.Go(func() {
				result, err := w.store.Commit(b.Context(), &store.Batch{From: w.cursor, Seq: w.cursor.Seq + 1, Events: batch})
				if err != nil {
					b.Error(err)
					return
				}
				w.cursor = result.Cursor
				dropped := map[string]int{}
				for _, id := range result.Duplicates {
					dropped[id]++
				}
				left := map[string]int{}
				for i := range batch {
					left[batch[i].ID]++
				}
				for i := range batch {
					if id := batch[i].ID; left[id] > dropped[id] { // the first is the one that was stored
						w.count.add(&batch[i])
						left[id] = 0
					}
				}
				if w.seen == nil {
					w.seen = map[string]counted{}
				}
				for key, c := range seen(result.Projections) {
					w.seen[key] = c
				}
			})
		}
		wg.Wait()
		for _, w := range writers {
			w.compare(b)
			for key, c := range w.seen {
				if c != w.count.series[key] {
					b.Errorf("a commit told %s is %v, it is %v", key, c, w.count.series[key])
				}
			}
		}
	}
}

func planEvent(b *bench, n int, plan string) event.Event {
	e := at(fmt.Sprint(b.cursor.Seq, "-", n), 0)
	e.Name, e.Properties = "pay", event.Object(`{"plan":"`+plan+`"}`)
	return e
}

// plans are the counts of pay by plan, of the stream that bench writes.
func (b *bench) plans() string {
	b.Helper()
	list, err := b.store.Projections(b.Context(), b.cursor.Stream)
	b.ok(err)
	var text []string
	for _, s := range list {
		text = append(text, fmt.Sprintf("%s=%d", s.Labels[0], s.Count))
	}
	return strings.Join(text, " ")
}

func planDeclared(values int, known ...string) declared.Config {
	return declared.Config{
		Dimensions: []declared.DimensionConfig{{Property: "plan", Values: values, Known: known}},
		Metrics:    []declared.MetricConfig{{Event: "pay", Labels: []string{"plan"}}},
	}
}

func projectionBudget(b *bench) {
	b.declare(planDeclared(3, "pro"))
	step := func(want string, plans ...string) {
		b.Helper()
		var batch []event.Event
		for i, p := range plans {
			batch = append(batch, planEvent(b, i, p))
		}
		b.clock.advance(time.Second)
		b.commit(batch...)
		if got := b.plans(); got != want {
			b.Fatalf("after %q: %s, want %s", plans, got, want)
		}
	}
	step("pro=0")
	step("a=2 b=1 other=2 pro=0", "a", "b", "c", "a", "d")
	step("a=2 b=1 other=3 pro=1", "pro", "c")
	b.declare(planDeclared(2, "pro")) // b has no room any more
	step("a=3 other=4 pro=1", "a", "b")
	b.declare(planDeclared(5, "pro", "new"))
	step("a=3 b=2 c=1 new=0 other=5 pro=1", "b", "c", "d")
}

func projectionsRedeclared(b *bench) {
	b.declare(planDeclared(9))
	b.commit(planEvent(b, 0, "a"), planEvent(b, 1, "b"))
	other := planDeclared(9)
	other.Metrics[0].Name = "sales_total"
	b.declare(other)
	if got := b.plans(); got != "" {
		b.Errorf("another metric begins with %s", got)
	}
	b.commit(planEvent(b, 0, "a"))
	b.declare(planDeclared(9))
	b.commit(planEvent(b, 0, "b"))
	if got := b.plans(); got != "a=1 b=2" {
		b.Errorf("%s after the first declaration came back", got)
	}
	b.declare(other)
	b.clock.advance(31 * 24 * time.Hour)
	b.ok(b.store.Prune(b.Context(), epoch))
	if got := b.plans(); got != "a=1" {
		b.Errorf("a declared metric is %s after upkeep", got)
	}
	b.declare(planDeclared(9))
	if got := b.plans(); got != "" {
		b.Errorf("a metric that was not declared for a month is %s", got)
	}
}
