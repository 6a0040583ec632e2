package app

import (
	"context"
	"log/slog"
	"reflect"
	"slices"
)

// Reload reads the configuration again. Everything that can fail comes before anything is
// touched; on failure the old one stays in force. What needs a restart is named in the log.
func (a *App) Reload(context.Context) error {
	if a.opt.Config == nil {
		return nil
	}
	cfg, err := a.opt.Config()
	if err == nil {
		err = cfg.Check()
	}
	var level slog.Level
	if err == nil {
		level, err = parseLevel(cfg.Log.Level)
	}
	var applyAlerts func()
	if err == nil {
		applyAlerts, err = a.prepareAlerts(cfg)
	}
	if err == nil {
		err = a.reloadNotify(cfg)
	}
	if err != nil {
		a.metrics.reloadOK.Set(0)
		a.logger.Error("reloading the configuration failed; the old one stays", "cause", err)
		return err
	}
	a.level.Set(level)
	a.live.apply(cfg)
	applyAlerts()
	a.metrics.reloadOK.Set(1)
	if names := a.cfg.needRestart(cfg); len(names) > 0 {
		a.logger.Warn("these changes wait for a restart", "sections", names)
	}
	a.logger.Info("configuration reloaded")
	return nil
}

// needRestart names the sections that differ and that a running service cannot change.
func (c Config) needRestart(next Config) []string {
	var names []string
	for name, pair := range map[string][2]any{
		"web":                  {c.Web, next.Web},
		"data":                 {c.Data, next.Data},
		"database":             {c.Database, next.Database},
		"questions":            {c.Questions, next.Questions},
		"statistics":           {c.Statistics, next.Statistics},
		"journal":              {c.Journal, next.Journal},
		"retention":            {c.Retention, next.Retention},
		"rate_limits":          {c.RateLimits, next.RateLimits},
		"tracking":             {c.Tracking, next.Tracking},
		"alerts":               {c.Alerts.restartOnly(), next.Alerts.restartOnly()},
		"telemetry":            {c.Telemetry, next.Telemetry},
		"log.format":           {c.Log.Format, next.Log.Format},
		"limits.request_bytes": {c.Limits.RequestBytes, next.Limits.RequestBytes},
	} {
		if !reflect.DeepEqual(pair[0], pair[1]) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
