package store

import "context"

// declaredDialect lets declarations be added beside transactions that change events.
type declaredDialect interface {
	// changing comes before a transaction changes or deletes events that may be counted. Storing
	// needs none of it: still waits for that anyway.
	changing(ctx context.Context, ses session) error
	// still waits until no transaction is under way that stores, changes or deletes events; others
	// wait until this one ends.
	still(ctx context.Context, ses session) error
}

// DuckDB has one writer.
func (*duck) changing(context.Context, session) error { return nil }
func (*duck) still(context.Context, session) error    { return nil }

func (*postgres) changing(ctx context.Context, ses session) error {
	_, err := ses.ExecContext(ctx, "LOCK TABLE events IN ROW EXCLUSIVE MODE")
	return err
}

func (*postgres) still(ctx context.Context, ses session) error {
	_, err := ses.ExecContext(ctx, "LOCK TABLE events IN SHARE MODE")
	return err
}
