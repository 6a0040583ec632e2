package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/lib/pq"
)

// Where all processors are taken, each exchange with the server waits some milliseconds for its turn,
// on both sides. So the connections of those who ask make fewer of them: a statement that was sent before
// stays prepared, a transaction that reads one moment begins with its first statement, and nobody waits for
// its end.

const (
	// keptStatements bounds those of a connection. The server takes some 50 kB for one.
	keptStatements = 200

	// beginSnapshot: to start other processes, or to compile, takes longer than what such transactions do.
	beginSnapshot = `
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL max_parallel_workers_per_gather = 0; SET LOCAL jit = off; `
)

// pqConn is what lib/pq's connections can do.
type pqConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.QueryerContext
	driver.ExecerContext
	driver.Pinger
	driver.NamedValueChecker
	driver.SessionResetter
	driver.Validator
}

// askingConn is one connection. Like every driver.Conn it is used by one goroutine at a time.
type askingConn struct {
	pqConn
	kept   *simplelru.LRU[string, driver.Stmt] // by what was sent; nil = it is prepared when it is sent again
	begins bool                                // a transaction, with the next statement
	// ended gets the outcome of the transaction's end, while that is under way.
	ended chan error
	// outdated is set when a statement was prepared before the tables changed.
	outdated bool
}

func plain(conn driver.Conn) driver.Conn { return conn }

func asks(conn driver.Conn) driver.Conn {
	kept, _ := simplelru.NewLRU(keptStatements, func(_ string, s driver.Stmt) { // fails for a size below one only
		if s != nil {
			_ = s.Close() // where that fails, the connection is not used again
		}
	})
	return &askingConn{pqConn: conn.(pqConn), kept: kept}
}

func (c *askingConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	if c.begins {
		if text, ok := spelled(query, args); ok {
			c.begins = false
			return c.pqConn.QueryContext(ctx, beginSnapshot+text, nil)
		}
	}
	if err := c.begin(ctx); err != nil {
		return nil, err
	}
	if len(args) == 0 { // one exchange anyway
		return c.pqConn.QueryContext(ctx, query, args)
	}
	stmt, sent := c.kept.Get(query)
	if !sent {
		c.kept.Add(query, nil)
		return c.pqConn.QueryContext(ctx, query, args)
	}
	if stmt == nil {
		var err error
		if stmt, err = c.pqConn.PrepareContext(ctx, query); err != nil {
			return nil, err
		}
		c.kept.Add(query, stmt)
	}
	rows, err := stmt.(driver.StmtQueryContext).QueryContext(ctx, args)
	var of *pq.Error
	c.outdated = c.outdated || errors.As(err, &of) && of.Code == "0A000" // cached plan must not change result type
	return rows, err
}

func (c *askingConn) IsValid() bool { return !c.outdated && c.pqConn.IsValid() }

// BeginTx begins a transaction as snapshot asks for.
func (c *askingConn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	if !opts.ReadOnly || sql.IsolationLevel(opts.Isolation) != sql.LevelRepeatableRead {
		return c.pqConn.BeginTx(ctx, opts)
	}
	c.begins = true
	return snapshotTx{c}, nil
}

// begin begins it, where that is yet to be done.
func (c *askingConn) begin(ctx context.Context) error {
	if !c.begins {
		return nil
	}
	c.begins = false
	_, err := c.pqConn.ExecContext(ctx, beginSnapshot, nil)
	return err
}

func (c *askingConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if err := c.begin(ctx); err != nil {
		return nil, err
	}
	return c.pqConn.ExecContext(ctx, query, args)
}

func (c *askingConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	if err := c.begin(ctx); err != nil {
		return nil, err
	}
	return c.pqConn.PrepareContext(ctx, query)
}

// spelled puts times in the place of a statement's arguments; ok is false where some are none. The server
// takes several statements at once only as texts.
func spelled(query string, args []driver.NamedValue) (text string, ok bool) {
	for i := len(args) - 1; i >= 0; i-- { // $10 before $1
		at, ok := args[i].Value.(time.Time)
		if !ok {
			return "", false
		}
		query = strings.ReplaceAll(query, "$"+strconv.Itoa(i+1), pq.QuoteLiteral(at.UTC().Format(time.RFC3339Nano)))
	}
	return query, true
}

// snapshotTx only reads, so there is nothing to be told about its end.
type snapshotTx struct{ conn *askingConn }

func (t snapshotTx) Commit() error { return t.Rollback() }

// Rollback does not wait. Who uses the connection next does.
func (t snapshotTx) Rollback() error {
	if t.conn.begins { // nothing was asked
		t.conn.begins = false
		return nil
	}
	ended := make(chan error, 1)
	t.conn.ended = ended
	go func() {
		_, err := t.conn.pqConn.ExecContext(context.Background(), "ROLLBACK", nil)
		ended <- err
	}()
	return nil
}

// ResetSession comes before the next use.
func (c *askingConn) ResetSession(ctx context.Context) error {
	if c.ended != nil {
		select {
		case err := <-c.ended:
			if c.ended = nil; err != nil {
				return driver.ErrBadConn
			}
		case <-ctx.Done():
			return driver.ErrBadConn
		}
	}
	return c.pqConn.ResetSession(ctx)
}

// Close ends the end of a transaction that is under way, too.
func (c *askingConn) Close() error {
	err := c.pqConn.Close()
	if c.ended != nil {
		<-c.ended
	}
	return err
}
