package main

import (
	"github.com/grafana/grafana-foundation-sdk/go/bargauge"
	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/heatmap"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/statetimeline"
	"github.com/grafana/grafana-foundation-sdk/go/table"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

// Widths of a panel; a line has 24.
const (
	sixth   = 4
	quarter = 6
	third   = 8
	half    = 12
	full    = 24
)

// Units of Grafana.
const (
	seconds     = "s"
	ratio       = "percentunit"
	size        = "bytes"
	sizePerSec  = "Bps"
	requestsSec = "reqps"
	perSec      = "cps" // counts
	plain       = "short"
	sinceEpoch  = "dateTimeFromNow"
)

// lines draws series over time.
func lines(width uint32, unit, title, description string, queries ...query) *timeseries.PanelBuilder {
	p := timeseries.NewPanelBuilder().
		Title(title).Description(description).
		Datasource(source()).Targets(targets("", queries)).
		Span(width).Height(8).
		Unit(unit).AxisSoftMin(0).
		LineWidth(1).FillOpacity(10).ShowPoints(common.VisibilityModeNever).
		ColorScheme(dashboard.NewFieldColorBuilder().Mode(dashboard.FieldColorModeIdPaletteClassicByName)).
		Legend(common.NewVizLegendOptionsBuilder().
			DisplayMode(common.LegendDisplayModeTable).Placement(common.LegendPlacementBottom).ShowLegend(true).
			Calcs([]string{"lastNotNull", "max"})).
		Tooltip(common.NewVizTooltipOptionsBuilder().
			Mode(common.TooltipDisplayModeMulti).Sort(common.SortOrderDescending))
	for _, one := range queries {
		if one.legend == "threshold" {
			p.OverrideByName("threshold", dashed("red"))
		}
	}
	return p
}

// limitLines draws a panel's levels as dashed lines.
func limitLines() cog.Builder[common.GraphThresholdsStyleConfig] {
	return common.NewGraphThresholdsStyleConfigBuilder().Mode(common.GraphThresholdsStyleModeDashed)
}

// stacked is lines that add up to a whole.
func stacked(width uint32, unit, title, description string, queries ...query) *timeseries.PanelBuilder {
	return lines(width, unit, title, description, queries...).
		FillOpacity(40).
		Stacking(common.NewStackingConfigBuilder().Mode(common.StackingModeNormal).Group("A"))
}

// dashed is how a limit looks: a line without a surface.
func dashed(color string) []dashboard.DynamicConfigValue {
	return []dashboard.DynamicConfigValue{
		{Id: "color", Value: map[string]any{"mode": "fixed", "fixedColor": color}},
		{Id: "custom.lineStyle", Value: map[string]any{"fill": "dash", "dash": []int{10, 10}}},
		{Id: "custom.fillOpacity", Value: 0},
		{Id: "custom.stacking", Value: map[string]any{"mode": "none"}},
	}
}

// level is a value from which on a number has a colour.
type level struct {
	from  float64
	color string
}

// levels colours a number: base below the first level.
func levels(base string, above ...level) cog.Builder[dashboard.ThresholdsConfig] {
	steps := []dashboard.Threshold{{Color: base}}
	for _, l := range above {
		steps = append(steps, dashboard.Threshold{Value: new(l.from), Color: l.color})
	}
	return dashboard.NewThresholdsConfigBuilder().Mode(dashboard.ThresholdsModeAbsolute).Steps(steps)
}

// number shows the latest values of few series, large.
func number(width uint32, unit, title, description string, colors cog.Builder[dashboard.ThresholdsConfig], queries ...query) *stat.PanelBuilder {
	return stat.NewPanelBuilder().
		Title(title).Description(description).
		Datasource(source()).Targets(targets("", queries)).
		Span(width).Height(4).
		Unit(unit).
		Thresholds(colors).
		ColorScheme(dashboard.NewFieldColorBuilder().Mode(dashboard.FieldColorModeIdThresholds)).
		ReduceOptions(lastValue()).
		GraphMode(common.BigValueGraphModeArea).
		Orientation(common.VizOrientationAuto)
}

// gauges shows the latest values as bars, each as a part of a whole.
func gauges(width uint32, unit, title, description string, colors cog.Builder[dashboard.ThresholdsConfig], queries ...query) *bargauge.PanelBuilder {
	return bargauge.NewPanelBuilder().
		Title(title).Description(description).
		Datasource(source()).Targets(targets("", queries)).
		Span(width).Height(8).
		Unit(unit).Min(0).Max(1).
		Thresholds(colors).
		ColorScheme(dashboard.NewFieldColorBuilder().Mode(dashboard.FieldColorModeIdThresholds)).
		ReduceOptions(lastValue()).
		Orientation(common.VizOrientationHorizontal).
		DisplayMode(common.BarGaugeDisplayModeBasic)
}

func lastValue() cog.Builder[common.ReduceDataOptions] {
	return common.NewReduceDataOptionsBuilder().Calcs([]string{"lastNotNull"}).Fields("").Values(false)
}

// cells draws a histogram over time: one query, with classic buckets summed by le or native.
func cells(width uint32, unit, title, description string, one query) *heatmap.PanelBuilder {
	return heatmap.NewPanelBuilder().
		Title(title).Description(description).
		Datasource(source()).Targets(targets(prometheus.PromQueryFormatHeatmap, []query{one})).
		Span(width).Height(10).
		Unit(unit).
		Color(heatmap.NewHeatmapColorOptionsBuilder().
			Mode(heatmap.HeatmapColorModeScheme).Scheme("Spectral").Steps(64).Reverse(true).Exponent(0.5).
			Scale(heatmap.HeatmapColorScaleExponential)).
		YAxis(heatmap.NewYAxisConfigBuilder().Unit(unit).AxisPlacement(common.AxisPlacementLeft)).
		CellValues(heatmap.NewCellValuesBuilder().Unit(requestsSec)).
		Tooltip(heatmap.NewHeatmapTooltipBuilder().Mode(common.TooltipDisplayModeSingle).YHistogram(true).ShowColorScale(true)).
		ExemplarsColor("rgba(255,0,255,0.7)").
		ShowLegend()
}

// column is one number of a table's rows.
type column struct {
	title, unit string
	query       query
}

// grid is a table with a row for each value of the labels and a column for each query.
func grid(width uint32, title, description string, labels map[string]string, columns ...column) *table.PanelBuilder {
	rename := map[string]any{}
	for label, name := range labels {
		rename[label] = name
	}
	var queries []query
	p := table.NewPanelBuilder()
	for i, c := range columns {
		queries = append(queries, c.query)
		value := "Value"
		if len(columns) > 1 {
			value = "Value #" + string(rune('A'+i))
		}
		rename[value] = c.title
		p.OverrideByName(c.title, []dashboard.DynamicConfigValue{{Id: "unit", Value: c.unit}})
	}
	return p.
		Title(title).Description(description).
		Datasource(source()).Targets(targets(prometheus.PromQueryFormatTable, queries)).
		Span(width).Height(10).
		Unit(plain).
		Filterable(true).
		WithTransformation(dashboard.DataTransformerConfig{Id: "merge", Options: map[string]any{}}).
		WithTransformation(dashboard.DataTransformerConfig{Id: "organize", Options: map[string]any{
			"excludeByName": map[string]any{"Time": true}, "renameByName": rename,
		}})
}

// states draws when each series had which value, as a band with the value's colour.
func states(width uint32, title, description string, mapping map[string]dashboard.ValueMappingResult, queries ...query) *statetimeline.PanelBuilder {
	return statetimeline.NewPanelBuilder().
		Title(title).Description(description).
		Datasource(source()).Targets(targets("", queries)).
		Span(width).Height(10).
		Unit(plain).
		Mappings([]dashboard.ValueMapping{{ValueMap: &dashboard.ValueMap{Type: dashboard.MappingTypeValueToText, Options: mapping}}}).
		ColorScheme(dashboard.NewFieldColorBuilder().Mode(dashboard.FieldColorModeIdThresholds)).
		ShowValue(common.VisibilityModeNever).
		MergeValues(true).
		FillOpacity(80).
		Tooltip(common.NewVizTooltipOptionsBuilder().Mode(common.TooltipDisplayModeSingle).Sort(common.SortOrderNone)).
		Legend(common.NewVizLegendOptionsBuilder().
			DisplayMode(common.LegendDisplayModeList).Placement(common.LegendPlacementBottom).ShowLegend(true).Calcs([]string{}))
}
