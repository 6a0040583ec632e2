package dashboards

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/tidemark-obs/tidemark/internal/proctest"
	"github.com/tidemark-obs/tidemark/internal/telemetry/otlp/otlptest"
	"github.com/tidemark-obs/tidemark/internal/tooltest"
)

// stage is the service with Prometheus, Alertmanager and a collector around it, each with the file
// of deploy/ that it has there: only addresses, and how long things take, are other ones.
type stage struct {
	service, prometheus, alertmanager *process

	admin  string         // key of the service
	traces *otlptest.Sink // where the collector sends to
}

var (
	serviceListens = regexp.MustCompile(`"tidemark is ready".*"address":"([^"]+)"`)
	collectorReady = regexp.MustCompile(`(Everything is ready)`)
)

func newStage(t *testing.T) *stage {
	t.Helper()
	prometheus := tooltest.Find(t, "prometheus")
	alertmanager := tooltest.Installed(t, "alertmanager", "prometheus-alertmanager")
	otelcol := tooltest.Find(t, "otelcol")
	dir := t.TempDir()
	bin := filepath.Join(dir, "bin", "tidemark")
	if err := proctest.Build(bin); err != nil {
		t.Fatal(err)
	}

	data, home := filepath.Join(dir, "data"), filepath.Join(dir, "prometheus")
	keys := filepath.Join(home, "keys")
	mkdir(t, keys)
	maker := proctest.New(t, "../deploy/keys.sh", "TIDEMARK_DATA_DIR="+data, "PATH="+filepath.Dir(bin)+":"+os.Getenv("PATH"))
	for range 2 { // the second time it finds them made
		maker.Start(keys)
		if !maker.Ends(time.Minute) || maker.ExitCode() != 0 {
			t.Fatal("no keys")
		}
	}

	mkdir(t, filepath.Join(home, "alerts"))
	for _, file := range ruleFiles(t) {
		write(t, filepath.Join(home, "alerts", filepath.Base(file)), quick(read(t, file)))
	}
	compose := readCompose(t)
	s := &stage{admin: strings.TrimSpace(read(t, filepath.Join(keys, "admin"))), traces: otlptest.Start(t)}
	s.alertmanager = tool(t, alertmanager, append(compose.command(t, "alertmanager",
		"/etc/alertmanager/alertmanager.yml", "../deploy/alertmanager.yml",
		"=/alertmanager", "="+filepath.Join(dir, "alertmanager")), "--cluster.listen-address=")...)

	config := filepath.Join(dir, "tidemark.yaml")
	write(t, config, `
alerts: {scrape_interval: 1s, evaluation_interval: 1s}
notifications: {receivers: [{name: pager, type: alertmanager, url: "http://`+s.alertmanager.addr+`"}]}
`)
	otlp := proctest.FreeAddress(t)
	s.service = run(t, serviceListens, compose.environment(t, "tidemark", "collector:4317", otlp), bin,
		"serve", "--web.listen-address=127.0.0.1:0", "--data.dir="+data, "--log.format=json",
		"--config.file="+config, "--alerts.rules="+filepath.Join(home, "alerts", "*.rules.yaml"))

	write(t, filepath.Join(home, "prometheus.yml"), rewrite(t, read(t, "../deploy/prometheus.yml"),
		"tidemark:8080", s.service.addr,
		"alertmanager:9093", s.alertmanager.addr,
		"scrape_interval: 15s", "scrape_interval: 1s",
		"evaluation_interval: 15s", "evaluation_interval: 1s"))
	s.prometheus = tool(t, prometheus, compose.command(t, "prometheus",
		"/etc/prometheus/prometheus.yml", filepath.Join(home, "prometheus.yml"),
		"=/prometheus", "="+filepath.Join(home, "data"))...)

	over := filepath.Join(dir, "collector.yaml")
	write(t, over, rewrite(t, read(t, "../deploy/collector.yaml"),
		"alertmanager:9093", s.alertmanager.addr, "prometheus:9090", s.prometheus.addr,
		"scrape_interval: 15s", "scrape_interval: 1s"))
	run(t, collectorReady, append(compose.environment(t, "collector",
		"0.0.0.0:4317", otlp, "0.0.0.0:4318", proctest.FreeAddress(t),
		"http://jaeger:4318", s.traces.Endpoint("http/protobuf"), "prometheus:9090", s.prometheus.addr),
		"HEALTH_LISTEN="+proctest.FreeAddress(t), "SCRAPE_INTERVAL=1s"),
		otelcol, compose.command(t, "collector",
			"/etc/otelcol/otel-collector.yaml", "../otel-collector.yaml", "/etc/otelcol/collector.yaml", over)...)
	return s
}

// composeFile is deploy/compose.yaml as far as a program can be run without containers by it.
type composeFile struct {
	Services map[string]struct {
		Command     []string
		Environment map[string]string
	}
}

func readCompose(t *testing.T) composeFile {
	t.Helper()
	var c composeFile
	if err := yaml.Unmarshal([]byte(read(t, "../deploy/compose.yaml")), &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// command is a service's command with other paths.
func (c composeFile) command(t *testing.T, service string, pairs ...string) []string {
	t.Helper()
	return strings.Split(rewrite(t, strings.Join(c.Services[service].Command, "\n"), pairs...), "\n")
}

// environment is a service's with other addresses.
func (c composeFile) environment(t *testing.T, service string, pairs ...string) []string {
	t.Helper()
	var env []string
	for key, value := range c.Services[service].Environment {
		env = append(env, key+"="+value)
	}
	return strings.Split(rewrite(t, strings.Join(env, "\n"), pairs...), "\n")
}

func ruleFiles(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("../alerts/*.rules.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no alert files: %v", err)
	}
	return files
}

var waits = regexp.MustCompile(`(?m)^(\s*(?:-\s+)?(?:for|interval): )\S+$`)

// quick makes alerts that need not hold for long, of groups that are evaluated often.
func quick(rules string) string { return waits.ReplaceAllString(rules, "${1}1s") }

// rewrite replaces pairs, each of which must be there.
func rewrite(t *testing.T, text string, pairs ...string) string {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(text, pairs[i]) {
			t.Fatalf("there is no %s in %s", pairs[i], text)
		}
		text = strings.ReplaceAll(text, pairs[i], pairs[i+1])
	}
	return text
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func mkdir(t *testing.T, path string) {
	t.Helper()
	if err := os.MkdirAll(path, 0o755); err != nil {
		t.Fatal(err)
	}
}
