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

// waiting is what of a section waits for a restart, where that is not all of it; without a key nothing does.
var waiting = map[string]struct {
	key  string
	part func(*Config) any
}{
	"privacy": {}, "self_events": {}, "notifications": {},
	"alerts": {"alerts", func(c *Config) any { return c.Alerts.restartOnly() }},
	"log":    {"log.format", func(c *Config) any { return c.Log.Format }},
	"limits": {"limits.request_bytes", func(c *Config) any { return c.Limits.RequestBytes }},
}

// needRestart names the sections that differ and that a running service cannot change.
func (c Config) needRestart(next Config) []string {
	var names []string
	was, is := reflect.ValueOf(c), reflect.ValueOf(next)
	for i := range was.NumField() {
		name := was.Type().Field(i).Tag.Get("yaml")
		if name == "" {
			continue // no section
		}
		before, after := was.Field(i).Interface(), is.Field(i).Interface()
		if w, ok := waiting[name]; ok {
			if w.key == "" {
				continue
			}
			name, before, after = w.key, w.part(&c), w.part(&next)
		}
		if !reflect.DeepEqual(before, after) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
