package app

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tidemark.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTheDocumentedFileIsTheDefault(t *testing.T) {
	c := Config{Privacy: Default().Privacy}
	if err := c.ReadFile("../../docs/tidemark.yaml"); err != nil {
		t.Fatal(err)
	}
	c.Web.TrustedProxies, c.file = nil, nil
	if !reflect.DeepEqual(c, Default()) {
		t.Errorf("docs/tidemark.yaml says\n%+v\nthe defaults are\n%+v", c, Default())
	}
}

func TestFaultsInTheFileAreNamed(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"unknown key", "web:\n  listen_address: 127.0.0.1:1\n  prot: 3\n", ":3: web.prot: is not a setting"},
		{"wrong type", "web:\n  shutdown_timeout: soon\n", ":2: web.shutdown_timeout: wants a duration"},
		{"not YAML", "web: {}\nlog: [\n", ":2: "},
		{"a key twice", "web: {}\nlog: {}\nweb: {}\n", ":3: "},
		{"not settings", "- web\n", ":1: wants keys and values"},
		{"bad address", "web:\n  listen_address: nowhere\n", ":2: web.listen_address"},
		{"bad database", "database:\n  url: mysql://x\n", ":2: database.url"},
		{"bad threshold", "tracking:\n  thresholds:\n    high_cpu_percent: 400\n", ":3: tracking.thresholds.high_cpu_percent: must be"},
		{"zero limit", "limits:\n  depth: 0\n", ":2: limits.depth"},
		{"small journal", "journal:\n  max_bytes: 1000\n", ":2: journal.max_bytes: must be at least 1048576"},
		{"bad port", "web:\n  listen_address: 127.0.0.1:99999\n", ":2: web.listen_address: wants a port"},
		{"two documents", "web: {}\n---\nlog: {}\n", ":2: only one document is read"},
		{"memory that is none", "database:\n  memory_limit: lots\n", ":2: database.memory_limit: wants a size"},
		{"too many threads", "database:\n  threads: 100000\n", ":2: database.threads"},
		{"negative threads", "database:\n  threads: -1\n", ":2: database.threads"},
		{"a rate without a burst", "rate_limits:\n  per_key: {per_second: 5}\n", ":2: rate_limits.per_key: wants"},
		{"bad scrape job", "alerts:\n  scrape:\n    - job: a\n      targets: [h:1]\n    - job: tidemark\n      targets: [h:1]\n", ":5: alerts.scrape[1]"},
		{"bad receiver", "notifications:\n  receivers:\n    - name: a\n      type: pigeon\n", ":4: notifications.receivers[0].type"},
		{"bad proxy", "web:\n  trusted_proxies: [ten]\n", ":2: web.trusted_proxies"},
		{"unknown key of a dimension", "statistics:\n  dimensions:\n    - property: a\n      budget: 3\n", ":4: statistics.dimensions[0].budget: is not a setting"},
		{"bad dimension", "statistics:\n  dimensions:\n    - property: a\n      values: -1\n", ":4: statistics.dimensions[0].values"},
		{"bad metric", "statistics:\n  metrics:\n    - event: buy\n      labels: [plan]\n", ":4: statistics.metrics[0].labels[0]"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := Default()
			err := c.ReadFile(write(t, tt.text))
			if err == nil {
				err = c.Check()
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one that names %s", err, tt.want)
			}
		})
	}
}

// TestEveryFaultOfAFileIsNamed has faults of form, which the YAML library finds one at a time, and
// values that cannot be.
func TestEveryFaultOfAFileIsNamed(t *testing.T) {
	path := write(t, `web:
  listen_adress: 127.0.0.1:1
  shutdown_timeout: soon
  trusted_proxies: 10.0.0.0/8
nonsense: {a: 1}
limits:
  depth: deep
  tags: 0
tracking:
  enabled: perhaps
  thresholds: {high_cpu_percent: secret, slow_request_ms: -1}
log: loud
alerts:
  evaluation_interval: 0s
  scrape:
    - {job: a, targets: ["h:1", {host: h}]}
`)
	var got []string
	for _, fault := range flatten(CheckFile(path)) {
		got = append(got, strings.TrimPrefix(fault.Error(), path+":"))
	}
	want := []string{
		"2: web.listen_adress: is not a setting",
		"3: web.shutdown_timeout: wants a duration as 30s, 1h30m or 90d",
		"4: web.trusted_proxies: wants a list",
		"5: nonsense: is not a setting",
		"7: limits.depth: wants a whole number",
		"8: limits.tags: must be above 0",
		"10: tracking.enabled: wants true or false",
		"11: tracking.thresholds.high_cpu_percent: wants a number",
		"11: tracking.thresholds.slow_request_ms: must be a number over 0",
		"12: log: wants keys and values",
		"14: alerts.evaluation_interval: must be above 0",
		"16: alerts.scrape[0].targets[1]: wants text",
	}
	if !slices.Equal(got, want) {
		t.Errorf("told\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestStatisticsAreRead(t *testing.T) {
	c := Default()
	err := c.ReadFile(write(t, `
statistics:
  dimensions:
    - {property: plan, events: [purchase], values: 7, known: [pro], label: tier}
  numbers:
    - {property: amount, events: [purchase]}
  metrics:
    - {event: purchase, labels: [plan], name: sales_total, help: Sales.}
    - {event: purchase, histogram: amount, unit: euros, buckets: [1, 2.5]}
`))
	if err != nil {
		t.Fatal(err)
	}
	set, err := c.Statistics.declared()
	if err != nil {
		t.Fatal(err)
	}
	d, m := set.Dimensions()[0], set.Metrics()
	if d.Label != "tier" || d.Values != 7 || !slices.Equal(d.Known, []string{"pro"}) || !d.Covers("purchase") || d.Covers("") || !set.Numbers()[0].Covers("purchase") {
		t.Errorf("dimension %+v, numbers %+v", d, set.Numbers())
	}
	if m[0].Name != "sales_total" || m[0].Help != "Sales." || len(m[0].Dimensions) != 1 ||
		m[1].Name != "tidemark_event_purchase_amount_euros" || !slices.Equal(m[1].Buckets, []float64{1, 2.5}) {
		t.Errorf("metrics %+v", m)
	}
}

func TestURLFile(t *testing.T) {
	c := Default()
	c.Database.URLFile = write(t, "postgres://u@h/db\n")
	if err := c.Check(); err != nil || c.Database.URL != "postgres://u@h/db" {
		t.Errorf("url %q, error %v", c.Database.URL, err)
	}
}

func TestFaultsOfFlagsNameNoLine(t *testing.T) {
	c := Default()
	if err := c.ReadFile(write(t, "web:\n  listen_address: 127.0.0.1:1\nlog:\n  level: loud\n")); err != nil {
		t.Fatal(err)
	}
	c.Web.ListenAddress = "nowhere"
	err := c.Check()
	if err == nil || !strings.Contains(err.Error(), ":4: log.level") || strings.Contains(err.Error(), ":2: web.listen_address") {
		t.Errorf("error %v, want the line of what the file says only", err)
	}
}

// TestWhatWaitsForARestartIsNamed changes each section by itself.
func TestWhatWaitsForARestartIsNamed(t *testing.T) {
	live := []string{"log", "limits", "privacy", "self_events", "notifications"}
	sections := reflect.TypeFor[Config]()
	for i := range sections.NumField() {
		section := sections.Field(i).Tag.Get("yaml")
		if section == "" || slices.Contains(live, section) {
			continue
		}
		next := Default()
		reflect.ValueOf(&next).Elem().Field(i).SetZero()
		if names := Default().needRestart(next); !slices.Equal(names, []string{section}) {
			t.Errorf("%s changed, and what waits for a restart is %v", section, names)
		}
	}
}

func TestOneDocumentMayBeginInAnyWay(t *testing.T) {
	for _, text := range []string{"---\nlog: {level: debug}\n", "# mine\n---\nlog: {level: debug}\n", "log: {level: debug}\n...\n"} {
		c := Default()
		if err := c.ReadFile(write(t, text)); err != nil || c.Log.Level != "debug" {
			t.Errorf("%q: level %s, %v", text, c.Log.Level, err)
		}
	}
}
