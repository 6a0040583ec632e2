package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tidemark-obs/tidemark/internal/errs"
)

const (
	bootstrapTimeout = 15 * time.Second
	bootstrapRetry   = 2 * time.Second
)

// bootstrap brings the schema up to date and loads settings and keys. With the database away the
// service starts all the same, with the keys and settings of its last run, and tries on; without
// such memory it answers 503 until the keys are known.
func (a *App) bootstrap(ctx context.Context) error {
	err := a.load(ctx)
	if err == nil {
		return nil
	}
	if !errs.Is(err, errs.Unavailable) {
		return err
	}
	a.logger.Warn("starting without the database", "cause", err)
	if err := errors.Join(a.settings.Load(ctx), a.access.Load(ctx)); err != nil {
		a.logger.Warn("this service has never seen the database: requests are refused until it answers")
	}
	loop, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		a.bootstrapLater(loop)
	}()
	a.started("bootstrap", func(context.Context) error { cancel(); <-done; return nil })
	return nil
}

func (a *App) bootstrapLater(ctx context.Context) {
	tick := time.NewTicker(bootstrapRetry)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := a.load(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			if err := a.refuseOpenDoor(); err != nil {
				a.fail(err)
			}
			a.logger.Info("the database answers")
			return
		case !errs.Is(err, errs.Unavailable):
			a.fail(err)
			return
		}
	}
}

func (a *App) load(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, bootstrapTimeout)
	defer cancel()
	applied, err := a.store.Migrate(ctx, false)
	if err != nil {
		return fmt.Errorf("bringing the database to the current schema: %w", err)
	}
	if len(applied) > 0 {
		a.logger.Info("database schema", "applied", applied)
	}
	if err := a.settings.Load(ctx); err != nil {
		return fmt.Errorf("loading the settings: %w", err)
	}
	if err := a.access.Load(ctx); err != nil {
		return fmt.Errorf("loading the access keys: %w", err)
	}
	return nil
}
