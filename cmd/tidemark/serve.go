package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/tidemark-obs/tidemark/internal/app"
)

// Run serves until the context ends or the service fails, then drains. SIGHUP reloads.
func (s *serveCmd) Run(ctx context.Context, out streams) error {
	cfg, err := s.config()
	if err != nil {
		return err
	}
	limitMemory(&cfg)
	a, err := app.New(cfg, app.Options{Log: out.err, Config: s.config})
	if err != nil {
		return err
	}
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	if err := a.Start(ctx); err != nil {
		return stopped(ctx, err, "before the service was ready")
	}
	fmt.Fprint(out.out, a.Greeting())
	var failure error
	for running := true; running; {
		select {
		case <-hup:
			_ = a.Reload(ctx) // logged and exported; the old configuration stays
		case failure = <-a.Failed():
			running = false
		case <-ctx.Done():
			running = false
		}
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Duration(cfg.Web.ShutdownTimeout))
	defer cancel()
	return errors.Join(failure, a.Stop(stopping))
}

type migrateCmd struct {
	common `embed:""`
	DryRun bool `name:"dry-run" help:"Only print what would be done."`
}

// Run applies the migrations that the database does not have yet.
func (m *migrateCmd) Run(ctx context.Context, s streams) error {
	cfg, err := m.config()
	if err != nil {
		return err
	}
	if err := cfg.Check(); err != nil {
		return err
	}
	return stopped(ctx, app.Migrate(ctx, cfg, m.DryRun, s.out, s.err),
		"migrations that were applied stay; run the same command again for the others")
}
