package app

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"

	"github.com/tidemark-obs/tidemark/internal/errs"
)

// lockDir makes the data directory and takes it for this process alone. The lock ends with the
// process, however that ends.
func lockDir(dir string) (release func() error, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the data directory: %w", err)
	}
	l := flock.New(filepath.Join(dir, "lock"))
	ok, err := l.TryLock()
	if err != nil {
		return nil, fmt.Errorf("locking the data directory: %w", err)
	}
	if !ok {
		return nil, &inUseError{dir}
	}
	return l.Close, nil
}

// HasData reports whether there is what a command is to read or to mend: a command that makes an empty
// database where a directory is misspelt would say that all is well.
func (c *Config) HasData() error {
	if c.Database.URL != "" {
		return nil
	}
	if err := notElsewhere(c.Data.Dir); err != nil {
		return err
	}
	return hasEvents(c.Data.Dir)
}

// hasEvents is nil where a service had its events in a data directory.
func hasEvents(dir string) error {
	if _, err := os.Stat(dir); err != nil {
		return fmt.Errorf("there is no data directory %s; name the service's", dir)
	}
	if _, err := os.Stat(filepath.Join(dir, "tidemark.duckdb")); err != nil {
		return fmt.Errorf("no service has its events in %s; name the service's data directory", dir)
	}
	return nil
}

// keepsToOneDatabase refuses a database where the service of the data directory does not have its events: they
// would be divided between two, and so would what the journal counts.
func (c *Config) keepsToOneDatabase() error {
	if c.Database.URL == "" {
		return notElsewhere(c.Data.Dir)
	}
	last := lastOrigin(c.Data.Dir)
	if last == nil || *last != sha256.Sum256(nil) || hasEvents(c.Data.Dir) != nil {
		return nil
	}
	return errs.New(errs.Conflict, fmt.Sprintf("the service of %[1]s has its events in that directory; move them to PostgreSQL with "+
		"tidemark import --from %[1]s --data.dir %[1]s --database.url URL, or name another --data.dir", c.Data.Dir))
}

// notElsewhere refuses the embedded database of a data directory whose service has its events in
// PostgreSQL. There is none, or the one from before a move; and what waits in the journal would go there.
func notElsewhere(dir string) error {
	last := lastOrigin(dir)
	if last == nil || *last == sha256.Sum256(nil) {
		return nil
	}
	said := "the service of " + dir + " has its events in PostgreSQL, not in the data directory; name that database, with --database.url or --from"
	if hasEvents(dir) == nil {
		said += ". What was there before they moved can be used in a directory of its own: copy tidemark.duckdb there, and tidemark.duckdb.wal where there is one"
	}
	return errs.New(errs.Conflict, said)
}

// movingDir is where a move in place has its journal, so that the service's own still fits its database when
// the move is interrupted.
func movingDir(dir string) string { return filepath.Join(dir, "moving") }

// takeDir locks the data directory and removes what an interrupted move left there: copies of events that the
// service has.
func takeDir(dir string) (release func() error, err error) {
	if release, err = lockDir(dir); err != nil {
		return nil, err
	}
	if err := os.RemoveAll(movingDir(dir)); err != nil {
		return nil, errors.Join(fmt.Errorf("removing what an interrupted move left: %w", err), release())
	}
	return release, nil
}

type inUseError struct{ dir string }

func (e *inUseError) Error() string {
	return fmt.Sprintf("another process uses the data directory %s; stop it, or choose another with --data.dir", e.dir)
}
