package main

import (
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

// alerts shows what fires, what is about to, and how much of the objectives' budget is left.
func alerts() page {
	return page{
		uid:         "tidemark-alerts",
		title:       "Tidemark / Alerts and objectives",
		description: "Alerts of this service, the thresholds in force, and the objectives' burn rates.",
		present:     "tidemark_build_info",
		rows: []row{
			{"Alerts", firingNow()},
			{"Thresholds", thresholds()},
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

func thresholds() []panel {
	return []panel{
		lines(half, seconds, "Slow request", "The threshold slow_request_ms in force, in seconds, beside the p95 of all requests.",
			q(`histogram_quantile(0.95, sum by (le) (rate(http_server_request_duration_seconds_bucket{@}[@])))`, "p95"),
			threshold("slow_request_ms")),
		lines(half, ratio, "CPU, memory, disk", "The thresholds in force. POST /api/analytics/config changes them, and with them the alerts.",
			q(`max by (name) (tidemark_threshold{@, name!="slow_request_ms"})`, "{{name}}")).Max(1),
	}
}
