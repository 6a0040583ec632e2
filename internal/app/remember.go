package app

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/store"
)

// remembered answers for access keys and settings from the data directory while the database
// server is away, so that a service that is started then still knows whom to let in and accepts
// events. It holds what the database said last: hashes of keys, never keys.
type remembered struct {
	*store.Store
	dir    string
	origin [sha256.Size]byte // of the database URL: another database's keys are worth nothing
	logger *slog.Logger
	mu     sync.Mutex
	last   map[string][]byte // what each file holds
}

// lastOrigin is the database that the service of a data directory had last, as sha256 of its URL; nil
// where nobody knows.
func lastOrigin(dir string) *[sha256.Size]byte {
	var m memory[json.RawMessage]
	text, err := os.ReadFile(filepath.Join(dir, keysName))
	if err != nil || json.Unmarshal(text, &m) != nil {
		return nil
	}
	return &m.Origin
}

func remember(s *store.Store, cfg Config, logger *slog.Logger) *remembered {
	return &remembered{
		Store: s, dir: cfg.Data.Dir, origin: sha256.Sum256([]byte(cfg.Database.URL)),
		logger: logger, last: make(map[string][]byte),
	}
}

const keysName = "last-keys.json"

// Keys returns the access keys.
func (r *remembered) Keys(ctx context.Context) ([]store.Key, error) {
	keys, err := r.Store.Keys(ctx)
	return recall(r, keysName, keys, err)
}

// LoadSettings returns the document of run-time settings.
func (r *remembered) LoadSettings(ctx context.Context) ([]byte, error) {
	doc, err := r.Store.LoadSettings(ctx)
	return recall(r, "last-settings.json", doc, err)
}

// moved notes that the service of the data directory has its events in this database from now on.
func (r *remembered) moved(ctx context.Context) error {
	keys, err := r.Store.Keys(ctx)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.write(filepath.Join(r.dir, keysName), memory[[]store.Key]{r.origin, keys}); err != nil {
		return fmt.Errorf("noting in the data directory that its events have moved: %w", err)
	}
	return nil
}

const begunName = "move-begun"

// begunBefore notes in the data directory that a move to this database has begun, and tells whether one had
// before that did not come to its end.
func begunBefore(cfg Config) (bool, error) {
	path, origin := filepath.Join(cfg.Data.Dir, begunName), sha256.Sum256([]byte(cfg.Database.URL))
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) || bytes.Equal(text, origin[:]) {
		return err == nil, err
	}
	if err := replaceFile(path, origin[:]); err != nil {
		return false, fmt.Errorf("noting in the data directory that a move has begun: %w", err)
	}
	return false, nil
}

// memory is the form of the files.
type memory[T any] struct {
	Origin [sha256.Size]byte
	Value  T
}

// recall keeps what the database said, or says it again when the database is away.
func recall[T any](r *remembered, name string, value T, err error) (T, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	path := filepath.Join(r.dir, name)
	if err == nil {
		r.keep(path, memory[T]{r.origin, value})
		return value, nil
	}
	if !errs.Is(err, errs.Unavailable) {
		return value, err
	}
	var m memory[T]
	text, readErr := os.ReadFile(path)
	if readErr != nil || json.Unmarshal(text, &m) != nil || m.Origin != r.origin {
		return value, err
	}
	return m.Value, nil
}

// keep writes a file when what it holds has changed. Without it the service only starts less
// well, so a failure is no more than a warning.
func (r *remembered) keep(path string, m any) {
	if err := r.write(path, m); err != nil {
		r.logger.Warn("what the database said cannot be remembered for a start without it", "cause", err)
	}
}

func (r *remembered) write(path string, m any) error {
	text, err := json.Marshal(m)
	if err != nil || bytes.Equal(text, r.last[path]) {
		return err
	}
	if err := replaceFile(path, text); err != nil {
		return err
	}
	r.last[path] = text
	return nil
}
