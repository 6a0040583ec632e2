package questiontest

import (
	"cmp"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/question"
)

func idOf(e *event.Event, by question.Actor) string {
	if by == question.BySession {
		return e.SessionID
	}
	return e.UserID
}

// actors are the events of each id.
func actors(events []event.Event, id func(*event.Event) string) map[string][]event.Event {
	all := map[string][]event.Event{}
	for _, e := range events {
		if s := id(&e); s != "" {
			all[s] = append(all[s], e)
		}
	}
	return all
}

// step is an event beside the steps it matches.
type step struct {
	at    time.Time
	match []bool
	value any
}

// before orders steps: by time, then those of earlier steps first.
func (s *step) before(o *step) bool {
	if !s.at.Equal(o.at) {
		return s.at.Before(o.at)
	}
	for i := range s.match {
		if s.match[i] != o.match[i] {
			return s.match[i]
		}
	}
	return false
}

// chains tries every way to go on from a chain, and keeps the best: the longest, then the one
// whose events come first, one after the other.
func chains(steps []step, chain []int, window time.Duration, best []int) []int {
	if len(chain) > len(best) || len(chain) == len(best) && earlier(steps, chain, best) {
		best = slices.Clone(chain)
	}
	k := len(chain)
	if len(steps) == 0 || k == len(steps[0].match) {
		return best
	}
	for i := range steps {
		if !steps[i].match[k] {
			continue
		}
		if k > 0 && (i <= chain[k-1] || steps[i].at.Sub(steps[chain[0]].at) > window) {
			continue
		}
		best = chains(steps, append(slices.Clone(chain), i), window, best)
	}
	return best
}

func earlier(steps []step, a, b []int) bool {
	for k := range a {
		x, y := &steps[a[k]], &steps[b[k]]
		if x.before(y) {
			return true
		}
		if y.before(x) {
			return false
		}
	}
	return false
}

// journey is what one actor did in a funnel.
type journey struct {
	value any
	times []time.Time
}

// Funnel answers a question.Funnel.
func Funnel(q *question.Funnel, events []event.Event) question.FunnelAnswer {
	inSpan := Select(events, q.Span, nil)
	var journeys []journey
	for _, own := range actors(inSpan, func(e *event.Event) string { return idOf(e, q.By) }) {
		var steps []step
		for i := range own {
			s := step{at: own[i].Timestamp}
			any := false
			for _, m := range q.Steps {
				hit := (m.EventName == "" || m.EventName == own[i].Name) && Match(&own[i], m.Where)
				s.match = append(s.match, hit)
				any = any || hit
			}
			if !q.Breakdown.IsZero() {
				s.value = scalar(Value(&own[i], q.Breakdown))
			}
			if any {
				steps = append(steps, s)
			}
		}
		sort.SliceStable(steps, func(i, j int) bool {
			if steps[i].before(&steps[j]) || steps[j].before(&steps[i]) {
				return steps[i].before(&steps[j])
			}
			return before(steps[i].value, steps[j].value)
		})
		best := chains(steps, nil, q.Window, nil)
		if len(best) == 0 {
			continue
		}
		j := journey{value: steps[best[0]].value}
		for _, i := range best {
			j.times = append(j.times, steps[i].at)
		}
		journeys = append(journeys, j)
	}
	a := question.FunnelAnswer{Quality: question.Exactly(question.Users, q.AsOf), Steps: funnelSteps(q, journeys)}
	if q.By == question.BySession {
		a.Metric = "sessions"
	}
	if !q.Breakdown.IsZero() {
		a.Groups = funnelGroups(q, journeys)
	}
	return a
}

func scalar(v any) any {
	switch v := v.(type) {
	case string, bool:
		return v
	case float64:
		return v + 0
	}
	return nil
}

func funnelGroups(q *question.Funnel, journeys []journey) []question.FunnelGroup {
	by := map[any][]journey{}
	var values []any
	for _, j := range journeys {
		if by[j.value] == nil {
			values = append(values, j.value)
		}
		by[j.value] = append(by[j.value], j)
	}
	sort.Slice(values, func(i, j int) bool {
		a, b := values[i], values[j]
		if len(by[a]) != len(by[b]) {
			return len(by[a]) > len(by[b])
		}
		return before(a, b)
	})
	groups := []question.FunnelGroup{}
	var rest []journey
	for i, v := range values {
		if i < q.Groups {
			groups = append(groups, question.FunnelGroup{Value: v, Steps: funnelSteps(q, by[v])})
		} else {
			rest = append(rest, by[v]...)
		}
	}
	if len(rest) > 0 {
		groups = append(groups, question.FunnelGroup{Value: "other", Other: true, Steps: funnelSteps(q, rest)})
	}
	return groups
}

func funnelSteps(q *question.Funnel, journeys []journey) []question.FunnelStep {
	list := make([]question.FunnelStep, len(q.Steps))
	for k := range list {
		var took []float64
		for _, j := range journeys {
			if len(j.times) <= k {
				continue
			}
			list[k].Count++
			if k > 0 {
				took = append(took, j.times[k].Sub(j.times[k-1]).Seconds())
			}
		}
		list[k].EventName = q.Steps[k].EventName
		list[k].MedianSeconds = median(took)
		if n := len(journeys); n > 0 {
			share := float64(list[k].Count) / float64(n)
			list[k].Conversion = &share
		}
	}
	return list
}

func median(list []float64) *float64 {
	if len(list) == 0 {
		return nil
	}
	slices.Sort(list)
	m := (list[(len(list)-1)/2] + list[len(list)/2]) / 2
	return &m
}

// Retention answers a question.Retention.
func Retention(q *question.Retention, events []event.Event) question.RetentionAnswer {
	a := question.RetentionAnswer{Quality: question.Exactly(question.Users, q.AsOf), Period: q.Period, Timezone: q.Span.Zone.String()}
	starts := Starts(q.Span, q.Period)
	period := func(t time.Time) int {
		return sort.Search(len(starts), func(i int) bool { return starts[i].After(t) }) - 1
	}
	for i, start := range starts[:len(starts)-1] {
		a.Cohorts = append(a.Cohorts, question.Cohort{Start: start, Returned: make([]int64, min(q.Periods+1, len(starts)-1-i))})
	}
	matches := func(m *question.Match, e *event.Event) bool {
		return (m.EventName == "" || m.EventName == e.Name) && Match(e, m.Where)
	}
	for _, own := range actors(Select(events, q.Span, nil), func(e *event.Event) string { return e.UserID }) {
		var first time.Time
		for i := range own {
			if matches(&q.First, &own[i]) && (first.IsZero() || own[i].Timestamp.Before(first)) {
				first = own[i].Timestamp
			}
		}
		if first.IsZero() {
			continue
		}
		cohort := &a.Cohorts[period(first)]
		cohort.Size++
		came := map[int]bool{}
		for i := range own {
			if matches(&q.Returning, &own[i]) && own[i].Timestamp.After(first) {
				came[period(own[i].Timestamp)-period(first)] = true
			}
		}
		for k := range came {
			if k < len(cohort.Returned) {
				cohort.Returned[k]++
			}
		}
	}
	return a
}

// Visits answers a question.Visits.
func Visits(q *question.Visits, events []event.Event) question.VisitsAnswer {
	a := question.VisitsAnswer{Quality: question.Exactly(question.Sessions, q.AsOf)}
	var lengths []float64
	all, bounced := 0, 0
	visitor := func(e *event.Event) string { return cmp.Or(e.UserID, e.AnonymousID, e.SessionID) }
	for _, own := range actors(Select(events, q.Span, q.Where), visitor) {
		sort.Slice(own, func(i, j int) bool { return own[i].Timestamp.Before(own[j].Timestamp) })
		for len(own) > 0 {
			n := 1
			for n < len(own) && own[n].Timestamp.Sub(own[n-1].Timestamp) <= q.Gap {
				n++
			}
			lengths = append(lengths, own[n-1].Timestamp.Sub(own[0].Timestamp).Seconds())
			all += n
			if n == 1 {
				bounced++
			}
			own = own[n:]
		}
	}
	if a.Sessions = int64(len(lengths)); a.Sessions > 0 {
		mean, rate := float64(all)/float64(len(lengths)), float64(bounced)/float64(len(lengths))
		a.MedianSeconds, a.EventsPerSession, a.BounceRate = median(lengths), &mean, &rate
	}
	return a
}

// Paths answers a question.Paths.
func Paths(q *question.Paths, events []event.Event) question.PathsAnswer {
	counts := map[string]int64{}
	total := int64(0)
	for _, own := range actors(Select(events, q.Span, q.Where), func(e *event.Event) string { return idOf(e, q.By) }) {
		sort.SliceStable(own, func(i, j int) bool {
			if c := own[i].Timestamp.Compare(own[j].Timestamp); c != 0 {
				return c < 0
			}
			return own[i].Name < own[j].Name
		})
		if q.Before {
			slices.Reverse(own)
		}
		for i := range own {
			if own[i].Name != q.Anchor {
				continue
			}
			total++
			var names []string
			for _, e := range own[i+1 : min(len(own), i+1+q.Depth)] {
				names = append(names, e.Name)
			}
			counts[strings.Join(names, "\x00")]++
		}
	}
	a := question.PathsAnswer{Quality: question.Exactly(question.Count, q.AsOf), Paths: []question.Path{}, Other: total, Total: total}
	keys := make([]string, 0, len(counts))
	for k := range counts {
		keys = append(keys, k)
	}
	sort.Slice(keys, func(i, j int) bool {
		if counts[keys[i]] != counts[keys[j]] {
			return counts[keys[i]] > counts[keys[j]]
		}
		return keys[i] < keys[j]
	})
	for _, k := range keys[:min(len(keys), q.Groups)] {
		names := []string{q.Anchor}
		if k != "" {
			names = append(names, strings.Split(k, "\x00")...)
		}
		if q.Before {
			slices.Reverse(names)
		}
		a.Paths = append(a.Paths, question.Path{Events: names, Count: counts[k], Share: float64(counts[k]) / float64(total)})
		a.Other -= counts[k]
	}
	return a
}
