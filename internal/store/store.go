package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jmoiron/sqlx"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/tidemark-obs/tidemark/internal/declared"
	"github.com/tidemark-obs/tidemark/internal/errs"
)

// Window is how long an event_id is remembered at least: the contract's 48 hours, and a day for
// events that waited in the journal before they were stored.
const Window = 72 * time.Hour

// Config says where the database is and how much it may use.
type Config struct {
	URL          string        // postgres://…; empty = DuckDB in Dir
	Dir          string        // data directory of DuckDB
	MemoryLimit  string        // of DuckDB, as it spells sizes; empty = 192MB
	Threads      int           // of DuckDB; 0 = GOMAXPROCS
	MaxReaders   int           // connections for queries; 0 = 4
	Keep         Keep          // how long roll-ups are kept
	MaxRecentIDs int           // ids DuckDB's duplicate filter holds, 5 to 8 bytes each; 0 = 16 million
	QueryTimeout time.Duration // of one query; 0 = 30 s
	FewEvents    int           // statistics of so many count their users one by one; 0 = 20,000
	// FrequentAfter is how many events are looked at before frequent properties get columns of their own on
	// DuckDB; 0 = 10,000.
	FrequentAfter int
	Questions     int           // answered at once; 0 = 2
	QuestionWait  time.Duration // for a question's turn; 0 = 5 s
	Declared      *declared.Set // nil = nothing
	// Guest is set where another process's configuration says what is declared and how long roll-ups are
	// kept: what there is of either stays.
	Guest  bool
	Logger *slog.Logger
	Now    func() time.Time
	// Resident is how many bytes of memory the process has; nil = what the system says.
	Resident func() (bytes int64, known bool)
	Tracer   trace.Tracer // nil = no spans
}

func (c Config) withDefaults() Config {
	if c.MemoryLimit == "" {
		c.MemoryLimit = "192MB"
	}
	if c.Threads == 0 {
		c.Threads = runtime.GOMAXPROCS(0)
	}
	if c.MaxReaders == 0 {
		c.MaxReaders = 4
	}
	if c.MaxRecentIDs == 0 {
		c.MaxRecentIDs = 16_000_000
	}
	if c.QueryTimeout == 0 {
		c.QueryTimeout = 30 * time.Second
	}
	if c.FewEvents == 0 {
		c.FewEvents = 20_000
	}
	if c.FrequentAfter == 0 {
		c.FrequentAfter = 10_000
	}
	if c.Questions == 0 {
		c.Questions = 2
	}
	if c.QuestionWait == 0 {
		c.QuestionWait = 5 * time.Second
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Resident == nil {
		c.Resident = resident
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Tracer == nil {
		c.Tracer = noop.Tracer{}
	}
	return c
}

// pools are the open handles on one database.
type pools struct {
	read  *sqlx.DB // bounded, for queries
	write *sqlx.DB // for transactions; one connection on DuckDB, which orders all writers
	admin *sqlx.DB // migrations and leases, without time limits; the same as write on DuckDB
}

func (p pools) close() error {
	err := errors.Join(p.read.Close(), p.write.Close())
	if p.admin != p.write {
		err = errors.Join(err, p.admin.Close())
	}
	return err
}

// Store is an open database. Its methods may be called from many goroutines.
type Store struct {
	cfg Config
	d   dialect
	// slots holds one element for each question under way.
	slots    chan struct{}
	measured measured
	backlog  backlog
	// declared are the declarations as last read.
	declared atomic.Pointer[declarations]

	// mu is held for reading while handles are in use and for writing while they are replaced.
	mu     sync.RWMutex
	p      pools
	closed bool
	// broken is set when the database has given itself up (DuckDB does after a failed write of
	// its log); the next caller opens it anew.
	broken atomic.Bool
	// outdated is set when a newer version of this program is found to have taken the database over.
	outdated atomic.Bool
	// writing is held for reading by transactions and for writing where there may be none.
	writing sync.RWMutex
	// erased are the erasures as last read.
	erased atomic.Pointer[erased]
	// known are the floors as last read.
	known atomic.Pointer[floors]
	// marked is set when all events have been found to have marks of their users.
	marked atomic.Bool
	// projections are the metrics' totals as last stored.
	projections projections
	// largeBatches counts those that were stored.
	largeBatches atomic.Int64
	// exporting is held while the database writes a file.
	exporting sync.Mutex
}

// Open opens the database without changing it; Migrate brings it to the current schema. A
// PostgreSQL server need not be up: calls answer Unavailable until it is.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	cfg = cfg.withDefaults()
	s := &Store{cfg: cfg, slots: make(chan struct{}, cfg.Questions), measured: newMeasured(), backlog: newBacklog()}
	if cfg.URL == "" {
		s.d = newDuck(cfg)
	} else {
		pg, err := newPostgres(cfg)
		if err != nil {
			return nil, err
		}
		s.d = pg
	}
	var err error
	s.p, err = s.d.open(ctx)
	return s, err
}

// Dialect is the name of the database: "duckdb" or "postgres".
func (s *Store) Dialect() string { return s.d.name() }

// Close closes the database after the calls under way have ended.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	return s.p.close()
}

// Ping reports whether the database answers.
func (s *Store) Ping(ctx context.Context) error {
	return s.query(ctx, "SELECT", func(ctx context.Context, db *sqlx.DB) error {
		var one int
		return db.GetContext(ctx, &one, "SELECT 1")
	})
}

// use runs fn on the open handles and gives its error a kind.
func (s *Store) use(ctx context.Context, fn func(p pools) error) error {
	if s.broken.Load() {
		if err := s.reopen(ctx); err != nil {
			return err
		}
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return errs.New(errs.Unavailable, "the database is closed")
	}
	if s.outdated.Load() {
		return errOutdated
	}
	err := fn(s.p)
	if err == nil {
		return nil
	}
	if s.d.gaveUp(err) && !s.broken.Swap(true) {
		s.cfg.Logger.Error("the database gave up and will be opened anew", "error", err)
	}
	return kind(ctx, s.d, err)
}

// reopen replaces handles on a database that has given itself up.
func (s *Store) reopen(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || !s.broken.Load() {
		return nil
	}
	if err := s.p.close(); err != nil {
		s.cfg.Logger.Warn("close the broken database", "error", err)
	}
	p, err := s.d.open(ctx)
	if err != nil {
		return errs.Wrap(errs.Unavailable, "the database cannot be opened", err)
	}
	s.p = p
	s.broken.Store(false)
	s.cfg.Logger.Info("the database is open again")
	return nil
}

// query runs fn on the readers' pool within the query timeout. Its summary is what it does and the
// table it is about.
func (s *Store) query(ctx context.Context, summary string, fn func(context.Context, *sqlx.DB) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.QueryTimeout)
	defer cancel()
	return s.traced(ctx, summary, func(ctx context.Context) error {
		return s.use(ctx, func(p pools) error { return fn(ctx, p.read) })
	})
}

// session is one transaction and the connection under it, which bulk loading needs.
type session struct {
	*sqlx.Tx
	conn *sqlx.Conn
}

// raw runs fn with the driver's own connection. What fn returns does not pass through Conn.Raw: of a
// dead connection that would wait for the transaction to let it go, which waits for fn.
func (s session) raw(fn func(conn any) error) (err error) {
	if raw := s.conn.Raw(func(conn any) error { err = fn(conn); return nil }); raw != nil {
		return raw
	}
	return err
}

// errRollback makes transact roll back without being an error.
var errRollback = errors.New("roll back")

// transact runs fn in one transaction. Its summary is what it does and the table it is about.
func (s *Store) transact(ctx context.Context, summary string, fn func(context.Context, session) error) error {
	return s.traced(ctx, summary, func(ctx context.Context) error { return s.inTransaction(ctx, fn) })
}

// inTransaction runs fn in one transaction on the writers' pool.
func (s *Store) inTransaction(ctx context.Context, fn func(context.Context, session) error) error {
	s.writing.RLock()
	defer s.writing.RUnlock()
	return s.use(ctx, func(p pools) error {
		// Once it has begun, only this function ends the transaction: database/sql would do it beside
		// whoever is using the connection below it. Statements are bounded by ctx, COPY and COMMIT by the
		// connection's own limit on silence.
		whole, end := context.WithCancel(context.WithoutCancel(ctx))
		defer end()
		var tx *sqlx.Tx
		conn, err := onLive(ctx, p.write, func(conn *sqlx.Conn) (err error) {
			begun := func() bool { return true }
			if !s.d.alone() { // a server may not answer; the embedded database begins at once, or leaves half a transaction
				begun = context.AfterFunc(ctx, end)
			}
			tx, err = conn.BeginTxx(whole, nil)
			if !begun() && err == nil {
				return errors.Join(ctx.Err(), tx.Rollback())
			}
			return err
		})
		if err != nil {
			return err
		}
		defer conn.Close()
		if err := fn(ctx, session{Tx: tx, conn: conn}); err != nil {
			rollback := tx.Rollback()
			if errors.Is(err, errRollback) {
				return rollback
			}
			return err // the rollback's own error adds nothing: the connection is gone or the tx is
		}
		return tx.Commit()
	})
}

// onLive runs the first statement of a piece of work and returns the connection it ran on. A server
// that was restarted leaves dead connections in the pool; each costs a try, and the statement must
// bear being sent twice.
func onLive(ctx context.Context, db *sqlx.DB, first func(*sqlx.Conn) error) (*sqlx.Conn, error) {
	for try := 0; ; try++ {
		conn, err := db.Connx(ctx)
		if err != nil {
			return nil, err
		}
		if err = first(conn); err == nil {
			return conn, nil
		}
		dead := errors.Is(err, driver.ErrBadConn)
		if closing := conn.Close(); !dead {
			return nil, errors.Join(err, closing)
		}
		if try > db.Stats().MaxOpenConnections {
			return nil, err
		}
	}
}
