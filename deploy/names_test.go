package deploy

import (
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// doors are the ports on which the services of compose.yaml listen, by their programs' defaults
// or by what they are told.
var doors = map[string][]string{
	"tidemark":     {"8080"},
	"prometheus":   {"9090"},
	"alertmanager": {"9093"},
	"collector":    {"4317", "4318"},
	"jaeger":       {"4317", "4318", "16686"},
	"grafana":      {"3000"},
}

// reachable tells whether host:port is a service's door.
func reachable(c compose, hostport string) bool {
	host, port, _ := strings.Cut(hostport, ":")
	_, ok := c.Services[host]
	for _, p := range doors[host] {
		if ok && p == port {
			return true
		}
	}
	return false
}

// TestPublished: what is published is where the service listens.
func TestPublished(t *testing.T) {
	c := readYAML[compose](t, "compose.yaml")
	for name, s := range c.Services {
		for _, p := range s.Ports {
			parts := strings.Split(p, ":")
			if inside := parts[len(parts)-1]; !reachable(c, name+":"+inside) {
				t.Errorf("%s publishes %s, where it does not listen", name, p)
			}
		}
	}
	if !strings.Contains(read(t, "Dockerfile"), "--web.listen-address=0.0.0.0:8080") {
		t.Error("the image does not listen on 8080")
	}
}

// scrape is a Prometheus configuration, as far as it names others.
type scrape struct {
	ScrapeConfigs []struct {
		JobName       string `yaml:"job_name"`
		StaticConfigs static `yaml:"static_configs"`
	} `yaml:"scrape_configs"`
	Alerting struct {
		Alertmanagers []struct {
			StaticConfigs static `yaml:"static_configs"`
		}
	}
}

type static []struct{ Targets []string }

// targets are all that it names.
func (s scrape) targets() []string {
	var all []string
	add := func(s static) {
		for _, group := range s {
			all = append(all, group.Targets...)
		}
	}
	for _, c := range s.ScrapeConfigs {
		add(c.StaticConfigs)
	}
	for _, a := range s.Alerting.Alertmanagers {
		add(a.StaticConfigs)
	}
	return all
}

// TestTargets: what Prometheus and the collector scrape and tell are services, and nothing is
// scraped twice.
func TestTargets(t *testing.T) {
	c := readYAML[compose](t, "compose.yaml")
	p := readYAML[scrape](t, "prometheus.yml")
	collector := readYAML[struct {
		Receivers struct {
			Prometheus struct{ Config scrape }
		}
	}](t, "collector.yaml").Receivers.Prometheus.Config
	if p.ScrapeConfigs[0].JobName != "tidemark" || len(p.targets()) != 2 || len(collector.targets()) != 2 {
		t.Errorf("Prometheus names %v, the collector %v", p.targets(), collector.targets())
	}
	for _, target := range append(p.targets(), collector.targets()...) {
		if !reachable(c, target) {
			t.Errorf("%s is no service", target)
		}
	}
	if slices.Contains(collector.targets(), p.ScrapeConfigs[0].StaticConfigs[0].Targets[0]) {
		t.Error("Tidemark is scraped twice")
	}
}

// TestGrafana: the data sources are services and know each other, the dashboards lie where
// Grafana is told to look.
func TestGrafana(t *testing.T) {
	c := readYAML[compose](t, "compose.yaml")
	sources := readYAML[struct {
		Datasources []struct {
			UID, URL string
			JSONData struct {
				AlertmanagerUID             string `yaml:"alertmanagerUid"`
				ExemplarTraceIDDestinations []struct {
					Name          string
					DatasourceUID string `yaml:"datasourceUid"`
				} `yaml:"exemplarTraceIdDestinations"`
			} `yaml:"jsonData"`
		}
	}](t, "grafana/datasources/tidemark.yaml").Datasources
	uids, links := map[string]bool{}, 0
	for _, s := range sources {
		uids[s.UID] = true
		u, err := url.Parse(s.URL)
		if err != nil || !reachable(c, u.Host) {
			t.Errorf("%s is at %s, which is no service: %v", s.UID, s.URL, err)
		}
	}
	for _, s := range sources {
		for _, d := range s.JSONData.ExemplarTraceIDDestinations {
			links++
			if !uids[d.DatasourceUID] || d.Name != "trace_id" {
				t.Errorf("exemplars of %s lead to %+v", s.UID, d)
			}
		}
		if a := s.JSONData.AlertmanagerUID; a != "" && !uids[a] {
			t.Errorf("the alerts of %s are in %s", s.UID, a)
		}
	}
	if links == 0 {
		t.Error("exemplars lead nowhere")
	}

	providers := readYAML[struct {
		Providers []struct{ Options struct{ Path string } }
	}](t, "grafana/dashboards/tidemark.yaml").Providers
	within := map[string]string{}
	for _, m := range mounts(c.Services["grafana"].Volumes) {
		within[m.target] = m.source
	}
	dir, ok := within[providers[0].Options.Path]
	if !ok {
		t.Fatalf("nothing is mounted at %s", providers[0].Options.Path)
	}
	home := c.Services["grafana"].Environment["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
	if _, err := os.Stat(filepath.Join(dir, filepath.Base(home))); err != nil || filepath.Dir(home) != providers[0].Options.Path {
		t.Errorf("the first dashboard is %s: %v", home, err)
	}
}

// TestWhereTo: every address in an environment is a service.
func TestWhereTo(t *testing.T) {
	c := readYAML[compose](t, "compose.yaml")
	seen := 0
	for name, s := range c.Services {
		for key, value := range s.Environment {
			if !strings.HasSuffix(key, "_ENDPOINT") && !strings.HasSuffix(key, "_URL") {
				continue
			}
			seen++
			if u, err := url.Parse(value); err != nil || !reachable(c, u.Host) {
				t.Errorf("%s has %s=%s, which is no service: %v", name, key, value, err)
			}
		}
	}
	if seen != 3 {
		t.Errorf("%d addresses in environments", seen)
	}
}
