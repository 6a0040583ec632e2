package store

import (
	"context"
	"time"

	"github.com/jmoiron/sqlx"
)

// DuckDB keeps no roll-ups.
func (*duck) uncount(context.Context, session, []string) error { return nil }
func (*duck) recount(context.Context, session, []string) error { return nil }
func (*duck) forget(context.Context, session, []string) error  { return nil }
func (*duck) tidy(context.Context, session) (bool, error)      { return false, nil }
func (*duck) fill(context.Context, session) (bool, error)      { return false, nil }
func (*duck) rolledUp(context.Context, *sqlx.DB, time.Time, time.Time) (bool, error) {
	return false, nil
}

const (
	tidyEvery      = 5 * time.Second
	tidyAfterError = time.Minute
)

// KeepRollups fills and tidies roll-ups in the background until ctx ends. Every replica may: one at
// a time works.
func (s *Store) KeepRollups(ctx context.Context) {
	if s.d.alone() {
		return
	}
	for {
		wait := tidyEvery
		if err := s.TidyRollups(ctx); err != nil && ctx.Err() == nil {
			s.cfg.Logger.Warn("tidying roll-ups", "cause", err)
			wait = tidyAfterError
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// TidyRollups puts the rows of roll-ups together and fills what they lack, in steps of a bounded
// size, until nothing is left to do. Answers are the same before and after.
func (s *Store) TidyRollups(ctx context.Context) error {
	// Tidying comes first: a day that cannot be filled must not keep rows from being put together.
	for _, step := range []func(context.Context, session) (bool, error){s.d.tidy, s.d.fill} {
		for more := true; more; {
			err := s.transact(ctx, "INSERT rollups", func(ctx context.Context, ses session) (err error) {
				more, err = step(ctx, ses)
				return err
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}
