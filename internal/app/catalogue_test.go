package app

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
)

// TestMetricsCatalogue compares docs/metrics.md with what the service exports; go test -update
// writes it anew.
func TestMetricsCatalogue(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("SKIPPED: the process's and the machine's metrics are those of Linux")
	}
	_, all := measured(t)
	const path = "../../docs/metrics.md"
	got := catalogue(all)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != got {
		t.Errorf("docs/metrics.md is not what is exported; make generate writes it anew, and git diff shows the difference")
	}
}

// catalogue writes all metrics down, in groups by where they come from.
func catalogue(all []*dto.MetricFamily) string {
	groups := []struct{ prefix, title string }{
		{"tidemark_", "Tidemark"},
		{"http_server_", "Requests"},
		{"system_", "The machine, or the container's share of it"},
		{"process_", "The process"},
		{"go_", "Go's runtime"},
		{"prometheus_", "The built-in metric store"},
		{"", "Others"},
	}
	var b strings.Builder
	b.WriteString(catalogueHead)
	for i, g := range groups {
		rows := 0
		for _, f := range all {
			own := slices.IndexFunc(groups, func(g struct{ prefix, title string }) bool { return strings.HasPrefix(f.GetName(), g.prefix) })
			if own != i {
				continue
			}
			if rows++; rows == 1 {
				fmt.Fprintf(&b, "\n## %s\n\n| metric | type | unit | labels | meaning |\n|---|---|---|---|---|\n", g.title)
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", f.GetName(), kind(f), unit(f), labelNames(f), strings.ReplaceAll(f.GetHelp(), "|", `\|`))
		}
	}
	return b.String()
}

const catalogueHead = `# Metrics

Everything that ` + "`/metrics`" + ` exports, made from a running service by ` + "`make generate`" + `.
Labels are bounded: none has values that a client can choose.
Requests whose trace was sampled leave an exemplar in their histogram; Prometheus keeps it with ` + "`--enable-feature=exemplar-storage`" + `, and native histograms with ` + "`scrape_native_histograms: true`" + `.
Failed requests (500, 503) are there at 0 before the first one, so that ` + "`increase()`" + ` sees it.
OpenTelemetry counts what would be more than 2,000 series of one metric in a single one with the label ` + "`otel_metric_overflow=\"true\"`" + `.
`

func kind(f *dto.MetricFamily) string {
	if h := f.GetMetric()[0].GetHistogram(); h != nil && h.Schema != nil {
		return "native histogram"
	}
	return strings.ToLower(f.GetType().String())
}

func unit(f *dto.MetricFamily) string {
	name := strings.TrimSuffix(f.GetName(), "_total")
	for _, u := range []string{"seconds", "bytes", "ratio"} {
		if strings.HasSuffix(name, "_"+u) {
			return u
		}
	}
	return ""
}

func labelNames(f *dto.MetricFamily) string {
	var names []string
	for _, m := range f.GetMetric() {
		for _, l := range m.GetLabel() {
			if name := "`" + l.GetName() + "`"; !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}
