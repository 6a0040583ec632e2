package app

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/httpapi"
)

// openDoors makes the API over everything else.
func (a *App) openDoors(context.Context) error {
	limits := httpapi.DefaultLimits()
	limits.RequestBytes, limits.Event = int(a.cfg.Limits.RequestBytes), a.cfg.eventLimits()
	api, err := httpapi.New(httpapi.Deps{
		Intake: a.pipeline, Backlog: a.pipeline, Accounts: a.pipeline,
		Events: a.store, Archive: a.store, Erasures: a.pipeline, Upkeep: a.upkeep,
		Questions: a.store, Journeys: a.store, SQL: a.store, Settings: a.settings, Access: a.access, Keys: a.access,
		Operations: a.ops, System: a.system, Decoder: a.live,
		Alerts: a.notify, Silences: a.notify, AlertHistory: a.store,
		Ready: []httpapi.ReadyCheck{
			{Name: "journal", Check: func(context.Context) error { return a.journal.State().Err }},
			{Name: "database", Check: a.store.Ping},
			{Name: "access", Check: a.checkAccess},
		},
		Reload: a.Reload, Metrics: a.telemetry.MetricsHandler(), Prometheus: a.prometheusAPI(),
		ObserveOperation: a.telemetry.Operations().Observe, Services: a.services(), Destinations: a.destinations, SelfRates: a.live.selfRates,
		Logger: a.logger.With("component", "http"), Now: time.Now, Limits: limits, Version: Version(),
	})
	if err != nil {
		return err
	}
	a.api = api
	a.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "tidemark_self_events_dropped_total",
		Help: "The service's own requests that were to become events and found the queue full.",
	}, func() float64 { return float64(api.RecordingsDropped()) }))
	a.started("api", api.Close)
	a.door, err = a.telemetry.Middleware(api, api.Routes())
	return err
}

func (a *App) checkAccess(context.Context) error {
	if !a.access.Known() {
		return errs.New(errs.Unavailable, "the access keys have not been read from the database yet")
	}
	return nil
}

// services names what is at work.
func (a *App) services() []string {
	log := "journal:embedded"
	if a.cfg.Journal.URL != "" {
		log = "journal:jetstream"
	}
	return []string{"store:" + a.store.Dialect(), log, "metrics:prometheus"}
}
