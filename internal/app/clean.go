package app

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/ingest"
)

// cleanEvery is how soon a replica's journal is free of who was erased through another one.
const cleanEvery = time.Minute

// keepJournalClean has everybody leave the journal's files who was erased: through another replica, or
// while this one was down, or when the journal could not move on at once.
func (a *App) keepJournalClean(ctx context.Context) {
	tick := time.NewTicker(cleanEvery)
	defer tick.Stop()
	for {
		if err := a.cleanJournal(ctx); err != nil && ctx.Err() == nil && !errs.Is(err, errs.Unavailable) {
			a.logger.Warn("the journal's files may hold persons who were erased", "cause", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// cleanJournal cleans it once if need be. A file says of how many erasures it is clean.
func (a *App) cleanJournal(ctx context.Context) error {
	path := filepath.Join(a.cfg.Data.Dir, "journal-clean")
	var done int64
	if text, err := os.ReadFile(path); err == nil {
		done, _ = strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64) // what is no number is 0: it is cleaned once more
	}
	n, err := a.pipeline.Clean(ctx, done)
	if err != nil || n == done {
		return err
	}
	return replaceFile(path, []byte(strconv.FormatInt(n, 10)+"\n"))
}

// unclean is a file with the erasures whose receipts wait for this replica's journal. A database that
// is this process's alone has only one journal to wait for.
func (a *App) unclean() ingest.Unclean {
	if a.cfg.Database.URL == "" {
		return ingest.Unclean{}
	}
	path := filepath.Join(a.cfg.Data.Dir, "journal-unclean")
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		a.logger.Warn("receipts of erasures may not tell when the journal was clean", "cause", err)
	}
	return ingest.Unclean{IDs: strings.Fields(string(text)), Keep: func(ids []string) error {
		if len(ids) == 0 {
			return os.Remove(path)
		}
		return replaceFile(path, []byte(strings.Join(ids, "\n")+"\n"))
	}}
}
