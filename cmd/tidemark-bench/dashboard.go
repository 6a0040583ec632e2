//go:build linux

package main

import (
	"context"
	"fmt"
	"time"
)

// ranges are what a dashboard looks at.
var ranges = [...]struct {
	days     float64
	interval string
}{{1, "hour"}, {7, "hour"}, {30, "day"}, {daysBack, "day"}}

// How long questions may take together. A machine and a service as they should be need less.
const (
	directlyWithin  = 30 * time.Second
	questionsWithin = 4 * time.Minute
	listsWithin     = time.Minute
	sqlWithin       = 150 * time.Second
)

// ofDashboards are the questions of a dashboard over all ranges.
func (a *asking) ofDashboards() (list []*asked) {
	for _, r := range ranges {
		list = append(list, a.ofDashboard(r.days, r.interval)...)
	}
	return list
}

// directly asks what a dashboard asks, once and of a service that has just taken in all it has.
func (a *asking) directly(ctx context.Context) error {
	a.Fresh = a.ofDashboards()
	defer func() { a.Directly = evenly(a.Fresh) }()
	return a.during(a.past.Database+": questions directly after the load",
		func() error { return a.rounds(ctx, a.Fresh, 1, directlyWithin) }, func() string { return "asking" })
}

// questions asks what a dashboard, an analyst and a product manager ask.
func (a *asking) questions(ctx context.Context) error {
	a.Asked = append(a.ofDashboards(), a.others()...)
	defer func() { a.Dashboard = evenly(a.of(dashboard)) }()
	return a.during(a.past.Database+": questions",
		func() error { return a.rounds(ctx, a.Asked, a.plan.Repeats, questionsWithin) }, func() string { return "asking" })
}

func (p *past) of(kind string) (list []*asked) {
	for _, q := range p.Asked {
		if q.Kind == kind {
			list = append(list, q)
		}
	}
	return list
}

// sessionsName is the question that has no target of its own.
const sessionsName = "sessions"

const within = " FROM events WHERE ts >= $1 AND ts < $2"

// ofDashboard are the questions of a dashboard over one range, with the same in SQL.
func (a *asking) ofDashboard(days float64, interval string) (list []*asked) {
	add := func(name, sql, path string, parameters ...string) {
		list = append(list, &asked{Name: name, Kind: dashboard, Days: days, sql: sql, request: a.get(path, days, parameters...)})
	}
	series := func(name, sql string, parameters ...string) {
		add("series: "+name, sql, "/timeseries", append(parameters, "interval", interval)...)
	}
	breakdown := func(name, sql string, parameters ...string) {
		add("top 10: "+name, sql, "/breakdown", parameters...)
	}
	start := "date_trunc('" + interval + "', ts)"
	top := func(by, metric string) string {
		return "SELECT " + by + ", " + metric + within + " GROUP BY 1 ORDER BY 2 DESC LIMIT 10"
	}
	add("stats", `SELECT event_type, severity, count(*), count(*) FILTER (WHERE processed)`+within+` GROUP BY 1, 2
UNION ALL SELECT user_id, '', n, 0 FROM (SELECT user_id, count(*) AS n`+within+` GROUP BY 1 ORDER BY 2 DESC LIMIT 10) AS u
UNION ALL SELECT event_name, '', n, 0 FROM (SELECT event_name, count(*) AS n`+within+` GROUP BY 1 ORDER BY 2 DESC LIMIT 10) AS e
UNION ALL SELECT '', '', count(DISTINCT user_id), 0`+within, "/stats")
	series("count", "SELECT "+start+", count(*)"+within+" GROUP BY 1")
	series("count by event_name", "SELECT "+start+", event_name, count(*)"+within+" GROUP BY 1, 2", "group_by", "event_name")
	series("count by event_type", "SELECT "+start+", event_type, count(*)"+within+" GROUP BY 1, 2", "group_by", "event_type")
	series("count of one event_name", "SELECT "+start+", count(*)"+within+" AND event_name = 'order_completed' GROUP BY 1",
		"where", `[{"field":"event_name","op":"=","value":"order_completed"}]`)
	series("users", "SELECT "+start+", count(DISTINCT user_id)"+within+" GROUP BY 1", "metric", "users")
	breakdown("event_name", top("event_name", "count(*)"), "by", "event_name")
	breakdown("event_type", top("event_type", "count(*)"), "by", "event_type")
	breakdown("source", top("source", "count(*)"), "by", "source")
	breakdown("severity", top("severity", "count(*)"), "by", "severity")
	breakdown("users by event_name", top("event_name", "count(DISTINCT user_id)"), "by", "event_name", "metric", "users")
	const plan, country, amount = "properties->>'plan'", "properties->>'country'", "(properties->>'amount')::double precision"
	series("count by plan", "SELECT "+start+", "+plan+", count(*)"+within+" GROUP BY 1, 2", "group_by", "properties.plan")
	breakdown("plan", top(plan, "count(*)"), "by", "properties.plan")
	breakdown("country", top(country, "count(*)"), "by", "properties.country")
	breakdown("sum of amount by event_name", top("event_name", "sum("+amount+")"), "by", "event_name", "metric", "sum:amount")
	breakdown("p95 of amount by event_name", top("event_name", "percentile_cont(0.95) WITHIN GROUP (ORDER BY "+amount+")"),
		"by", "event_name", "metric", "p95:amount")
	return list
}

// others are questions that nobody declared anything for, over the whole past.
func (a *asking) others() []*asked {
	step := func(name string) map[string]any { return map[string]any{"event_name": name} }
	of := func(kind, name string, request requester) *asked {
		return &asked{Name: name, Kind: kind, Days: daysBack, request: request}
	}
	return []*asked{
		of(adHoc, "top 10: properties.device, of 4", a.get("/breakdown", daysBack, "by", "properties.device")),
		of(adHoc, "top 10: properties.path, of 90,000", a.get("/breakdown", daysBack, "by", "properties.path")),
		of(adHoc, "series: p95 of properties.took_ms", a.get("/timeseries", daysBack, "metric", "p95:took_ms")),
		of(journey, "funnel of three steps", a.post("/funnel", daysBack, map[string]any{
			"steps": []any{step("product_viewed"), step("cart_item_added"), step("order_completed")}, "window": "7d"})),
		of(journey, "retention by week", a.post("/retention", daysBack, map[string]any{"period": "week", "periods": 12})),
		of(journey, sessionsName, a.get("/sessions", daysBack, "gap", "30m")),
	}
}

// asSQL asks PostgreSQL itself what the dashboard asked of the whole past: twice, but what takes
// too long once.
func (a *asking) asSQL(ctx context.Context) error {
	if a.raw == nil {
		return nil
	}
	a.say("%s: the same questions as SQL", a.past.Database)
	began := time.Now()
	for _, q := range a.of(dashboard) {
		if q.Days != daysBack {
			continue
		}
		if time.Since(began) > sqlWithin {
			return fmt.Errorf("not asked all of them within %v", sqlWithin)
		}
		for range 2 {
			took, err := a.inSQL(ctx, q.sql)
			if err != nil {
				return fmt.Errorf("%s: %w", q.Name, err)
			}
			if q.SQL == 0 || took < q.SQL {
				q.SQL = took
			}
			if took > tooLong {
				break
			}
		}
	}
	return nil
}

func (a *asking) inSQL(ctx context.Context, query string) (time.Duration, error) {
	end := time.Now()
	rows, err := a.raw.QueryContext(ctx, query, end.AddDate(0, 0, -daysBack), end)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	for rows.Next() { // all of them are fetched
	}
	return time.Since(end), rows.Err()
}
