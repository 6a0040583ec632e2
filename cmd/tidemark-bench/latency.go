//go:build linux

package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

const (
	lockedFor = 3 * time.Second
	lockAfter = 2 * time.Second // of quiet before each lock
	catchUp   = time.Second     // after a lock, while the store catches up
)

// byTheClock is single events at a fixed rate. Every request has its time, whatever became of the
// ones before it, and its latency counts from that time: a stall is seen by all who would have
// come during it.
func byTheClock(d time.Duration) load {
	return load{path: trackPath, over: clockConns, batch: 1, rate: clockRate, time: d}
}

// disk measures the disk itself, before and after the latencies that are compared with it.
func (r *running) disk(ctx context.Context) error {
	r.say("%s: appending 4 KiB and syncing", r.Database)
	took, err := syncs(ctx, r.db.dir, r.plan.Syncs/2)
	r.synced = append(r.synced, took...)
	r.Disk = quantilesOf(r.synced)
	return err
}

func (r *running) clocked(ctx context.Context) error {
	out, _, err := r.loaded(ctx, "single events by the clock", byTheClock(r.plan.Latency))
	r.Clocked = quantilesOf(latencies(out.Took))
	return err
}

// locked measures while another session holds the table of events.
func (r *running) locked(ctx context.Context) error {
	if r.db.url == "" {
		r.NotLocked = "the embedded database lives inside the service, where nothing else can lock it"
		return nil
	}
	type held struct {
		at  [][2]time.Time
		err error
	}
	locks := make(chan held, 1)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		at, err := r.lock(ctx)
		if err != nil {
			cancel() // no use in measuring on
		}
		locks <- held{at, err}
	}()
	all := time.Duration(r.plan.Locks)*(lockAfter+lockedFor+catchUp) + lockAfter
	out, _, err := r.loaded(ctx, "single events by the clock, the store locked now and then", byTheClock(all))
	h := <-locks
	if err := errors.Join(h.err, err); err != nil {
		return err
	}
	var in []window
	for _, at := range h.at {
		in = append(in, window{at[0].Sub(out.Begin), at[1].Sub(out.Begin) + catchUp})
	}
	r.Locked = quantilesOf(latencies(out.Took, in...))
	return nil
}

// lock holds the table of events a few times and says from when to when.
func (r *running) lock(ctx context.Context) (at [][2]time.Time, err error) {
	db, err := sql.Open("postgres", r.db.url)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	for range r.plan.Locks {
		if err := r.service.pause(ctx, lockAfter); err != nil {
			return at, err
		}
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return at, err
		}
		if _, err := tx.ExecContext(ctx, "LOCK TABLE events IN ACCESS EXCLUSIVE MODE"); err != nil {
			return at, errors.Join(fmt.Errorf("locking the table of events: %w", err), tx.Rollback())
		}
		from := time.Now()
		err = r.service.pause(ctx, lockedFor)
		to := time.Now()
		if err := errors.Join(err, tx.Rollback()); err != nil {
			return at, err
		}
		at = append(at, [2]time.Time{from, to})
		if err := r.service.pause(ctx, catchUp); err != nil {
			return at, err
		}
	}
	return at, nil
}
