package store_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/declared"
	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/question"
	"github.com/tidemark-obs/tidemark/internal/store"
)

// BenchmarkDashboard fills a database with TIDEMARK_BENCH_ROWS events over 90 days and prints how
// long each question of a dashboard takes, first with rows of roll-ups that wait to be put together
// and then at rest. What is kept from a run before is asked at rest only.
func BenchmarkDashboard(b *testing.B) {
	rows := benchRows(b)
	set, err := declared.New(declared.Config{
		Dimensions: []declared.DimensionConfig{{Property: "plan"}, {Property: "country"}},
		Numbers:    []declared.NumberConfig{{Property: "amount"}},
	}, "statistics")
	if err != nil {
		b.Fatal(err)
	}
	end := time.Date(2025, 4, 1, 13, 37, 11, 0, time.UTC)
	databases(b, func(b *testing.B, cfg store.Config) {
		cfg = kept(cfg)
		cfg.Declared, cfg.Now = set, func() time.Time { return end }
		cfg.Keep = store.Keep{Minute: 7 * 24 * time.Hour, Hour: 400 * 24 * time.Hour}
		s := open(b, cfg)
		tidy(b, s)
		c, err := s.Cursor(b.Context(), "dashboard")
		if err != nil {
			b.Fatal(err)
		}
		if c.Seq*pastBatch < uint64(rows) { // or goes on where a run before was ended
			began := time.Now()
			fillPast(b, s, c, end.AddDate(0, 0, -pastDays), rows, visitors())
			fmt.Printf("%s stored in %v\n", s.Dialect(), time.Since(began).Round(time.Second))
			store.Vacuum(b, s)
			askDashboard(b, s, end, "fresh")
			began = time.Now()
			tidy(b, s)
			fmt.Printf("%s tidied in %v\n", s.Dialect(), time.Since(began).Round(time.Millisecond))
			store.Vacuum(b, s)
		}
		askDashboard(b, s, end, "at rest")
	})
}

// visitors gives events 50 names, from which type and severity follow, five sources and 100,000 users,
// the first of each the most frequent.
func visitors() func(*event.Event) {
	r := rand.New(rand.NewPCG(1, 1))
	rank := func(n int) int { return int(math.Pow(float64(n+1), r.Float64())) - 1 }
	return func(e *event.Event) {
		name := rank(50)
		e.Name, e.Type, e.Severity = "event_"+strconv.Itoa(name), event.Types[name%len(event.Types)], event.Severities[name%3]
		user := rank(100_000)
		e.UserID, e.SessionID = "user-"+strconv.Itoa(user), fmt.Sprintf("session-%d-%d", user, e.Timestamp.Unix()/1800)
		e.Source = "source/" + strconv.Itoa(rank(5))
		e.Properties = fmt.Appendf(nil, `{"path":"/item/%d","plan":"plan%d","country":"c%d","amount":%d.%d}`,
			r.IntN(90_000), rank(5), rank(56), 100+r.IntN(900), r.IntN(100))
	}
}

type dashboardQuestion struct {
	name, metric, by, where string
	series                  bool
}

var dashboardQuestions = []dashboardQuestion{
	{name: "stats"},
	{name: "series count", metric: "count", series: true},
	{name: "series count by event_name", metric: "count", by: "event_name", series: true},
	{name: "series count by event_type", metric: "count", by: "event_type", series: true},
	{name: "series count of a name", metric: "count", where: `[{"field":"event_name","op":"=","value":"event_14"}]`, series: true},
	{name: "series users", metric: "users", series: true},
	{name: "series users by event_name", metric: "users", by: "event_name", series: true},
	{name: "top event_name", metric: "count", by: "event_name"},
	{name: "top event_type", metric: "count", by: "event_type"},
	{name: "top source", metric: "count", by: "source"},
	{name: "top severity", metric: "count", by: "severity"},
	{name: "top users by event_name", metric: "users", by: "event_name"},
	{name: "series count by plan", metric: "count", by: "properties.plan", series: true},
	{name: "top plan", metric: "count", by: "properties.plan"},
	{name: "top country", metric: "count", by: "properties.country"},
	{name: "sum of amount by event_name", metric: "sum:amount", by: "event_name"},
	{name: "p95 of amount by event_name", metric: "p95:amount", by: "event_name"},
}

// askDashboard asks all questions over all ranges in turn, each time in another order.
func askDashboard(b *testing.B, s *store.Store, end time.Time, state string) {
	rounds := 20
	if n, err := strconv.Atoi(os.Getenv("TIDEMARK_BENCH_ROUNDS")); err == nil {
		rounds = n
	}
	ranges := []int{1, 7, 30, pastDays}
	only := os.Getenv("TIDEMARK_BENCH_ONLY")
	took := map[string][]time.Duration{}
	r := rand.New(rand.NewPCG(1, 2))
	for round := range rounds + 1 {
		for _, i := range r.Perm(len(dashboardQuestions) * len(ranges)) {
			q, days := dashboardQuestions[i/len(ranges)], ranges[i%len(ranges)]
			if only != "" && q.name != only {
				continue
			}
			began := time.Now()
			q.ask(b, s, end, days)
			if round > 0 { // the first is of a cold cache
				key := q.name + " " + strconv.Itoa(days)
				took[key], took["all"] = append(took[key], time.Since(began)), append(took["all"], time.Since(began))
			}
		}
	}
	half := func(d []time.Duration) string {
		slices.Sort(d)
		ms := func(d time.Duration) float64 { return float64(d) / 1e6 }
		return fmt.Sprintf("%5.1f/%-5.1f", ms(d[len(d)/2]), ms(d[len(d)*99/100]))
	}
	fmt.Printf("%s %s: all %s (p50/p99 in ms; over 1, 7, 30, 90 days)\n", s.Dialect(), state, half(took["all"]))
	for _, q := range dashboardQuestions {
		if only != "" && q.name != only {
			continue
		}
		line := fmt.Sprintf("%-28s", q.name)
		for _, days := range ranges {
			line += "  " + half(took[q.name+" "+strconv.Itoa(days)])
		}
		fmt.Println(line)
	}
}

func (q *dashboardQuestion) ask(b *testing.B, s *store.Store, end time.Time, days int) {
	var p question.Parser
	span := question.Span{Start: end.AddDate(0, 0, -days), End: end, Zone: time.UTC}
	interval := question.Hour
	if days > 7 {
		interval = question.Day
	}
	var where []question.Condition
	if q.where != "" {
		where = p.Where("", []byte(q.where))
	}
	var err error
	switch {
	case q.metric == "":
		_, err = s.Stats(b.Context(), span.Start, span.End)
	case q.series:
		_, err = s.Series(b.Context(), &question.Series{Span: span, Metric: p.Metric("", q.metric), Interval: interval,
			GroupBy: p.Grouping("", q.by), Where: where, Groups: 10})
	default:
		_, err = s.Breakdown(b.Context(), &question.Breakdown{Span: span, Metric: p.Metric("", q.metric), By: p.Grouping("", q.by), Where: where, Groups: 10})
	}
	if err != nil {
		b.Fatal(err)
	}
}
