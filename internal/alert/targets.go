package alert

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	commoncfg "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	promcfg "github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery"
	"github.com/prometheus/prometheus/discovery/targetgroup"
)

// targets is what to scrape, in Prometheus' own form.
type targets struct {
	config *promcfg.Config
	sets   map[string][]*targetgroup.Group // by job
}

// scrapeConfig makes Prometheus' configuration of what to scrape, checked by Prometheus' own
// reader. It touches nothing but the files that jobs name.
func (c *Config) scrapeConfig() (*targets, error) {
	if len(c.Scrape) > maxJobs {
		return nil, fmt.Errorf("alerts.scrape: at most %d jobs", maxJobs)
	}
	jobs := []map[string]any{c.selfScrape()}
	for i, j := range c.Scrape {
		job, err := j.scrape(c)
		if err != nil {
			return nil, fmt.Errorf("alerts.scrape[%d]: %w", i, err)
		}
		jobs = append(jobs, job)
	}
	text, err := json.Marshal(map[string]any{"scrape_configs": jobs}) // JSON is YAML
	if err != nil {
		return nil, err
	}
	cfg, err := promcfg.Load(string(text), slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, fmt.Errorf("alerts.scrape: %w", err)
	}
	t := &targets{config: cfg, sets: make(map[string][]*targetgroup.Group)}
	for _, sc := range cfg.ScrapeConfigs {
		if _, err := commoncfg.NewClientFromConfig(sc.HTTPClientConfig, sc.JobName); err != nil {
			return nil, fmt.Errorf("alerts.scrape: job %s: %w", sc.JobName, err)
		}
		for _, sd := range sc.ServiceDiscoveryConfigs {
			if static, ok := sd.(discovery.StaticConfig); ok {
				t.sets[sc.JobName] = append(t.sets[sc.JobName], static...)
			}
		}
	}
	return t, nil
}

// selfScrape is the job that scrapes the service through memory.
func (c *Config) selfScrape() map[string]any {
	job := scrapeBasics(selfJob, c.ScrapeInterval, min(c.ScrapeInterval, defaultScrapeTime))
	job["static_configs"] = []any{map[string]any{
		"targets": []string{selfAddress}, "labels": map[string]string{model.InstanceLabel: c.Instance},
	}}
	return job
}

// scrapeBasics are what all jobs have in common. Timestamps in answers are not believed: one
// from the future would keep all later samples out.
func scrapeBasics(name string, interval, timeout time.Duration) map[string]any {
	return map[string]any{
		"job_name":        name,
		"scrape_interval": model.Duration(interval).String(), "scrape_timeout": model.Duration(timeout).String(),
		"honor_timestamps": false, "scrape_protocols": promcfg.DefaultProtoFirstScrapeProtocols,
		"fallback_scrape_protocol": promcfg.PrometheusText0_0_4,
		"scrape_native_histograms": true, "always_scrape_classic_histograms": true,
		"native_histogram_bucket_limit": bucketLimit, "label_limit": labelLimit,
		"label_name_length_limit": labelNameLimit, "label_value_length_limit": labelValueLimit,
		"follow_redirects": false,
	}
}

func (j *Job) scrape(c *Config) (map[string]any, error) {
	switch {
	case j.Name == "" || j.Name == selfJob:
		return nil, fmt.Errorf("job wants a name that is not %q", selfJob)
	case len(j.Targets) == 0 || len(j.Targets) > maxTargets:
		return nil, fmt.Errorf("job %s wants 1 to %d targets", j.Name, maxTargets)
	case j.Scheme != "" && j.Scheme != "http" && j.Scheme != "https":
		return nil, fmt.Errorf("job %s: the scheme is http or https", j.Name)
	case j.SampleLimit == 0 || j.BodySizeLimit <= 0:
		return nil, fmt.Errorf("job %s: sample_limit and body_size_limit must be above 0", j.Name)
	}
	interval, timeout := j.Interval, j.Timeout
	if interval == 0 {
		interval = c.ScrapeInterval
	}
	if timeout == 0 {
		timeout = min(interval, defaultScrapeTime)
	}
	if interval < 0 || timeout < 0 || timeout > interval {
		return nil, fmt.Errorf("job %s: the timeout must not be above the interval", j.Name)
	}
	job := scrapeBasics(j.Name, interval, timeout)
	job["sample_limit"], job["body_size_limit"] = j.SampleLimit, fmt.Sprintf("%dB", j.BodySizeLimit)
	job["static_configs"] = []any{map[string]any{"targets": j.Targets, "labels": j.Labels}}
	setIf(job, "scheme", j.Scheme)
	setIf(job, "metrics_path", j.MetricsPath)
	if j.BearerTokenFile != "" {
		job["authorization"] = map[string]any{"credentials_file": j.BearerTokenFile}
	}
	if j.CAFile != "" {
		job["tls_config"] = map[string]any{"ca_file": j.CAFile}
	}
	return job, nil
}

func setIf(m map[string]any, key, value string) {
	if value != "" {
		m[key] = value
	}
}
