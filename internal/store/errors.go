package store

import (
	"context"
	"database/sql"
	"errors"

	"github.com/tidemark-obs/tidemark/internal/errs"
)

// kind gives a driver's error its kind. An error that has one already keeps it.
func kind(ctx context.Context, d dialect, err error) error {
	var classified *errs.Error
	switch {
	case errors.As(err, &classified):
		return err
	case errors.Is(err, sql.ErrNoRows):
		return errs.New(errs.NotFound, "not found")
	case errors.Is(ctx.Err(), context.DeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return errs.Wrap(errs.Unavailable, "the database took too long; narrow the range or try again", err)
	case errors.Is(ctx.Err(), context.Canceled), errors.Is(err, context.Canceled):
		return errs.Wrap(errs.Unavailable, "the request was cancelled", err)
	}
	k := d.kind(err)
	return errs.Wrap(k, details[k], err)
}

// details are what a client may read for each kind a driver's error can have.
var details = map[errs.Kind]string{
	errs.Invalid:     "the database refuses this data",
	errs.Unavailable: "the database is not available",
	errs.Conflict:    "the state in the database has changed",
	errs.Internal:    "the database failed",
}
