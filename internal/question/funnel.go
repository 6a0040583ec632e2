package question

import (
	"slices"
	"strconv"
	"time"

	"github.com/tidemark-obs/tidemark/internal/errs"
)

// Funnel asks how many actors took a series of steps, in order and within a window.
//
// An actor took the first k steps when k of its events, each after the one before and matching its
// step, lie within Window of the first. Other events may lie between. Any event that matches the
// first step may begin; of each actor the chain with the most steps counts, of several the one
// that begins first, each step taken as early as can be. Events of one instant follow each other
// in the order of the steps.
type Funnel struct {
	Span   Span
	Steps  []Match
	Window time.Duration
	By     Actor
	// Breakdown divides actors by a field of the event that begins their chain; zero = not.
	Breakdown Field
	Groups    int
	AsOf      time.Time
}

// Steps reads the n steps of a funnel, each by read.
func (p *Parser) Steps(location string, n int, read func(i int, location string) Match) []Match {
	if n < 1 || n > MaxSteps {
		p.Fail(location, "must have 1 to "+strconv.Itoa(MaxSteps)+" steps")
		return nil
	}
	steps := make([]Match, n)
	for i := range steps {
		at := location + "/" + strconv.Itoa(i)
		before := len(p.faults)
		steps[i] = read(i, at)
		if len(p.faults) == before && steps[i].EventName == "" && len(steps[i].Where) == 0 {
			p.Fail(at, "needs an event_name or a where")
		}
	}
	return steps
}

// FunnelStep is how many actors reached a step.
type FunnelStep struct {
	EventName  string   `json:"event_name"`
	Count      int64    `json:"count" doc:"Actors that took this step and all before it"`
	Conversion *float64 `json:"conversion" doc:"Share of the first step's actors; null where it has none"`
	// MedianSeconds is from the step before.
	MedianSeconds *float64 `json:"median_seconds" doc:"Median time from the step before; null for the first step, and where nobody took this one"`
}

// FunnelGroup is the funnel of the actors whose first event has one value.
type FunnelGroup struct {
	Value any          `json:"value" doc:"A text, a number, true or false; null where events have no such value"`
	Other bool         `json:"other,omitempty,omitzero" doc:"True of all values together that have no group of their own"`
	Steps []FunnelStep `json:"steps" nullable:"false"`
}

// FunnelAnswer is the answer of POST /events/funnel.
type FunnelAnswer struct {
	Quality
	Steps  []FunnelStep  `json:"steps" nullable:"false"`
	Groups []FunnelGroup `json:"groups,omitzero" nullable:"false" doc:"Where a breakdown was asked for: most actors first"`
}

// Hit is an event that matches steps of a funnel: Pack made it.
type Hit int64

// maskBits has room for MaxSteps steps.
const maskBits = 10

// Bit is the part of a hit's mask that stands for a step. The first step's is the greatest, so
// that hits of one instant sort by their first step.
func Bit(step int) int64 { return 1 << (maskBits - 1 - step) }

// A packed hit is Shift(microseconds since the span's start) + Low - mask.
const (
	Shift = 1 << maskBits
	Low   = Shift - 1
)

// Time is the hit's place in time, in microseconds since the span's start.
func (h Hit) Time() int64 { return int64(h) >> maskBits }

// Is reports whether the event matches a step.
func (h Hit) Is(step int) bool { return (Low-int64(h)&Low)&Bit(step) != 0 }

// Begin is a hit of the first step, with the value to break down by.
type Begin struct {
	Hit   Hit
	Value any
}

// Tally counts a funnel actor by actor.
type Tally struct {
	q      *Funnel
	window int64
	all    tallied
	groups map[any]*tallied
	next   [][]int32 // scratch: for each step the next hit of it, from each hit on
}

type tallied struct {
	reached []int64
	took    [][]int64 // per step after the first, microseconds from the step before
}

// NewTally returns a tally without actors.
func NewTally(q *Funnel) *Tally {
	return &Tally{q: q, window: q.Window.Microseconds(), all: newTallied(len(q.Steps)), groups: map[any]*tallied{},
		next: make([][]int32, len(q.Steps))}
}

func newTallied(steps int) tallied {
	return tallied{reached: make([]int64, steps), took: make([][]int64, steps)}
}

// maxFunnelGroups bounds the values that a breakdown meets, maxConverted the times it remembers.
const (
	maxFunnelGroups = 20_000
	maxConverted    = 5_000_000
)

// Add counts one actor by its hits, in any order. Begins are needed for a breakdown only. It is
// Invalid when the funnel has become too large to hold.
func (t *Tally) Add(hits []Hit, begins []Begin) error {
	slices.Sort(hits)
	chain := t.best(hits)
	if len(chain) == 0 {
		return nil
	}
	t.all.count(hits, chain)
	if len(t.all.took) > 1 && len(t.all.took[1]) > maxConverted {
		return errs.New(errs.Invalid, "the funnel has more actors than can be held at once; take a shorter range or more conditions")
	}
	if t.q.Breakdown.IsZero() {
		return nil
	}
	value := valueOf(hits[chain[0]], begins)
	g := t.groups[value]
	if g == nil {
		if len(t.groups) == maxFunnelGroups {
			return errs.New(errs.Invalid, "the breakdown has more than "+strconv.Itoa(maxFunnelGroups)+" values; break down by a field with fewer")
		}
		fresh := newTallied(len(t.q.Steps))
		g = &fresh
		t.groups[value] = g
	}
	g.count(hits, chain)
	return nil
}

// valueOf is the value of the beginning hit; of several in one instant, the first in order.
func valueOf(h Hit, begins []Begin) any {
	var value any
	found := false
	for _, b := range begins {
		if b.Hit == h && (!found || CompareValues(b.Value, value) < 0) {
			value, found = b.Value, true
		}
	}
	return value
}

// best is the actor's chain, as places in its sorted hits.
func (t *Tally) best(hits []Hit) []int32 {
	steps := len(t.q.Steps)
	t.chart(hits)
	n := int32(len(hits))
	var best, chain [MaxSteps]int32
	deepest := 0
	for at := t.next[0][0]; at < n && deepest < steps; at = t.next[0][at+1] {
		chain[0] = at
		depth := 1
		for ; depth < steps; depth++ {
			on := t.next[depth][chain[depth-1]+1]
			if on == n || hits[on].Time()-hits[at].Time() > t.window {
				break
			}
			chain[depth] = on
		}
		if depth > deepest {
			best, deepest = chain, depth
		}
	}
	return best[:deepest:deepest]
}

// chart notes for each step and each place the next hit of that step, from that place on.
func (t *Tally) chart(hits []Hit) {
	for step := range t.next {
		next := slices.Grow(t.next[step][:0], len(hits)+1)[:len(hits)+1]
		last := int32(len(hits))
		next[len(hits)] = last
		for i := len(hits) - 1; i >= 0; i-- {
			if hits[i].Is(step) {
				last = int32(i)
			}
			next[i] = last
		}
		t.next[step] = next
	}
}

func (g *tallied) count(hits []Hit, chain []int32) {
	for step, at := range chain {
		g.reached[step]++
		if step > 0 {
			g.took[step] = append(g.took[step], hits[at].Time()-hits[chain[step-1]].Time())
		}
	}
}

func (t *tallied) merge(o *tallied) {
	for step := range t.reached {
		t.reached[step] += o.reached[step]
		t.took[step] = append(t.took[step], o.took[step]...)
	}
}

func (t *tallied) steps(q *Funnel) []FunnelStep {
	list := make([]FunnelStep, len(q.Steps))
	for i := range list {
		s := FunnelStep{EventName: q.Steps[i].EventName, Count: t.reached[i], MedianSeconds: medianSeconds(t.took[i])}
		if t.reached[0] > 0 {
			share := float64(s.Count) / float64(t.reached[0])
			s.Conversion = &share
		}
		list[i] = s
	}
	return list
}

// medianSeconds sorts its microseconds.
func medianSeconds(us []int64) *float64 {
	n := len(us)
	if n == 0 {
		return nil
	}
	slices.Sort(us)
	m := (float64(us[(n-1)/2]) + float64(us[n/2])) / 2 / 1e6
	return &m
}

// Answer ends the tally.
func (t *Tally) Answer() FunnelAnswer {
	a := FunnelAnswer{Quality: Exactly(t.q.By.Measure(), t.q.AsOf), Steps: t.all.steps(t.q)}
	if t.q.Breakdown.IsZero() {
		return a
	}
	values := make([]any, 0, len(t.groups))
	for v := range t.groups {
		values = append(values, v)
	}
	slices.SortFunc(values, func(x, y any) int {
		if a, b := t.groups[x].reached[0], t.groups[y].reached[0]; a != b {
			return int(b - a)
		}
		return CompareValues(x, y)
	})
	rest := newTallied(len(t.q.Steps))
	a.Groups = []FunnelGroup{}
	for i, v := range values {
		if i < t.q.Groups {
			a.Groups = append(a.Groups, FunnelGroup{Value: v, Steps: t.groups[v].steps(t.q)})
			continue
		}
		rest.merge(t.groups[v])
	}
	if rest.reached[0] > 0 {
		a.Groups = append(a.Groups, FunnelGroup{Value: "other", Other: true, Steps: rest.steps(t.q)})
	}
	return a
}
