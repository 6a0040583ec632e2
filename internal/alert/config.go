package alert

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path/filepath"
	"strings"
	"time"
)

// Config is what the evaluator does. A reload may change Rules, BuiltIn, ScrapeInterval,
// EvaluationInterval and Scrape; the rest holds until a restart.
type Config struct {
	Dir                string        // of the metric store and what is moved aside of it
	Rules              []string      // glob patterns of rule files
	BuiltIn            fs.FS         // *.rules.yaml to use when Rules match no file; nil = none
	ScrapeInterval     time.Duration // of the service itself, and of targets that say nothing
	EvaluationInterval time.Duration // of groups that say nothing
	ExternalURL        string        // where people find the service; for templates and links
	Instance           string        // value of the label instance of the service's own series

	QueryURL       string        // Prometheus-compatible server that answers the rules' queries; empty = the store
	QueryTokenFile string        // file with the bearer token for it
	QueryTimeout   time.Duration // of one rule's query

	OutageTolerance time.Duration // how long the service may be down without alerts losing their `for`
	ForGracePeriod  time.Duration // least time between a restart and an alert that was pending before it
	ResendDelay     time.Duration // least time between two notifications of a firing alert

	Retention time.Duration // what is older goes
	MaxBytes  int64         // the oldest goes when the store is larger

	APITimeout     time.Duration // of a query by HTTP
	APIMaxSamples  int           // that one query by HTTP, or of a rule, may hold in memory
	APIConcurrency int           // requests by HTTP at once

	Scrape []Job // other targets
}

// Job is a set of targets that are scraped alike.
type Job struct {
	Name            string
	Targets         []string // host:port
	Labels          map[string]string
	Scheme          string        // http or https
	MetricsPath     string        // empty = /metrics
	Interval        time.Duration // 0 = Config.ScrapeInterval
	Timeout         time.Duration // 0 = 10 s or the interval
	BearerTokenFile string
	CAFile          string // PEM file of the authority that signed the targets' certificates
	SampleLimit     uint   // a scrape with more samples fails
	BodySizeLimit   int64  // a scrape with a larger answer fails
}

// selfJob is the job of the service's own series.
const selfJob = "tidemark"

// Bounds of a job that the configuration cannot lift.
const (
	maxJobs           = 100
	maxTargets        = 1000
	labelLimit        = 64
	labelNameLimit    = 200
	labelValueLimit   = 1000
	bucketLimit       = 160
	defaultScrapeTime = 10 * time.Second
)

// Check reports every value that cannot be. Errors name the key below alerts.
func (c *Config) Check() error {
	var errs []error
	bad := func(key, format string, args ...any) {
		errs = append(errs, fmt.Errorf("alerts."+key+": "+format, args...))
	}
	for key, d := range map[string]time.Duration{
		"scrape_interval": c.ScrapeInterval, "evaluation_interval": c.EvaluationInterval,
		"query_timeout": c.QueryTimeout, "outage_tolerance": c.OutageTolerance, "for_grace_period": c.ForGracePeriod,
		"resend_delay": c.ResendDelay, "storage.retention": c.Retention, "api.timeout": c.APITimeout,
	} {
		if d <= 0 {
			bad(key, "must be above 0")
		} else if d%time.Millisecond != 0 {
			bad(key, "must be whole milliseconds")
		}
	}
	if c.MaxBytes < 64<<20 {
		bad("storage.max_bytes", "must be at least 67108864 (64 MiB)")
	}
	if c.APIMaxSamples <= 0 {
		bad("api.max_samples", "must be above 0")
	}
	if c.APIConcurrency <= 0 {
		bad("api.concurrency", "must be above 0")
	}
	for key, text := range map[string]string{"external_url": c.ExternalURL, "query_url": c.QueryURL} {
		if err := checkURL(text); err != nil {
			bad(key, "%v", err)
		}
	}
	for i, pattern := range c.Rules {
		if _, err := filepath.Match(pattern, ""); err != nil {
			bad(fmt.Sprintf("rules[%d]", i), "is not a pattern: %v", err)
		}
	}
	if _, err := c.scrapeConfig(); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func checkURL(text string) error {
	if text == "" {
		return nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return errors.New("wants http://host or https://host") // the text may hold a password
	}
	return nil
}

// externalURL is where people find the service, without a slash at the end.
func (c *Config) externalURL() string {
	if c.ExternalURL == "" {
		return "http://" + c.Instance
	}
	return strings.TrimRight(c.ExternalURL, "/")
}
