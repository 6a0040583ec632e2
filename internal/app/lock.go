package app

import (
	"crypto/sha256"
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

// notElsewhere refuses the embedded database of a data directory whose service has its events in
// PostgreSQL. There is none, or the one from before a move; and what waits in the journal would go there.
func notElsewhere(dir string) error {
	if last := lastOrigin(dir); last != nil && *last != sha256.Sum256(nil) {
		return errs.New(errs.Conflict, "the service of "+dir+" has its events in PostgreSQL, not in the data directory; name that database, with --database.url or --from")
	}
	return nil
}

// forgotten refuses a start that would make an embedded database beside a journal whose events belong into
// PostgreSQL. One from before a move may be gone back to.
func (c *Config) forgotten() error {
	if c.Database.URL != "" || hasEvents(c.Data.Dir) == nil {
		return nil
	}
	return notElsewhere(c.Data.Dir)
}

type inUseError struct{ dir string }

func (e *inUseError) Error() string {
	return fmt.Sprintf("another process uses the data directory %s; stop it, or choose another with --data.dir", e.dir)
}
