package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// Migrate brings the database to the current schema, or with dryRun only tells what that takes.
func Migrate(ctx context.Context, cfg Config, dryRun bool, out, log io.Writer) (err error) {
	if dryRun {
		if err := cfg.HasData(); err != nil {
			return err
		}
	}
	release, err := lockEmbedded(cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release()) }()
	s, err := openStore(ctx, cfg, true, newLogger(log, cfg.Log.Format, slog.LevelWarn), nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	names, err := s.Migrate(ctx, dryRun)
	if err != nil {
		return err
	}
	verb := "applied"
	if dryRun {
		verb = "to apply:"
	}
	for _, n := range names {
		fmt.Fprintln(out, verb, n)
	}
	if len(names) == 0 {
		fmt.Fprintln(out, "the schema is current")
	}
	return nil
}

// lockEmbedded takes the data directory when the database is in it.
func lockEmbedded(cfg Config) (release func() error, err error) {
	if cfg.Database.URL != "" {
		return func() error { return nil }, nil
	}
	if release, err = lockDir(cfg.Data.Dir); err != nil {
		return nil, err
	}
	if err := notElsewhere(cfg.Data.Dir); err != nil {
		return nil, errors.Join(err, release())
	}
	return release, nil
}
