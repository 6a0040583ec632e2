package app

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"
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
	if _, err := os.Stat(c.Data.Dir); err != nil {
		return fmt.Errorf("there is no data directory %s; name the service's with --data.dir", c.Data.Dir)
	}
	return nil
}

type inUseError struct{ dir string }

func (e *inUseError) Error() string {
	return fmt.Sprintf("another process uses the data directory %s; stop it, or choose another with --data.dir", e.dir)
}
