package app

import (
	"context"
	"log/slog"

	"go.opentelemetry.io/otel/trace"

	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/telemetry"
)

// startTelemetry comes first and so ends last: every other room may use it. From here on the log
// also goes to a collector, where there is one; what telemetry itself has to say does not.
func (a *App) startTelemetry(ctx context.Context) error {
	c := a.cfg.Telemetry
	t, err := telemetry.New(ctx, telemetry.Config{
		Version: Version(), Instance: a.process, Registry: a.registry, Logger: a.logger.With("component", "telemetry"),
		Traces: telemetry.Traces{SampleRatio: c.TraceSampleRatio, TrustParents: c.TrustParents}, Events: c.ExportEvents,
	})
	if err != nil {
		return err
	}
	a.telemetry = t
	a.started("telemetry", t.Shutdown)
	if h := t.LogHandler(a.level); h != nil {
		a.logger = slog.New(slog.NewMultiHandler(a.logger.Handler(), h))
	}
	return nil
}

// tracer makes the spans of one room.
func (a *App) tracer(room string) trace.Tracer {
	return a.telemetry.TracerProvider().Tracer("github.com/tidemark-obs/tidemark/internal/" + room)
}

// exportEvent is told of each accepted event; nil when none go to a collector.
func (a *App) exportEvent() func(context.Context, *event.Event) {
	if e := a.telemetry.Events(); e != nil {
		return e.Offer
	}
	return nil
}
