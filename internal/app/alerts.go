package app

import (
	"context"
	"io/fs"
	"log/slog"
	"net/http"
	"path/filepath"
	"slices"
	"time"

	"github.com/prometheus/prometheus/rules"

	"github.com/tidemark-obs/tidemark/alerts"
	"github.com/tidemark-obs/tidemark/internal/alert"
)

// Alerts is what is watched, and by which rules.
type Alerts struct {
	Enabled              bool          `yaml:"enabled"`
	Rules                []string      `yaml:"rules"` // glob patterns
	EvaluationInterval   Duration      `yaml:"evaluation_interval"`
	ScrapeInterval       Duration      `yaml:"scrape_interval"`
	ExternalURL          string        `yaml:"external_url"`
	QueryURL             string        `yaml:"query_url"`
	QueryBearerTokenFile string        `yaml:"query_bearer_token_file"`
	QueryTimeout         Duration      `yaml:"query_timeout"`
	OutageTolerance      Duration      `yaml:"outage_tolerance"`
	ForGracePeriod       Duration      `yaml:"for_grace_period"`
	ResendDelay          Duration      `yaml:"resend_delay"`
	Storage              AlertsStorage `yaml:"storage"`
	API                  AlertsAPI     `yaml:"api"`
	Scrape               []ScrapeJob   `yaml:"scrape"`
}

// AlertsStorage bounds the built-in metric store.
type AlertsStorage struct {
	Retention Duration `yaml:"retention"`
	MaxBytes  int64    `yaml:"max_bytes"`
}

// AlertsAPI bounds the Prometheus HTTP API.
type AlertsAPI struct {
	Timeout     Duration `yaml:"timeout"`
	MaxSamples  int      `yaml:"max_samples"`
	Concurrency int      `yaml:"concurrency"`
}

// ScrapeJob is a set of other targets to scrape.
type ScrapeJob struct {
	Job             string            `yaml:"job"`
	Targets         []string          `yaml:"targets"`
	Labels          map[string]string `yaml:"labels"`
	Scheme          string            `yaml:"scheme"`
	MetricsPath     string            `yaml:"metrics_path"`
	Interval        Duration          `yaml:"interval"`
	Timeout         Duration          `yaml:"timeout"`
	BearerTokenFile string            `yaml:"bearer_token_file"`
	CAFile          string            `yaml:"ca_file"`
	SampleLimit     *uint             `yaml:"sample_limit"`
	BodySizeLimit   *int64            `yaml:"body_size_limit"`
}

// What bounds a scrape of a target that says nothing.
const (
	defaultSampleLimit   = 10_000
	defaultBodySizeLimit = 10 << 20
)

func defaultAlerts() Alerts {
	return Alerts{
		Enabled: true, Rules: defaultRules(),
		EvaluationInterval: Duration(15 * time.Second), ScrapeInterval: Duration(15 * time.Second),
		QueryTimeout: Duration(30 * time.Second), OutageTolerance: Duration(time.Hour),
		ForGracePeriod: Duration(30 * time.Second), ResendDelay: Duration(time.Minute),
		Storage: AlertsStorage{Retention: Duration(15 * 24 * time.Hour), MaxBytes: 512 << 20},
		API:     AlertsAPI{Timeout: Duration(30 * time.Second), MaxSamples: 1_000_000, Concurrency: 4},
	}
}

// defaultRules are where rule files are looked for before the built-in ones are taken.
func defaultRules() []string { return []string{"alerts/*.rules.yaml"} }

func (c *Config) alertConfig() alert.Config {
	a := c.Alerts
	jobs := make([]alert.Job, len(a.Scrape))
	for i, j := range a.Scrape {
		jobs[i] = alert.Job{
			Name: j.Job, Targets: j.Targets, Labels: j.Labels, Scheme: j.Scheme, MetricsPath: j.MetricsPath,
			Interval: time.Duration(j.Interval), Timeout: time.Duration(j.Timeout),
			BearerTokenFile: j.BearerTokenFile, CAFile: j.CAFile,
			SampleLimit: orElse(j.SampleLimit, defaultSampleLimit), BodySizeLimit: orElse(j.BodySizeLimit, defaultBodySizeLimit),
		}
	}
	var builtIn fs.FS
	if slices.Equal(a.Rules, defaultRules()) {
		builtIn = alerts.Files
	}
	return alert.Config{
		BuiltIn: builtIn,
		Dir:     filepath.Join(c.Data.Dir, "metrics"), Rules: a.Rules, Instance: c.Web.ListenAddress,
		ScrapeInterval: time.Duration(a.ScrapeInterval), EvaluationInterval: time.Duration(a.EvaluationInterval),
		ExternalURL: a.ExternalURL, QueryURL: a.QueryURL, QueryTokenFile: a.QueryBearerTokenFile,
		QueryTimeout: time.Duration(a.QueryTimeout), OutageTolerance: time.Duration(a.OutageTolerance),
		ForGracePeriod: time.Duration(a.ForGracePeriod), ResendDelay: time.Duration(a.ResendDelay),
		Retention: time.Duration(a.Storage.Retention), MaxBytes: a.Storage.MaxBytes,
		APITimeout: time.Duration(a.API.Timeout), APIMaxSamples: a.API.MaxSamples, APIConcurrency: a.API.Concurrency,
		Scrape: jobs,
	}
}

func orElse[T any](p *T, v T) T {
	if p != nil {
		return *p
	}
	return v
}

// makeAlerts reads the rules. It touches nothing yet.
func (a *App) makeAlerts(context.Context) (err error) {
	if !a.cfg.Alerts.Enabled {
		return nil
	}
	deps := alert.Deps{
		Metrics: a.telemetry.MetricsHandler(), Registry: a.registry, Notify: a.tellAlerts,
		Logger: a.logger.With("component", "alert"), Now: time.Now, Version: Version(),
	}
	a.alerts, err = alert.New(a.cfg.alertConfig(), deps)
	return err
}

// startAlerts begins to watch, now that the address is known that names the service.
func (a *App) startAlerts(context.Context) error {
	if a.alerts == nil {
		return nil
	}
	if err := a.alerts.Start(a.instance()); err != nil {
		return err
	}
	a.started("alerts", a.alerts.Stop)
	return nil
}

// prometheusAPI is the Prometheus HTTP API of the built-in store; nil where there is none.
func (a *App) prometheusAPI() http.Handler {
	if a.alerts == nil {
		return nil
	}
	return a.alerts.Handler()
}

// tellAlerts hands on what the rules find.
func (a *App) tellAlerts(ctx context.Context, expr string, all ...*rules.Alert) {
	a.logAlerts(ctx, expr, all...)
	a.notify.Notify(ctx, expr, all...)
}

// logAlerts writes alerts that begin to fire or are over; that they still fire is no news.
func (a *App) logAlerts(ctx context.Context, _ string, all ...*rules.Alert) {
	for _, al := range all {
		text, since := "alert fires", al.ActiveAt
		if al.LastSentAt.Equal(al.ResolvedAt) {
			text = "alert is over"
		} else if !al.LastSentAt.Equal(al.FiredAt) {
			continue
		}
		a.logger.LogAttrs(ctx, slog.LevelWarn, text, slog.String("component", "alert"),
			slog.String("labels", al.Labels.String()), slog.Time("since", since), slog.Float64("value", al.Value))
	}
}

// restartOnly is what a running evaluator cannot change.
func (a Alerts) restartOnly() Alerts {
	a.Rules, a.Scrape, a.EvaluationInterval, a.ScrapeInterval = nil, nil, 0, 0
	return a
}

// prepareAlerts reads the rules and targets of a new configuration; apply puts them in force.
func (a *App) prepareAlerts(cfg Config) (apply func(), err error) {
	if a.alerts == nil {
		return func() {}, nil
	}
	return a.alerts.Prepare(cfg.alertConfig())
}

// CheckRules validates one rule file and returns how many rules it has.
func CheckRules(file string) (int, error) {
	set, err := alert.ReadRuleFiles([]string{file})
	if err != nil {
		return 0, err
	}
	return set.Rules(), nil
}
