package main

import "github.com/grafana/grafana-foundation-sdk/go/dashboard"

// overview answers whether the service does its work: rate, errors, duration, and the ledger.
func overview() page {
	return page{
		uid:         "tidemark-overview",
		title:       "Tidemark / Overview",
		description: "Rate, errors and duration of requests, and what became of every event.",
		variables:   []variable{ledger()},
		rows: []row{
			{"At a glance", glance()},
			{"Requests", requests()},
			{"Ledger", books()},
		},
	}
}

func glance() []panel {
	return []panel{
		number(sixth, plain, "Instances up", "Instances that the last scrape reached.",
			levels("red", level{1, "green"}),
			q(`count(tidemark_build_info{@}) or vector(0)`, "up")),
		number(sixth, requestsSec, "Request rate", "Requests answered per second, whatever the answer.",
			levels("blue"),
			q(`sum(rate(http_server_request_duration_seconds_count{@}[@]))`, "requests")),
		number(sixth, ratio, "Failed requests", "Share of requests answered with 5xx. What the client did wrong (4xx) is not counted.",
			levels("green", level{0.001, "yellow"}, level{0.01, "red"}),
			q(errorShare("", ""), "errors")),
		number(sixth, seconds, "Duration, p95", "95 of 100 requests were answered within this time.",
			levels("blue"),
			q(duration("0.95"), "p95")),
		number(sixth, plain, "Events lost", "Accepted events that are nowhere. Anything but 0 is a fault.",
			levels("green", level{1, "red"}),
			q(`${ledger}(tidemark_events_lost{@})`, "lost")),
		number(sixth, plain, "Alerts firing", "Alerts of this service that fire now, whatever their severity.",
			levels("green", level{1, "red"}),
			q(`count(ALERTS{alertname=~"Tidemark.+", alertstate="firing", job=~"$job|", instance=~"$instance|"}) or vector(0)`, "firing")),
	}
}

func requests() []panel {
	return []panel{
		stacked(third, requestsSec, "Rate by answer", "Requests answered per second, by status code.",
			q(`sum by (http_response_status_code) (rate(http_server_request_duration_seconds_count{@}[@]))`, "{{http_response_status_code}}")),
		lines(third, ratio, "Errors by kind", "Share of requests answered with 5xx, and with 4xx.",
			q(errorShare("", ""), "5xx"),
			q(share("4..", "", ""), "4xx")).
			AxisSoftMax(0.01),
		lines(third, seconds, "Duration", "Time within which that share of requests was answered, over all routes, beside the threshold slow_request_ms. Points are single requests with a trace.",
			q(duration("0.5"), "p50"),
			traced(duration("0.95"), "p95"),
			q(duration("0.99"), "p99"),
			threshold("slow_request_ms")),
	}
}

// books is the ledger: where events come in, where they end, and that the sums hold.
func books() []panel {
	return []panel{
		number(full, plain, "Ledger of the time range", "Events in the time range shown; waiting and lost are as of now. received = rejected + sampled out + accepted; accepted = stored + duplicate + dead-lettered + what the backlog grew.",
			levels("blue"),
			q(counted("received", "$__range"), "received"),
			q(counted("rejected", "$__range"), "rejected"),
			q(counted("sampled_out", "$__range"), "sampled out"),
			q(counted("accepted", "$__range"), "accepted"),
			q(counted("stored", "$__range"), "stored"),
			q(counted("duplicate", "$__range"), "duplicate"),
			q(counted("dead_lettered", "$__range"), "dead-lettered"),
			q(`${ledger}(tidemark_events_pending{@})`, "waiting"),
			q(`${ledger}(tidemark_events_lost{@})`, "lost")).
			Decimals(0).
			OverrideByName("lost", []dashboard.DynamicConfigValue{{Id: "thresholds", Value: map[string]any{
				"mode":  "absolute",
				"steps": []any{map[string]any{"value": nil, "color": "green"}, map[string]any{"value": 1, "color": "red"}},
			}}}),
		lines(third, perSec, "Events at the doors", "Events per second: received, and what the doors did with them.",
			q(flow("received"), "received"),
			q(flow("accepted"), "accepted"),
			q(flow("rejected"), "rejected"),
			q(flow("sampled_out"), "sampled out")),
		lines(third, perSec, "Events in the store", "Events per second: accepted, and where they ended. What is between the two waits in the journal.",
			q(flow("accepted"), "accepted"),
			q(flow("stored"), "stored"),
			q(flow("duplicate"), "duplicate"),
			q(flow("dead_lettered"), "dead-lettered")),
		lines(third, plain, "Imbalance", "What the two equations of the ledger leave over, in events. Both lines are 0; a line that leaves 0 is a fault of the service.",
			q(total("received")+" - "+total("rejected")+" - "+total("sampled_out")+" - "+total("accepted"), "at the doors"),
			q(total("accepted")+" - "+total("stored")+" - "+total("duplicate")+" - "+total("dead_lettered")+
				" - ${ledger}(tidemark_events_pending{@})", "in the store")).
			AxisSoftMin(-1).AxisSoftMax(1),
	}
}

// flow is one column of the ledger per second, over all its labels.
func flow(column string) string {
	return `${ledger}(sum without (protocol, reason) (rate(tidemark_events_` + column + `_total{@}[@])))`
}

// total is one column of the ledger since the journal began. Only the equations take it: they hold
// for totals exactly, for rates only nearly.
func total(column string) string {
	return `${ledger}(sum without (protocol, reason) (tidemark_events_` + column + `_total{@}))`
}

// counted is one column of the ledger over a while.
func counted(column, while string) string {
	return `${ledger}(sum without (protocol, reason) (increase(tidemark_events_` + column + `_total{@}[` + while + `])))`
}

// errorShare is the share of requests that the service could not answer; 0 where none failed.
func errorShare(by, matchers string) string { return share("5..", by, matchers) }

// share is the share of requests with a status; by and matchers narrow it down.
func share(status, by, matchers string) string {
	const count = `rate(http_server_request_duration_seconds_count{@`
	all := `sum` + by + `(` + count + matchers + `}[@]))`
	some := `sum` + by + `(` + count + `, http_response_status_code=~"` + status + `"` + matchers + `}[@]))`
	return `(` + some + ` or 0 * ` + all + `) / ` + all
}

// duration is a percentile of all requests.
func duration(of string) string {
	return `histogram_quantile(` + of + `, sum by (le) (rate(http_server_request_duration_seconds_bucket{@}[@])))`
}
