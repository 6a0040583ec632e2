package main

import (
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

// alerts shows what fires, what is about to, and how much of the objectives' budget is left.
func alerts() page {
	return page{
		uid:         "tidemark-alerts",
		title:       "Tidemark / Alerts and objectives",
		description: "Alerts of this service, the thresholds in force, and the objectives' burn rates.",
		rows: []row{
			{"Alerts", firingNow()},
			{"Objectives", objectives()},
			{"Thresholds", thresholds()},
			{"Notifications", notifications()},
		},
	}
}

const ours = `alertname=~"Tidemark.+", job=~"$job|", instance=~"$instance|"`

func firingNow() []panel {
	count := func(severity, color string) panel {
		return number(quarter, plain, "Firing, "+severity, "Alerts of severity "+severity+" that fire now.",
			levels("green", level{1, color}),
			q(`count(ALERTS{`+ours+`, alertstate="firing", severity="`+severity+`"}) or vector(0)`, severity))
	}
	return []panel{
		count("critical", "red"),
		count("warning", "orange"),
		count("info", "blue"),
		number(quarter, plain, "Pending", "Alerts whose condition holds, but not yet for long enough.",
			levels("green", level{1, "yellow"}),
			q(`count(ALERTS{`+ours+`, alertstate="pending"}) or vector(0)`, "pending")),
		states(full, "Alerts over time", "When each alert was pending (yellow) and firing (red).",
			map[string]dashboard.ValueMappingResult{
				"1": {Text: new("pending"), Color: new("yellow"), Index: new(int32(0))},
				"2": {Text: new("firing"), Color: new("red"), Index: new(int32(1))},
			},
			q(`max by (alertname, severity, instance) (ALERTS{`+ours+`, alertstate="pending"} or 2 * ALERTS{`+ours+`, alertstate="firing"})`, "{{alertname}} {{instance}}")),
	}
}

// objective is a promise about the requests of 30 days. Its numbers are those of the alert file,
// which records the shares of bad requests.
type objective struct {
	name, budget string // the share of requests that may be bad
	bad          string // name in the recorded series
	promise      string
}

func objectives() []panel {
	var left, burn []panel
	for _, o := range []objective{
		{"Availability", "0.001", "failed", "99.9 % of the requests of 30 days do not fail"},
		{"Latency", "0.01", "slow", "99 % of the requests of 30 days take no longer than a second"},
	} {
		record := func(window string) string {
			return `job:tidemark_requests_` + o.bad + `:ratio` + window + `{job=~"$job"}`
		}
		left = append(left,
			number(quarter, ratio, o.name+", budget left", "The objective is that "+o.promise+". This is the share of what may be bad that is left, as far back as Prometheus remembers; below 0 the objective is missed.",
				levels("red", level{0, "yellow"}, level{0.25, "green"}),
				now(`1 - sum by (job) (sum_over_time(job:tidemark_requests_`+o.bad+`:rate5m{job=~"$job"}[30d])) / sum by (job) (sum_over_time(job:tidemark_requests:rate5m{job=~"$job"}[30d])) / `+o.budget, "{{job}}")).
				GraphMode(common.BigValueGraphModeNone),
			number(quarter, plain, o.name+", burn rate", "How many times faster than it may the budget was spent in the last hour. At 1 it lasts exactly 30 days.",
				levels("green", level{1, "yellow"}, level{14.4, "red"}),
				q(record("1h")+` / `+o.budget, "{{job}}")))
		var windows []query
		for _, w := range []string{"5m", "30m", "1h", "2h", "6h", "1d", "3d"} {
			windows = append(windows, q(record(w)+` / `+o.budget, "{{job}} "+w))
		}
		burn = append(burn, lines(half, plain, o.name+", burn rate by window", "How many times faster than it may the budget is spent, over windows of different length. Alerts come when a long and a short one are above a line: 14.4 (1h and 5m) and 6 (6h and 30m) are critical, 3 (1d and 2h) and 1 (3d and 6h) warnings.",
			windows...).
			AxisSoftMax(1).
			Thresholds(levels("transparent", level{1, "yellow"}, level{3, "orange"}, level{6, "red"}, level{14.4, "dark-red"})).
			ThresholdsStyle(limitLines()))
	}
	return append(left, burn...)
}

func thresholds() []panel {
	return []panel{
		lines(half, seconds, "Slow request", "The threshold slow_request_ms in force, in seconds, beside the p95 of all requests.",
			q(duration("0.95"), "p95"),
			threshold("slow_request_ms")),
		lines(half, ratio, "CPU, memory, disk", "The thresholds in force. POST /api/analytics/config changes them, and with them the alerts.",
			q(`max by (name) (tidemark_threshold{@, name!="slow_request_ms"})`, "{{name}}")).Max(1),
	}
}

// notifications is whether somebody was told, where the service tells by itself.
func notifications() []panel {
	return []panel{
		lines(quarter, plain, "Alerts firing in the service", "Alerts that fire by the service's own verdict, on any replica.",
			q(`max by (job) (tidemark_alerts_firing{@})`, "{{job}}")),
		lines(quarter, plain, "Notifying replica", "1 for the replica that notifies; among several exactly one does.",
			q(`tidemark_alerts_leader{@}`, "{{instance}}")),
		lines(quarter, perSec, "Notifications by receiver", "Notifications per second: sent or given up, those of them that failed, and tries that had to be repeated.",
			q(`sum by (receiver) (rate(tidemark_notifications_total{@}[@]))`, "{{receiver}}"),
			q(`sum by (receiver) (rate(tidemark_notifications_failed_total{@}[@]))`, "{{receiver}} failed"),
			q(`sum by (receiver) (rate(tidemark_notification_retries_total{@}[@]))`, "{{receiver}} tried again")),
		lines(quarter, perSec, "Reports dropped", "Reports of alerts and lines of their history per second that there was no room for.",
			q(`sum(rate(tidemark_alerts_dropped_total{@}[@]))`, "reports"),
			q(`sum(rate(tidemark_alert_history_dropped_total{@}[@]))`, "history")),
	}
}
