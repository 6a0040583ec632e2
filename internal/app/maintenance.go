package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tidemark-obs/tidemark/internal/store"
	"github.com/tidemark-obs/tidemark/internal/upkeep"
)

// Retention bounds what is kept; zero = no bound.
type Retention struct {
	Events     Duration `yaml:"events"`     // events whose timestamp is older go
	Minute     Duration `yaml:"minute"`     // roll-ups by minute
	Hour       Duration `yaml:"hour"`       // roll-ups by hour
	Day        Duration `yaml:"day"`        // roll-ups by day
	MaxBytes   int64    `yaml:"max_bytes"`  // of events; above it the oldest go
	Compaction Duration `yaml:"compaction"` // how long erased persons' bytes may stay in the files
}

func defaultRetention() Retention {
	const day = 24 * time.Hour
	return Retention{Events: Duration(90 * day), Minute: Duration(7 * day), Hour: Duration(400 * day), Compaction: Duration(day)}
}

// announce says what is going to be deleted.
func (r Retention) announce(logger *slog.Logger) {
	if r.Events > 0 {
		logger.Warn("events are deleted when they are older than retention.events; 0 keeps them for ever",
			"days", float64(r.Events)/float64(24*time.Hour))
	}
}

// keep is how long the store keeps roll-ups.
func (r Retention) keep() store.Keep {
	return store.Keep{Minute: time.Duration(r.Minute), Hour: time.Duration(r.Hour), Day: time.Duration(r.Day)}
}

func newUpkeep(cfg Config, s *store.Store, logger *slog.Logger) *upkeep.Upkeep {
	r := cfg.Retention
	return upkeep.New(upkeep.Config{
		Database: s, MaxAge: time.Duration(r.Events), MaxBytes: r.MaxBytes, CompactAfter: time.Duration(r.Compaction),
		Now: time.Now, Logger: logger.With("component", "upkeep"),
	})
}

// sizeCollectors export what the events take; 0 until it has been measured.
func sizeCollectors(u *upkeep.Upkeep) []prometheus.Collector {
	gauge := func(name, help string, of func(store.Size) int64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 {
			z, _ := u.Size()
			return float64(of(z))
		})
	}
	return []prometheus.Collector{
		gauge("tidemark_store_bytes", "Size in bytes of the stored events on disk.", func(z store.Size) int64 { return z.Bytes }),
		gauge("tidemark_store_events", "Stored events; on PostgreSQL by the server's statistics.", func(z store.Size) int64 { return z.Events }),
	}
}

// Maintain does one round of upkeep, in the service that runs or here, and tells what it did.
func Maintain(ctx context.Context, cfg Config, compact bool, out, log io.Writer) (err error) {
	p, err := openPeer(ctx, cfg, log, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close(ctx)) }()
	r, err := p.maintain(ctx, compact)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "deleted by age: %s, by size: %s, rows of roll-ups: %s, files written anew: %s\n",
		thousands(r.Expired), thousands(r.Trimmed), thousands(r.Rollups), map[bool]string{true: "yes", false: "no"}[r.Compacted])
	return err
}

func (p *storePeer) maintain(context.Context, bool) (upkeep.Report, error) {
	return upkeep.Report{}, errors.New("a database that is open for reading is not maintained")
}

func (p *partsPeer) maintain(ctx context.Context, compact bool) (upkeep.Report, error) {
	// Nothing else rolls up here, and what is not rolled up is not deleted.
	if err := p.app.store.TidyRollups(ctx); err != nil {
		return upkeep.Report{}, err
	}
	return p.app.upkeep.Once(ctx, compact)
}

func (p *runningPeer) maintain(ctx context.Context, compact bool) (r upkeep.Report, err error) {
	err = p.call(ctx, http.MethodPost, "/api/analytics/maintenance?compact="+strconv.FormatBool(compact), nil, "", &r)
	return r, err
}
