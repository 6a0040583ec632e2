package alert

import (
	"os"
	"slices"
	"strings"
	"testing"
)

func TestWhereQueriesAreAnswered(t *testing.T) {
	t.Parallel()
	set, err := ReadRuleFiles([]string{writeRules(t, `
groups:
  - name: g
    rules:
      - {record: "a:one", expr: "sum by (job) (rate(raw_total[5m]))"}
      - {record: "a:two", expr: "a:one * 2 + other"}
      - {record: "a:labelled", expr: raw, labels: {x: y}}
      - {record: "a:twice", expr: raw}
      - {record: "a:twice", expr: other}
      - {record: "a:itself", expr: "a:itself + raw"}
      - {alert: Fine, expr: "a:two > raw"}
      - {alert: Odd, expr: "a:labelled > raw"}
`)})
	if err != nil {
		t.Fatal(err)
	}
	const one = "(sum by (job) (rate(raw_total[5m])))"
	for _, tt := range []struct {
		query   string
		here    bool
		form    string
		missing string
	}{
		{"raw > 1", false, "raw > 1", ""},
		{`{job="x"}`, false, `{job="x"}`, ""},
		{"1", false, "1", ""},
		{"a:one > 1", true, "a:one > 1", ""},
		{"sum_over_time(a:one[1h]) / a:two offset 1h", true, "sum_over_time(a:one[1h]) / a:two offset 1h", ""},
		{`count(ALERTS{alertstate="firing"})`, true, `count(ALERTS{alertstate="firing"})`, ""},
		{"a:one - raw", false, one + " - raw", ""},
		{"raw - a:one - a:one", false, "raw - " + one + " - " + one, ""},
		{"raw + a:two", false, "raw + (" + one + " * 2 + other)", ""},
		{"max_over_time((a:one + raw)[10m:1m])", false, "max_over_time((" + one + " + raw)[10m:1m])", ""},
		{"raw > sum_over_time(a:one[5m])", false, "raw > sum_over_time(a:one[5m])", "a:one"},
		{"raw > a:one offset 5m", false, "raw > a:one offset 5m", "a:one"},
		{"raw > a:one @ 5", false, "raw > a:one @ 5", "a:one"},
		{`raw > a:one{job="x"}`, false, `raw > a:one{job="x"}`, "a:one"},
		{"raw > a:labelled", false, "raw > a:labelled", "a:labelled"},
		{"raw > a:twice", false, "raw > a:twice", "a:twice"},
		{"raw and ALERTS", false, "raw and ALERTS", "ALERTS"},
	} {
		here, form, missing := set.split(tt.query)
		if here != tt.here || form != tt.form || strings.Join(missing, " ") != tt.missing {
			t.Errorf("%s: here %v, %s, missing %v", tt.query, here, form, missing)
		}
	}
	if _, _, missing := set.split("raw + a:itself"); !slices.Equal(missing, []string{"a:itself"}) {
		t.Errorf("a series that is made of itself: missing %v", missing)
	}
	if got := set.unreachable(); !slices.Equal(got, []string{"a:itself reads a:itself", "Odd reads a:labelled"}) {
		t.Errorf("%q", got)
	}
}

// TestShippedRulesNeedNothingElsewhere keeps the shipped rules such that another server answers
// them without knowing what they record.
func TestShippedRulesNeedNothingElsewhere(t *testing.T) {
	t.Parallel()
	set, err := ReadRules(nil, os.DirFS("../../alerts"))
	if err != nil {
		t.Fatal(err)
	}
	if got := set.unreachable(); len(got) > 0 || len(set.recorded) == 0 {
		t.Errorf("%q", got)
	}
}
