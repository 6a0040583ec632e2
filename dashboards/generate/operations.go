package main

import (
	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

// operations compares the routes: how often, how fast, how faulty.
func operations() page {
	return page{
		uid:         "tidemark-operations",
		title:       "Tidemark / Operations",
		description: "Rate, errors and percentiles of each route, with a way to the traces behind the numbers.",
		variables: []variable{
			chosenRoutes(),
		},
		rows: []row{
			{"Summary", []panel{routes()}},
			{"Traffic", traffic()},
			{"Percentiles", percentiles()},
			{"Distribution", distribution()},
		},
	}
}

// chosenRoutes offers the routes. All of them includes requests that met no route: they have none.
func chosenRoutes() variable {
	return labelValues("route", "Route", `http_server_request_duration_seconds_count{job=~"$job", instance=~"$instance"}`, "http_route").
		AllValue(".*")
}

const byRoute = ` by (http_route, http_request_method) `

func quantile(of string) string {
	return `histogram_quantile(` + of + `, sum by (le, http_route, http_request_method) (rate(http_server_request_duration_seconds_bucket{@, http_route=~"$route"}[@])))`
}

func routes() panel {
	in := `, http_route=~"$route"`
	return grid(full, "Routes", "Each route at the end of the time range.",
		map[string]string{"http_route": "Route", "http_request_method": "Method"},
		column{"Rate", requestsSec, now(`sum`+byRoute+`(rate(http_server_request_duration_seconds_count{@`+in+`}[@]))`, "")},
		column{"Errors", ratio, now(errorShare(byRoute, in), "")},
		column{"p50", seconds, now(quantile("0.5"), "")},
		column{"p90", seconds, now(quantile("0.9"), "")},
		column{"p95", seconds, now(quantile("0.95"), "")},
		column{"p99", seconds, now(quantile("0.99"), "")},
	).SortBy([]cog.Builder[common.TableSortByFieldState]{common.NewTableSortByFieldStateBuilder().DisplayName("Rate").Desc(true)})
}

func traffic() []panel {
	in := `, http_route=~"$route"`
	return []panel{
		aside(stacked(half, requestsSec, "Rate by route", "Requests answered per second.",
			q(`sum`+byRoute+`(rate(http_server_request_duration_seconds_count{@`+in+`}[@]))`, "{{http_request_method}} {{http_route}}"))),
		aside(lines(half, ratio, "Errors by route", "Share of requests answered with 5xx.",
			q(errorShare(byRoute, in), "{{http_request_method}} {{http_route}}")).AxisSoftMax(0.01)),
	}
}

func percentiles() []panel {
	one := func(title, of string) panel {
		return aside(lines(half, seconds, title, "Time within which that share of the route's requests was answered, beside the threshold slow_request_ms. Points are single requests with a trace.",
			traced(quantile(of), "{{http_request_method}} {{http_route}}"),
			threshold("slow_request_ms")))
	}
	return []panel{
		one("p50 by route", "0.5"), one("p90 by route", "0.9"),
		one("p95 by route", "0.95"), one("p99 by route", "0.99"),
	}
}

func distribution() []panel {
	return []panel{
		cells(full, seconds, "Duration, native histogram", "How long requests took, in the fine buckets of the native histogram.",
			traced(`sum(rate(http_server_request_duration_native_seconds{@, http_route=~"$route"}[@]))`, "requests")),
		lines(half, seconds, "Percentiles of the native histogram", "The same percentiles from finer buckets, over all chosen routes.",
			q(`histogram_quantile(0.5, sum(rate(http_server_request_duration_native_seconds{@, http_route=~"$route"}[@])))`, "p50"),
			q(`histogram_quantile(0.95, sum(rate(http_server_request_duration_native_seconds{@, http_route=~"$route"}[@])))`, "p95"),
			q(`histogram_quantile(0.99, sum(rate(http_server_request_duration_native_seconds{@, http_route=~"$route"}[@])))`, "p99")),
		lines(half, ratio, "Faster than the threshold", "Share of requests answered within slow_request_ms, read from the native histogram: whatever the threshold is, no bucket has to lie there.",
			q(`histogram_fraction(0, scalar(max(tidemark_threshold{@, name="slow_request_ms"})), sum(rate(http_server_request_duration_native_seconds{@, http_route=~"$route"}[@])))`, "fast enough")).
			Max(1),
	}
}

// aside puts a long legend to the right of the lines.
func aside(p *timeseries.PanelBuilder) *timeseries.PanelBuilder {
	return p.Height(10).Legend(common.NewVizLegendOptionsBuilder().
		DisplayMode(common.LegendDisplayModeTable).Placement(common.LegendPlacementRight).ShowLegend(true).
		Calcs([]string{"lastNotNull", "max"}).SortBy("Last *").SortDesc(true))
}
