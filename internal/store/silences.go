package store

import (
	"context"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/tidemark-obs/tidemark/internal/errs"
)

// Silence mutes the alerts that all its matchers match, while it lasts.
type Silence struct {
	ID        string
	Matchers  []string // as severity="critical"
	StartsAt  time.Time
	EndsAt    time.Time
	CreatedBy string
	Comment   string
	CreatedAt time.Time
}

const (
	silenceColumns = `id, matchers, starts_at, ends_at, created_by, comment, created_at`
	insertSilence  = `INSERT INTO silences (` + silenceColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7)`
	selectSilences = `SELECT ` + silenceColumns + ` FROM silences ORDER BY created_at, id`
	// One that has not begun never does.
	expireSilence  = `UPDATE silences SET ends_at = $2, starts_at = LEAST(starts_at, $2) WHERE id = $1 AND ends_at > $2`
	hasSilence     = `SELECT count(*) FROM silences WHERE id = $1`
	countSilences  = `SELECT count(*) FROM silences WHERE ends_at > $1`
	forgetSilences = `DELETE FROM silences WHERE ends_at < $1`
)

// InsertSilence keeps a new silence, unless as many as most have not ended yet: then it is Conflict.
func (s *Store) InsertSilence(ctx context.Context, si Silence, most int) error {
	if err := checkTexts(append([]string{si.ID, si.CreatedBy, si.Comment}, si.Matchers...)...); err != nil {
		return err
	}
	return s.transact(ctx, "INSERT silences", func(ctx context.Context, ses session) error {
		var n int
		if err := ses.GetContext(ctx, &n, countSilences, micro(si.CreatedAt)); err != nil {
			return err
		}
		if n >= most {
			return errs.New(errs.Conflict, "there are too many silences; end some first")
		}
		_, err := ses.ExecContext(ctx, insertSilence, si.ID, list(si.Matchers),
			micro(si.StartsAt), micro(si.EndsAt), si.CreatedBy, si.Comment, micro(si.CreatedAt))
		return err
	})
}

// ExpireSilence ends a silence, NotFound where there is none. One that has ended stays as it is.
func (s *Store) ExpireSilence(ctx context.Context, id string, at time.Time) error {
	if err := checkTexts(id); err != nil {
		return err
	}
	return s.transact(ctx, "UPDATE silences", func(ctx context.Context, ses session) error {
		var n int
		if err := ses.GetContext(ctx, &n, hasSilence, id); err != nil {
			return err
		}
		if n == 0 {
			return errs.New(errs.NotFound, "there is no silence of this id")
		}
		_, err := ses.ExecContext(ctx, expireSilence, id, micro(at))
		return err
	})
}

func silences(ctx context.Context, db *sqlx.DB) ([]Silence, error) {
	var rows []struct {
		ID        string
		Matchers  []byte
		StartsAt  time.Time `db:"starts_at"`
		EndsAt    time.Time `db:"ends_at"`
		CreatedBy string    `db:"created_by"`
		Comment   string
		CreatedAt time.Time `db:"created_at"`
	}
	if err := db.SelectContext(ctx, &rows, selectSilences); err != nil {
		return nil, err
	}
	all := make([]Silence, len(rows))
	for i, r := range rows {
		all[i] = Silence{
			ID: r.ID, StartsAt: r.StartsAt.UTC(), EndsAt: r.EndsAt.UTC(),
			CreatedBy: r.CreatedBy, Comment: r.Comment, CreatedAt: r.CreatedAt.UTC(),
		}
		if err := readJSON(r.Matchers, &all[i].Matchers); err != nil {
			return nil, err
		}
	}
	return all, nil
}
