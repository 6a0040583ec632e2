package store

import (
	"context"
	"database/sql/driver"

	"github.com/jmoiron/sqlx"
)

// leaseSpace keeps leases apart from other advisory locks in the same database.
const leaseSpace = 7_463_551

const (
	takeLease = `SELECT pg_try_advisory_lock(hashtextextended($1, $2))`
	dropLease = `SELECT pg_advisory_unlock(hashtextextended($1, $2))`
)

const (
	storing = `SELECT pg_advisory_xact_lock_shared($1, 1)`
	erasing = `SELECT pg_advisory_xact_lock($1, 1)`
)

func (*postgres) orderErasure(ctx context.Context, ses session, exclusive bool) error {
	lock := storing
	if exclusive {
		lock = erasing
	}
	_, err := ses.ExecContext(ctx, lock, leaseSpace)
	return err
}

// lease takes a lock that ends with its connection.
func (*postgres) lease(ctx context.Context, admin *sqlx.DB, name string) (release func(), ok bool, err error) {
	conn, err := onLive(ctx, admin, func(conn *sqlx.Conn) error {
		return conn.GetContext(ctx, &ok, takeLease, name, leaseSpace)
	})
	if err != nil {
		return nil, false, err
	}
	if !ok {
		return nil, false, conn.Close()
	}
	release = func() {
		ctx, cancel := context.WithTimeout(context.Background(), grace)
		defer cancel()
		// Then the connection is closed and not returned to the pool: should the lock still be on it, because
		// the server is away or does not answer, it ends here.
		_, _ = conn.ExecContext(ctx, dropLease, name, leaseSpace)
		_ = conn.Raw(func(any) error { return driver.ErrBadConn })
	}
	return release, true, nil
}
