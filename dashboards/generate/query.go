package main

import (
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/variants"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
)

// shorthand is what query expressions are written with, so that no selector forgets the variables
// and no rate its interval. PromQL's own @ is not used.
var shorthand = strings.NewReplacer(
	"[@]", "[$__rate_interval]",
	"@", `job=~"$job", instance=~"$instance"`,
)

// query is one expression of a panel and the name of its series.
type query struct {
	expr, legend string
	exemplars    bool // ask for the traces behind the numbers as well
	instant      bool // only the value at the end of the time range
}

// q is a query over the time range, written with the shorthand.
func q(expr, legend string) query { return query{expr: expr, legend: legend} }

// traced is q with exemplars.
func traced(expr, legend string) query { return query{expr: expr, legend: legend, exemplars: true} }

// now is q at the end of the time range.
func now(expr, legend string) query { return query{expr: expr, legend: legend, instant: true} }

// threshold is the limit in force, in base units, drawn as a line of its own.
func threshold(name string) query {
	return q(`max(tidemark_threshold{@, name="`+name+`"})`, "threshold")
}

// source is the dashboards' data source variable.
func source() common.DataSourceRef {
	return common.DataSourceRef{Type: new("prometheus"), Uid: new("${datasource}")}
}

// targets builds queries; format is empty for what the panel takes by itself.
func targets(format prometheus.PromQueryFormat, queries []query) []cog.Builder[variants.Dataquery] {
	all := make([]cog.Builder[variants.Dataquery], len(queries))
	for i, one := range queries {
		b := prometheus.NewDataqueryBuilder().
			Datasource(source()).
			Expr(shorthand.Replace(one.expr)).
			LegendFormat(one.legend).
			RefId(string(rune('A' + i)))
		if one.instant {
			b.Instant()
		} else {
			b.Range()
		}
		if one.exemplars {
			b.Exemplar(true)
		}
		if format != "" {
			b.Format(format)
		}
		all[i] = b
	}
	return all
}
