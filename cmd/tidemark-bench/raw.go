//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/tidemark-obs/tidemark/internal/app"
	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/event/eventjson"
	"github.com/tidemark-obs/tidemark/internal/store"
)

// rawRate is the store's own insert without a service around it.
type rawRate struct {
	BatchEvents     int     `json:"batch_events"`
	EventsPerSecond float64 `json:"events_per_second"`
}

// raw commits one sample of events to a fresh database in transactions of size events. Only the
// commits count; making the events does not.
func (b *bench) raw(ctx context.Context, d *database, size int) (rate float64, err error) {
	name := fmt.Sprintf("raw_%d", size)
	dir, url := filepath.Join(d.dir, name), ""
	if err := os.Mkdir(dir, 0o755); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if d.server != nil {
		if url, err = d.create(ctx, name); err != nil {
			return 0, err
		}
		defer func() { err = errors.Join(err, d.drop(ctx, name)) }()
	}
	set := app.Default().Database
	s, err := store.Open(ctx, store.Config{
		URL: url, Dir: dir, MemoryLimit: set.MemoryLimit, Threads: set.Threads, QueryTimeout: time.Duration(set.QueryTimeout),
		Logger: slog.New(slog.DiscardHandler), Now: time.Now,
	})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if _, err := s.Migrate(ctx, false); err != nil {
		return 0, err
	}
	var committed atomic.Int64
	var took time.Duration
	err = b.during(fmt.Sprintf("raw limit, %d events a transaction", size), func() (err error) {
		took, err = commit(ctx, s, b.plan.Sample/size, size, &committed)
		return err
	}, func() string { return fmt.Sprintf("%d committed", committed.Load()) })
	return perSecond(int(committed.Load()), took), err
}

// commit commits so many batches and returns how long the commits took.
func commit(ctx context.Context, s *store.Store, batches, size int, committed *atomic.Int64) (took time.Duration, err error) {
	const stream = "bench"
	c := newCrowd(time.Now)
	decoder := eventjson.NewDecoder(eventjson.Options{Limits: event.DefaultLimits()})
	for i := range batches {
		events, err := c.events(decoder, size)
		if err != nil {
			return took, err
		}
		from, err := s.Cursor(ctx, stream)
		if err != nil {
			return took, err
		}
		from.Stream = stream
		batch := store.Batch{From: from, Seq: uint64(i + 1), Totals: map[string]uint64{stream: uint64((i + 1) * size)}, Events: events}
		batch.Counts.Received[event.Analytics], batch.Counts.Accepted = uint64(size), uint64(size)
		begin := time.Now()
		if _, err := s.Commit(ctx, &batch); err != nil {
			return took, err
		}
		took += time.Since(begin)
		committed.Add(int64(size))
	}
	return took, nil
}

// events makes events as the service would after decoding those of the load.
func (c *crowd) events(d *eventjson.Decoder, n int) ([]event.Event, error) {
	events := make([]event.Event, n)
	var text []byte
	for i := range events {
		var s slot
		text, s = c.event(text[:0])
		now := c.clock()
		c.patch(text, s, now)
		if _, err := d.Decode(text, &events[i]); err != nil {
			return nil, err
		}
		events[i].ReceivedAt = now.UTC().Truncate(time.Microsecond)
	}
	return events, nil
}
