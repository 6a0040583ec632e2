package app

import (
	"context"
	"time"

	"github.com/tidemark-obs/tidemark/internal/destination"
	"github.com/tidemark-obs/tidemark/internal/telemetry/otlp"
)

// newDestinations makes what carries events on to other services.
func (a *App) newDestinations() *destination.Manager {
	return destination.New(destination.Options{
		Log: a.journal, Store: a.store, Holder: a.process,
		WaitStored: func(ctx context.Context, seq uint64) error { return a.pipeline.WaitStored(ctx, seq) },
		Busy:       func() bool { return a.pipeline.Busy() },
		LogRecord:  otlp.Record, Logger: a.logger.With("component", "destinations"), Registry: a.registry, Now: time.Now,
	})
}

// forgetErased has destinations know who was erased. Where that fails, they find out within a second.
func (a *App) forgetErased(ctx context.Context) {
	if err := a.destinations.Erased(ctx); err != nil {
		a.logger.Warn("destinations do not know of an erasure yet", "cause", err)
	}
}
