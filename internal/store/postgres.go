package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
)

// postgres is a PostgreSQL server, version 14 or later.
type postgres struct {
	cfg Config
	pq  pq.Config
}

func newPostgres(cfg Config) (*postgres, error) {
	if !strings.HasPrefix(cfg.URL, "postgres://") && !strings.HasPrefix(cfg.URL, "postgresql://") {
		return nil, errs.New(errs.Invalid, "the database URL must begin with postgres://")
	}
	c, err := pq.NewConfig(cfg.URL)
	if err != nil {
		// The driver's error may quote the URL and with it the password.
		return nil, errs.New(errs.Invalid, "the database URL cannot be read")
	}
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = 5 * time.Second
	}
	if c.ApplicationName == "" {
		c.ApplicationName = "tidemark"
	}
	return &postgres{cfg: cfg, pq: c}, nil
}

func (*postgres) name() string { return "postgres" }

func (d *postgres) attributes() []attribute.KeyValue {
	return []attribute.KeyValue{semconv.DBSystemNamePostgreSQL, semconv.DBNamespace(d.pq.Database),
		semconv.ServerAddress(d.pq.Host), semconv.ServerPort(int(d.pq.Port))}
}

const (
	writers = 4
	// grace is what an answer may take beyond the server's own time limit before the connection
	// is given up: a server that is frozen keeps no limit.
	grace = 5 * time.Second
	// lockTimeout is how long a transaction waits for a row that another holds.
	lockTimeout = 10 * time.Second
	// connLifetime lets pools follow a server that has moved.
	connLifetime = 10 * time.Minute
)

// open makes the pools; they connect when they are used.
func (d *postgres) open(context.Context) (pools, error) {
	limit := d.cfg.QueryTimeout
	// A batch of 20,000 events fits into temp_buffers; the default of 8 MB would write it to disk.
	limited := fmt.Sprintf(`
SET client_min_messages = warning; SET TimeZone = 'UTC'; SET temp_buffers = '32MB';
SET statement_timeout = %d; SET lock_timeout = %d; SET idle_in_transaction_session_timeout = %d;
SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'`,
		limit.Milliseconds(), lockTimeout.Milliseconds(), (2 * limit).Milliseconds())
	// A dead holder of a lease is noticed by the server within half a minute.
	const unlimited = `
SET client_min_messages = warning; SET TimeZone = 'UTC'; SET statement_timeout = 0;
SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 4`

	// Plans are made for the times that are asked about: a plan for all times takes each for a short one.
	read, err := d.pool(limited+"; SET plan_cache_mode = force_custom_plan", limit+grace, d.cfg.MaxReaders, asks)
	if err != nil {
		return pools{}, err
	}
	write, err := d.pool(limited, limit+grace, writers, plain)
	if err != nil {
		return pools{}, errors.Join(err, read.Close())
	}
	admin, err := d.pool(unlimited, 0, writers, plain)
	if err != nil {
		return pools{}, errors.Join(err, read.Close(), write.Close())
	}
	return pools{read: read, write: write, admin: admin}, nil
}

func (d *postgres) pool(setup string, patience time.Duration, size int, as func(driver.Conn) driver.Conn) (*sqlx.DB, error) {
	c, err := pq.NewConnectorConfig(d.pq)
	if err != nil {
		return nil, errs.New(errs.Invalid, "the database URL cannot be used")
	}
	c.Dialer(dialer{patience: patience})
	db := sqlx.NewDb(sql.OpenDB(connector{c, setup, as}), "postgres")
	db.SetMaxOpenConns(size)
	db.SetMaxIdleConns(size)
	db.SetConnMaxLifetime(connLifetime)
	return db, nil
}

// connector prepares each new session.
type connector struct {
	*pq.Connector
	setup string
	as    func(driver.Conn) driver.Conn
}

func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, refused(err)
	}
	if _, err := conn.(driver.ExecerContext).ExecContext(ctx, c.setup, nil); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return c.as(conn), nil
}

// refused tells a server that does not let the service in from one that is away: waiting does not mend that,
// though somebody may, on the server.
func refused(err error) error {
	var e *pq.Error
	detail := ""
	switch {
	case errors.Is(err, pq.ErrSSLNotSupported):
		detail = "the database server speaks no TLS; where that is meant to be, add sslmode=disable to the database URL"
	case !errors.As(err, &e):
	case e.Code == "3D000":
		detail = "the database server has no such database; create it, or correct the name in the database URL"
	case strings.HasPrefix(string(e.Code), "28"):
		detail = "the database server refuses the user or the password in the database URL; correct them, or let the user in on the server"
	}
	if detail == "" {
		return err
	}
	return errs.Wrap(errs.Unavailable, detail, err)
}

// dialer makes connections that give up when an answer does not come: lib/pq itself waits for ever
// for a server that is frozen or unreachable, even after its context has ended.
type dialer struct {
	patience time.Duration // 0 = without end
}

func (d dialer) Dial(network, address string) (net.Conn, error) {
	return d.DialContext(context.Background(), network, address)
}

func (d dialer) DialTimeout(network, address string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return d.DialContext(ctx, network, address)
}

func (d dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	nd := net.Dialer{KeepAliveConfig: net.KeepAliveConfig{
		Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 4,
	}}
	c, err := nd.DialContext(ctx, network, address)
	if err != nil || d.patience == 0 {
		return c, err
	}
	return &impatient{Conn: c, patience: d.patience}, nil
}

// impatient is a connection on which no single read or write takes longer than its patience. It
// leaves alone the deadline that lib/pq sets while it connects.
type impatient struct {
	net.Conn
	patience   time.Duration
	connecting bool
}

func (c *impatient) SetDeadline(t time.Time) error {
	c.connecting = !t.IsZero()
	return c.Conn.SetDeadline(t)
}

func (c *impatient) Read(b []byte) (int, error) {
	if !c.connecting {
		if err := c.SetReadDeadline(time.Now().Add(c.patience)); err != nil {
			return 0, err
		}
	}
	return c.Conn.Read(b)
}

func (c *impatient) Write(b []byte) (int, error) {
	if !c.connecting {
		if err := c.SetWriteDeadline(time.Now().Add(c.patience)); err != nil {
			return 0, err
		}
	}
	return c.Conn.Write(b)
}

func (*postgres) alone() bool                     { return false }
func (*postgres) forUpdate() string               { return " FOR UPDATE" }
func (*postgres) columnar() bool                  { return false }
func (*postgres) hasTags() (before, after string) { return "tags @> ", "::jsonb" }
func (*postgres) texts(list []string) any         { return pq.Array(list) }

// snapshot: see askingConn for its settings.
func (*postgres) snapshot() *sql.TxOptions {
	return &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}
}

func (*postgres) ofUser(id string, args *arguments) string { return "user_id = " + args.bind(id) }

func (*postgres) atTimes(times []time.Time, limit int, args *arguments) (condition, most string) {
	return "ts = ANY(" + args.bind(pq.Array(stamps(times))) + "::timestamptz[])", args.bind(limit)
}

func (*postgres) listOfUser(ctx context.Context, s *Store, f Filter, p Page) ([]event.Event, error) {
	return s.listByMarks(ctx, f, p)
}

func (*postgres) changed() {}

func (*postgres) migrations() fs.FS { return sub("postgres") }

func (*postgres) provider() (goose.Dialect, []goose.ProviderOption, error) {
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 300))
	if err != nil {
		return "", nil, err
	}
	return goose.DialectPostgres, []goose.ProviderOption{goose.WithSessionLocker(locker)}, nil
}

// size: what rows need is their columns' average widths, a header, and their share of the indexes.
func (*postgres) size() string {
	return `
SELECT t.n_live_tup AS events, pg_total_relation_size(t.relid) AS bytes,
    (t.n_live_tup * (28 + 90 + coalesce((SELECT sum(s.avg_width * (1 - s.null_frac)) FROM pg_stats s
        WHERE s.schemaname = t.schemaname AND s.tablename = t.relname), 250)))::bigint AS live
FROM pg_stat_user_tables t WHERE t.relid = 'events'::regclass`
}

func (*postgres) expire() string {
	return `
DELETE FROM events WHERE event_id IN (
    SELECT event_id FROM events WHERE ts < $1 AND received_at < $2 ORDER BY ts LIMIT $3)`
}

func (*postgres) settle() string { return "VACUUM (ANALYZE) events" }

// denied reports whether a role lacks a right.
func (*postgres) denied(err error) bool {
	var e *pq.Error
	return errors.As(err, &e) && e.Code == "42501"
}

func (*postgres) gaveUp(error) bool { return false }

func (*postgres) kind(err error) errs.Kind {
	var e *pq.Error
	if !errors.As(err, &e) {
		return errs.Unavailable // the connection broke
	}
	code := string(e.Code)
	switch code[:min(2, len(code))] {
	case "22", "23", "54": // data exception, constraint, program limit
		return errs.Invalid
	case "42", "XX", "0A": // a statement the schema does not fit, internal error
		return errs.Internal
	}
	return errs.Unavailable // resources, locks, shutdown, timeouts, authentication
}
