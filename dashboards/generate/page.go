package main

//lint:file-ignore SA1019 the classic form is what every Grafana from 10 on loads from a file; the newer form needs one of the newest

import (
	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
)

type (
	variable = cog.Builder[dashboard.VariableModel]
	panel    = cog.Builder[dashboard.Panel]
)

// page is one dashboard.
type page struct {
	uid         string // also the file's name; links and bookmarks rely on it
	title       string
	description string
	variables   []variable // beside data source, job and instance
	rows        []row
}

// row is a line with a title and the panels below it, laid out from left to right.
type row struct {
	title  string
	panels []panel
}

// build makes the dashboard.
func (p page) build() (dashboard.Dashboard, error) {
	b := dashboard.NewDashboardBuilder(p.title).
		Uid(p.uid).
		Description(p.description).
		Tags([]string{"tidemark"}).
		Readonly().
		Time("now-1h", "now").
		Refresh("30s").
		Timezone("browser").
		Tooltip(dashboard.DashboardCursorSyncCrosshair).
		Annotation(firing()).
		Link(siblings())
	for _, v := range append(standard(), p.variables...) {
		b.WithVariable(v)
	}
	for _, r := range p.rows {
		b.WithRow(dashboard.NewRowBuilder(r.title))
		for _, one := range r.panels {
			b.WithPanel(one)
		}
	}
	d, err := b.Build()
	if err != nil {
		return d, err
	}
	finish(&d)
	return d, nil
}

// finish numbers the panels, which links to a panel need, and undoes a default of the builders:
// links and the annotation's switch belong above the panels and not into a menu.
func finish(d *dashboard.Dashboard) {
	for i := range d.Panels {
		id := uint32(i + 1)
		if r := d.Panels[i].RowPanel; r != nil {
			r.Id = id
		} else {
			d.Panels[i].Panel.Id = &id
		}
	}
	for i := range d.Links {
		d.Links[i].Placement = nil
	}
	for i := range d.Annotations.List {
		d.Annotations.List[i].Placement = nil
	}
}

// siblings links to the other dashboards and takes time range and variables along.
func siblings() cog.Builder[dashboard.DashboardLink] {
	return dashboard.NewDashboardLinkBuilder("Tidemark").
		Type(dashboard.DashboardLinkTypeDashboards).
		Tooltip("The other dashboards of Tidemark").
		Tags([]string{"tidemark"}).
		IncludeVars(true).
		KeepTime(true)
}

// firing marks the times in which an alert fired. An alert about a whole job has no instance.
func firing() cog.Builder[dashboard.AnnotationQuery] {
	expr := shorthand.Replace(`ALERTS{alertname=~"Tidemark.+", alertstate="firing", job=~"$job|", instance=~"$instance|"}`)
	// Old versions of Grafana read the expression from here, newer ones from the target.
	return dashboard.NewAnnotationQueryBuilder().
		Name("Firing alerts").
		Datasource(source()).
		Enable(true).
		IconColor("red").
		Expr(expr).
		Target(prometheus.NewDataqueryBuilder().Expr(expr).RefId("Firing").Range()).
		TitleFormat("{{alertname}}").
		TextFormat("{{severity}} {{instance}}").
		TagKeys("alertname,severity,job,instance")
}

// standard are the variables of every dashboard. All jobs are all of Tidemark's: others in the same
// Prometheus have metrics of processes and requests too.
func standard() []variable {
	const ours = "tidemark_build_info"
	return []variable{
		dashboard.NewDatasourceVariableBuilder("datasource").
			Label("Data source").
			Type("prometheus"),
		labelValues("job", "Job", ours, "job"),
		labelValues("instance", "Instance", ours+`{job=~"$job"}`, "instance").
			AllValue(".+"), // no matter how many
	}
}

// labelValues is a variable with the values that a label has now.
func labelValues(name, label, selector, of string) *dashboard.QueryVariableBuilder {
	query := "label_values(" + selector + ", " + of + ")"
	return dashboard.NewQueryVariableBuilder(name).
		Label(label).
		Datasource(source()).
		Query(dashboard.StringOrMap{Map: map[string]any{"query": query, "refId": "Variable-" + name}}).
		Definition(query).
		Refresh(dashboard.VariableRefreshOnTimeRangeChanged).
		Sort(dashboard.VariableSortAlphabeticalAsc).
		Multi(true).
		IncludeAll(true).
		Current(option("All", "$__all"))
}

// ledger chooses how the ledgers of several replicas add up: their sum where each has a journal of
// its own, any one of them where all share a journal and so report the same numbers.
func ledger() variable {
	return dashboard.NewCustomVariableBuilder("ledger").
		Label("Journals").
		AllowCustomValue(false).
		Description("Whether each replica has a journal of its own, so that their counts add up, or all share one and report the same counts.").
		Values(dashboard.StringOrMap{String: new("own : sum, shared : max")}).
		Current(option("own", "sum")).
		Options([]dashboard.VariableOption{option("own", "sum"), option("shared", "max")})
}

func option(text, value string) dashboard.VariableOption {
	return dashboard.VariableOption{
		Text:  dashboard.StringOrArrayOfString{String: new(text)},
		Value: dashboard.StringOrArrayOfString{String: new(value)},
	}
}
