package app

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/proctest"
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
			if code := p.Stop(time.Minute); code != 0 {
				t.Errorf("Prometheus ended with %d", code)
			}
			for _, line := range proctest.Complaints(p.Said()) {
				t.Errorf("Prometheus complains: %s", line)
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

// scraper is a running Prometheus.
type scraper struct {
	*proctest.Program
	addr string
}

func startPrometheus(t *testing.T, program, features, config string) *scraper {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(file, []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	p, addr := proctest.Tool(t, program, "--config.file="+file, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--enable-feature="+features)
	return &scraper{p, addr}
}

// until asks until there is an answer with something in it.
func (p *scraper) until(t *testing.T, query string) {
	t.Helper()
	proctest.Eventually(t, 3*time.Minute, query+" has an answer", func() error {
		res, err := http.Get("http://" + p.addr + "/api/v1/" + query)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			return err
		}
		var answer struct{ Data json.RawMessage }
		found := json.Unmarshal(body, &answer) == nil &&
			(bytes.Contains(answer.Data, []byte(`"value":[`)) || bytes.Contains(answer.Data, []byte(`"exemplars":[`)))
		if !found {
			return errors.New(string(body))
		}
		return nil
	})
}
