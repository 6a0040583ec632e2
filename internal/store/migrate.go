package store

import (
	"context"
	"embed"
	"errors"
	"io/fs"
	"path"
	"slices"
	"sync"

	"github.com/jmoiron/sqlx"
	"github.com/pressly/goose/v3"

	"github.com/tidemark-obs/tidemark/internal/errs"
)

//go:embed migrations
var migrations embed.FS

// Migrate brings the database to the current schema and returns the migrations it applied; with
// dryRun it changes nothing and returns those it would apply. Several processes may call it at
// once: on PostgreSQL all but one wait.
func (s *Store) Migrate(ctx context.Context, dryRun bool) (applied []string, err error) {
	err = s.migration(ctx, func(p pools, provider *goose.Provider) error {
		if dryRun {
			applied, err = pending(ctx, p, provider)
			return err
		}
		results, err := provider.Up(ctx)
		var partial *goose.PartialError
		if errors.As(err, &partial) {
			results = partial.Applied
		}
		applied = names(results)
		return err
	})
	if err == nil {
		err = s.ofNewer(ctx)
	}
	return applied, err
}

// MigrateDown takes the schema back to a version, 0 being the empty database, and returns the
// migrations it undid. What their tables held is lost.
func (s *Store) MigrateDown(ctx context.Context, version int64) (undone []string, err error) {
	err = s.migration(ctx, func(_ pools, provider *goose.Provider) error {
		results, err := provider.DownTo(ctx, version)
		undone = names(results)
		return err
	})
	return undone, err
}

func (s *Store) migration(ctx context.Context, fn func(pools, *goose.Provider) error) error {
	return s.use(ctx, func(p pools) error {
		dialect, opts, err := s.d.provider()
		if err != nil {
			return err
		}
		opts = append(opts, goose.WithDisableGlobalRegistry(true), goose.WithSlog(s.cfg.Logger))
		files := union{s.d.migrations(), sub("common")}
		provider, err := goose.NewProvider(dialect, p.admin.DB, files, opts...)
		if err != nil {
			return errs.Wrap(errs.Internal, "the migrations cannot be read", err)
		}
		defer s.d.changed()
		defer s.marked.Store(false)
		return fn(p, provider)
	})
}

// ofNewer is an error where a newer version of this program has brought the database to a schema that
// this one does not know.
func (s *Store) ofNewer(ctx context.Context) error {
	return s.use(ctx, func(p pools) error {
		var exists bool
		if err := p.admin.GetContext(ctx, &exists, hasVersionTable, versionTable); err != nil || !exists {
			return err
		}
		newer, err := newerSchema(ctx, p.admin)
		if err == nil && newer {
			return errs.New(errs.Conflict, tooOld)
		}
		return err
	})
}

// upToDate comes before a transaction counts or deletes what is counted, and after it has locked what it
// changes. A newer version of this program may have begun to count otherwise meanwhile: from then on this
// process does nothing with the database, and leaves what waits in its journal to its successor.
func (s *Store) upToDate(ctx context.Context, ses session) error {
	if s.d.alone() {
		return nil
	}
	newer, err := newerSchema(ctx, ses)
	if err == nil && newer {
		s.outdated.Store(true)
		return errOutdated
	}
	return err
}

const (
	tooOld        = "the database has the schema of a newer version of this program; run that one"
	schemaVersion = "SELECT max(version_id) FROM " + versionTable
)

var errOutdated = errs.New(errs.Unavailable, tooOld)

func newerSchema(ctx context.Context, q sqlx.QueryerContext) (bool, error) {
	var version int64
	err := sqlx.GetContext(ctx, q, &version, schemaVersion)
	return version > newestMigration(), err
}

// newestMigration is the version of the newest migration that this program has.
var newestMigration = sync.OnceValue(func() (newest int64) {
	_ = fs.WalkDir(migrations, ".", func(name string, _ fs.DirEntry, err error) error {
		if version, parsed := goose.NumericComponent(name); parsed == nil {
			newest = max(newest, version)
		}
		return err
	})
	return newest
})

// versionTable is where goose keeps what has been applied.
const versionTable = goose.DefaultTablename

const hasVersionTable = `
SELECT count(*) > 0 FROM information_schema.tables
WHERE table_name = $1 AND table_schema = current_schema()`

// pending lists what Up would apply. It asks for the version table first, because goose creates it
// even to answer a question.
func pending(ctx context.Context, p pools, provider *goose.Provider) ([]string, error) {
	var exists bool
	if err := p.admin.GetContext(ctx, &exists, hasVersionTable, versionTable); err != nil {
		return nil, err
	}
	var list []string
	if !exists {
		for _, source := range provider.ListSources() {
			list = append(list, path.Base(source.Path))
		}
		return list, nil
	}
	status, err := provider.Status(ctx)
	if err != nil {
		return nil, err
	}
	for _, m := range status {
		if m.State == goose.StatePending {
			list = append(list, path.Base(m.Source.Path))
		}
	}
	return list, nil
}

func names(results []*goose.MigrationResult) []string {
	var list []string
	for _, r := range results {
		list = append(list, path.Base(r.Source.Path))
	}
	return list
}

// union is several directories of migrations seen as one.
type union []fs.FS

func (u union) Open(name string) (fs.File, error) {
	for _, dir := range u {
		if f, err := dir.Open(name); err == nil {
			return f, nil
		}
	}
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

// ReadDir lists all directories, as fs.Glob needs.
func (u union) ReadDir(name string) ([]fs.DirEntry, error) {
	var all []fs.DirEntry
	for _, dir := range u {
		entries, err := fs.ReadDir(dir, name)
		if err != nil {
			return nil, err
		}
		all = append(all, entries...)
	}
	slices.SortFunc(all, func(a, b fs.DirEntry) int {
		if a.Name() < b.Name() {
			return -1
		}
		return 1
	})
	return all, nil
}

// dir is one of the embedded directories of migrations, which exist by construction.
type dir string

func sub(name string) fs.FS { return dir(name) }

func (d dir) Open(name string) (fs.File, error) {
	return migrations.Open(path.Join("migrations", string(d), name))
}
