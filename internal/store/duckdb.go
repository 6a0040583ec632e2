package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/duckdb/duckdb-go/v2"
	"github.com/jmoiron/sqlx"
	"github.com/pressly/goose/v3"
	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/tidemark-obs/tidemark/internal/errs"
)

// duck is the embedded DuckDB.
type duck struct {
	cfg  Config
	temp string // where queries spill and exports are written
	// seen is guarded by the one writing connection; nil until its first use.
	seen *seen
	own  own
}

func newDuck(cfg Config) *duck { return &duck{cfg: cfg} }

func (*duck) name() string { return "duckdb" }

func (*duck) attributes() []attribute.KeyValue {
	return []attribute.KeyValue{semconv.DBSystemNameKey.String("duckdb")}
}

// checkpointThreshold is how large the log grows before it is merged into the file. The merge
// stalls the writer for some 10 ms a MiB; a larger log means fewer and longer stalls.
const checkpointThreshold = "64MB"

// tempLimit is what large questions may write to the disk. Its default is most of what is free.
const tempLimit = "4GB"

// allocatorKeeps is how much a task may have taken or freed before the allocator gives back what it keeps.
const allocatorKeeps = "8MB"

func (d *duck) open(ctx context.Context) (pools, error) {
	dir, err := filepath.Abs(d.cfg.Dir)
	if err != nil {
		return pools{}, errs.Wrap(errs.Invalid, "the data directory has no absolute path", err)
	}
	if strings.ContainsAny(dir, "?#%") {
		return pools{}, errs.New(errs.Invalid, "the data directory's path must not contain ?, # or %")
	}
	temp := filepath.Join(dir, "tidemark.duckdb.tmp")
	if err := os.MkdirAll(temp, 0o700); err != nil {
		return pools{}, errs.Wrap(errs.Unavailable, "the data directory cannot be written", err)
	}
	d.temp = temp
	if err := d.sweep(); err != nil {
		return pools{}, errs.Wrap(errs.Unavailable, "the data directory cannot be written", err)
	}
	settings := url.Values{
		"memory_limit":                 {d.cfg.MemoryLimit},
		"threads":                      {strconv.Itoa(d.cfg.Threads)},
		"temp_directory":               {temp},
		"max_temp_directory_size":      {tempLimit},
		"checkpoint_threshold":         {checkpointThreshold},
		"autoinstall_known_extensions": {"false"},
		"autoload_known_extensions":    {"false"},
		"allow_community_extensions":   {"false"},
		// What a large question took goes back to the system when a part of it is done. By default the allocator
		// keeps some 100 MB that memory_limit does not count.
		"allocator_background_threads":                {"true"},
		"allocator_flush_threshold":                   {allocatorKeeps},
		"allocator_bulk_deallocation_flush_threshold": {allocatorKeeps},
		// A page of 1,000 events reads the wide columns of those rows only.
		"late_materialization_max_rows": {"1001"},
	}
	source := filepath.Join(dir, "tidemark.duckdb") + "?" + settings.Encode()
	connector, err := duckdb.NewConnector(source, duckSession(temp))
	if err != nil && d.cutLog(dir, err) {
		connector, err = duckdb.NewConnector(source, duckSession(temp))
	}
	if err != nil {
		return pools{}, errs.Wrap(errs.Unavailable, "the database file cannot be opened", err)
	}
	write := sqlx.NewDb(sql.OpenDB(duckConnector{connector}), "duckdb")
	write.SetMaxOpenConns(1)
	read := sqlx.NewDb(sql.OpenDB(duckConnector{connector}), "duckdb")
	read.SetMaxOpenConns(d.cfg.MaxReaders)
	read.SetMaxIdleConns(d.cfg.MaxReaders)
	p := pools{read: read, write: write, admin: write}
	d.seen = nil
	d.own.forget()
	if err := write.PingContext(ctx); err != nil {
		return pools{}, errors.Join(errs.Wrap(errs.Unavailable, "the database file cannot be opened", err), p.close())
	}
	return p, nil
}

// duckConnector makes connections that let go of the database when they are closed.
type duckConnector struct{ *duckdb.Connector }

func (c duckConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return duckConn{conn.(*duckdb.Conn)}, nil
}

type duckConn struct{ *duckdb.Conn }

// Close ends the connection. A query that was cancelled before its first step is still in it, and
// would keep the database open: the next to open the file in this process would wait for ever. Any
// other query takes its place, even one that fails.
func (c duckConn) Close() error {
	_, _ = c.ExecContext(context.Background(), "SELECT 1", nil)
	return c.Conn.Close()
}

// duckSession prepares connections. External access is shut here and not among the settings: those
// are applied in no order, and directories cannot be set once it is shut. Open stays only the one
// that spilled queries and exports are written to.
func duckSession(temp string) func(driver.ExecerContext) error {
	var once sync.Once
	return func(conn driver.ExecerContext) error {
		ctx := context.Background()
		once.Do(func() { // it is one setting for all connections
			allow := "SET allowed_directories = ['" + strings.ReplaceAll(temp, "'", "''") + "']"
			// Refused only where this process has the same file open a second time; the first has set it.
			_, _ = conn.ExecContext(ctx, allow, nil)
		})
		_, err := conn.ExecContext(ctx, "SET enable_external_access = false; SET TimeZone = 'UTC'", nil)
		return err
	}
}

// size: the number of a table's rows is known without a scan. What events need are the blocks that their
// columns are in; roll-ups, which outlive them, have blocks of their own.
func (*duck) size() string {
	return `
SELECT (SELECT count(*) FROM events) AS events, total_blocks * block_size AS bytes, block_size * (
    SELECT count(DISTINCT block) FROM (
        SELECT block_id AS block FROM pragma_storage_info('events') WHERE persistent
        UNION ALL SELECT unnest(additional_block_ids) FROM pragma_storage_info('events')) AS blocks) AS live
FROM pragma_database_size() WHERE database_name = 'tidemark'`
}

func (*duck) expire() string {
	return `
DELETE FROM events WHERE rowid IN (
    SELECT rowid FROM events WHERE ts < $1 AND received_at < $2 ORDER BY ts LIMIT $3)`
}

func (*duck) settle() string { return "CHECKPOINT" }

// orderErasure has nothing to do: there is one writer.
func (*duck) orderErasure(context.Context, session, bool) error { return nil }

func (*duck) alone() bool                     { return true }
func (*duck) forUpdate() string               { return "" } // there is one writer
func (*duck) columnar() bool                  { return true }
func (*duck) hasTags() (before, after string) { return "json_contains(tags, ", ")" }
func (*duck) texts(list []string) any         { return list }

// snapshot: each transaction is one.
func (*duck) snapshot() *sql.TxOptions { return nil }

// lease is always had: the file can be open in one process only.
func (*duck) lease(context.Context, *sqlx.DB, string) (func(), bool, error) {
	return func() {}, true, nil
}

func (d *duck) changed() { d.own.forget() }

func (*duck) migrations() fs.FS { return sub("duckdb") }

func (*duck) provider() (goose.Dialect, []goose.ProviderOption, error) {
	return goose.DialectCustom, []goose.ProviderOption{goose.WithStore(duckVersions{})}, nil
}

// load appends through DuckDB's appender, which takes whole rows by position.
func (*duck) load(_ context.Context, ses session, table string, _ []string, rows [][]any) error {
	if len(rows) == 0 {
		return nil
	}
	return appending(ses, table, nil, func(a *duckdb.Appender) error {
		values := make([]driver.Value, len(rows[0]))
		for _, r := range rows {
			for i, v := range r {
				values[i] = v
			}
			if err := a.AppendRow(values...); err != nil {
				return err
			}
		}
		return nil
	})
}

// appending runs fn with an appender to some columns of a table, or to all. The appender works inside the
// connection's transaction.
func appending(ses session, table string, columns []string, fn func(*duckdb.Appender) error) error {
	return ses.raw(func(conn any) error {
		open := func() (*duckdb.Appender, error) { return duckdb.NewAppenderFromConn(conn.(duckConn).Conn, "", table) }
		if len(columns) > 0 {
			open = func() (*duckdb.Appender, error) {
				return duckdb.NewAppenderWithColumns(conn.(duckConn).Conn, "", "", table, columns)
			}
		}
		a, err := open()
		if err != nil {
			return err
		}
		if err := fn(a); err != nil {
			// Clear first: Close would append what is there.
			return errors.Join(err, a.Clear(), a.Close())
		}
		return a.Close()
	})
}

func (*duck) kind(err error) errs.Kind {
	var e *duckdb.Error
	if !errors.As(err, &e) {
		if strings.HasPrefix(err.Error(), "database/sql/driver: ") {
			return errs.Invalid // the appender could not convert a value
		}
		return errs.Internal
	}
	switch e.Type {
	case duckdb.ErrorTypeConversion, duckdb.ErrorTypeOutOfRange, duckdb.ErrorTypeInvalidInput,
		duckdb.ErrorTypeConstraint, duckdb.ErrorTypeMismatchType, duckdb.ErrorTypeInvalidType,
		duckdb.ErrorTypeObjectSize, duckdb.ErrorTypeDecimal:
		return errs.Invalid
	case duckdb.ErrorTypeIO, duckdb.ErrorTypeOutOfMemory, duckdb.ErrorTypeInterrupt, duckdb.ErrorTypeFatal,
		duckdb.ErrorTypeTransaction, duckdb.ErrorTypeConnection:
		return errs.Unavailable
	case duckdb.ErrorTypeInvalid: // what the appender says comes without its type
		if strings.Contains(e.Msg, "constraint failed") {
			return errs.Invalid
		}
	}
	return errs.Internal
}

// gaveUp recognises a database that answers nothing more until it is opened anew.
func (*duck) gaveUp(err error) bool {
	var e *duckdb.Error
	return errors.As(err, &e) && (e.Type == duckdb.ErrorTypeFatal || strings.Contains(e.Msg, "database has been invalidated"))
}
