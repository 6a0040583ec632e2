package app

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/tooltest"
)

// TestPrometheusScrapesWithoutAWarning has both the pinned Prometheus and the distribution's, which
// is older, scrape the running service with native histograms and exemplars.
func TestPrometheusScrapesWithoutAWarning(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: takes many seconds")
	}
	cfg := everythingOn(t)
	cfg.Telemetry.TraceSampleRatio = 1 // else an exemplar may not come
	a := start(t, cfg, Options{})
	for name, c := range map[string]struct {
		find           func(testing.TB, ...string) string
		native, scrape string
	}{
		"pinned":       {tooltest.Find, "exemplar-storage", ", scrape_native_histograms: true"},
		"distribution": {tooltest.Installed, "exemplar-storage,native-histograms", ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := startPrometheus(t, c.find(t, "prometheus"), c.native, fmt.Sprintf(
				"global: {scrape_interval: 1s}\nscrape_configs:\n- {job_name: tidemark%s, static_configs: [{targets: [%q]}]}\n",
				c.scrape, a.Addr().String()))
			p.until(t, "query?query="+url.QueryEscape(`up{job="tidemark"} == 1`))
			call(t, a, "GET", "/api/analytics/stats", "")
			p.until(t, "query?query="+url.QueryEscape(
				`histogram_count(http_server_request_duration_native_seconds{http_route="/api/analytics/stats"}) > 0`))
			p.until(t, "query?query="+url.QueryEscape(
				`http_server_request_duration_seconds_bucket{http_route="/api/analytics/stats",le=~"2(.0)?"} > 0`))
			p.until(t, fmt.Sprintf("query_exemplars?query=%s&start=%d&end=%d", url.QueryEscape(`{__name__=~"http_server_request_duration.*"}`),
				time.Now().Add(-time.Hour).Unix(), time.Now().Add(time.Hour).Unix()))
			p.stop(t)
			for line := range strings.Lines(p.log.String()) {
				if warning.MatchString(line) && !strings.Contains(line, "exiting gracefully") {
					t.Errorf("Prometheus complains: %s", line)
				}
			}
		})
	}
}

func TestPromtoolFindsNothingAmiss(t *testing.T) {
	a, _ := measured(t)
	text := scrapeText(t, a)
	for name, find := range map[string]func(testing.TB, ...string) string{"pinned": tooltest.Find, "distribution": tooltest.Installed} {
		t.Run(name, func(t *testing.T) {
			check := exec.CommandContext(t.Context(), find(t, "promtool"), "check", "metrics")
			check.Stdin = strings.NewReader(text)
			if out, err := check.CombinedOutput(); err != nil || len(out) > 0 {
				t.Errorf("promtool check metrics: %v\n%s", err, out)
			}
		})
	}
}

var (
	listens = regexp.MustCompile(`msg="Listening on" (?:component=\S+ )?address=(\S+)`)
	warning = regexp.MustCompile(`level=(?i:warn|error)`)
)

// scraper is a running Prometheus.
type scraper struct {
	cmd   *exec.Cmd
	addr  string
	log   *logBuffer
	ended chan struct{}
}

func startPrometheus(t *testing.T, program, features, config string) *scraper {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(file, []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	p := &scraper{log: new(logBuffer), ended: make(chan struct{})}
	p.cmd = exec.Command(program, "--config.file="+file, "--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--web.listen-address=127.0.0.1:0", "--enable-feature="+features)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	addr := make(chan string, 1)
	go func() {
		defer close(p.ended)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			_, _ = p.log.Write(append(bytes.Clone(lines.Bytes()), '\n'))
			if m := listens.FindSubmatch(lines.Bytes()); m != nil && len(addr) == 0 {
				addr <- string(m[1])
			}
		}
	}()
	t.Cleanup(func() { p.stop(t) })
	select {
	case p.addr = <-addr:
	case <-p.ended:
		t.Fatalf("Prometheus ended:\n%s", p.log)
	case <-time.After(30 * time.Second):
		t.Fatalf("Prometheus does not listen:\n%s", p.log)
	}
	return p
}

// stop may be called twice.
func (p *scraper) stop(t *testing.T) {
	t.Helper()
	if p.cmd.ProcessState != nil {
		return
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	<-p.ended // the log is whole
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("Prometheus: %v", err)
	}
}

// until asks until there is an answer with something in it.
func (p *scraper) until(t *testing.T, query string) {
	t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	last := ""
	for deadline := time.Now().Add(60 * time.Second); time.Now().Before(deadline); <-tick.C {
		res, err := http.Get("http://" + p.addr + "/api/v1/" + query)
		if err != nil {
			continue
		}
		body, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err != nil {
			continue
		}
		var answer struct{ Data json.RawMessage }
		last = string(body)
		found := json.Unmarshal(body, &answer) == nil &&
			(bytes.Contains(answer.Data, []byte(`"value":[`)) || bytes.Contains(answer.Data, []byte(`"exemplars":[`)))
		if found {
			return
		}
	}
	t.Fatalf("%s has no answer but %s\n%s", query, last, p.log)
}
