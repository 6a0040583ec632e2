package store

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/tidemark-obs/tidemark/internal/pgtest"
)

func TestConnectionsOfThoseWhoAsk(t *testing.T) {
	t.Parallel()
	pg := pgtest.Start(t)
	for name, test := range map[string]func(*testing.T, *postgres, pools){
		"statements stay prepared":             statementsStayPrepared,
		"statements of changed tables":         statementsOfChangedTables,
		"a snapshot is of one moment":          aSnapshotIsOfOneMoment,
		"times take the places of arguments":   timesInAFirstStatement,
		"a snapshot in which nothing is asked": aSnapshotThatAsksNothing,
	} {
		t.Run(name, func(t *testing.T) {
			d, err := newPostgres(Config{URL: pg.Database(t)}.withDefaults())
			if err != nil {
				t.Fatal(err)
			}
			p, err := d.open(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := p.close(); err != nil {
					t.Error(err)
				}
			}()
			p.read.SetMaxOpenConns(1)
			test(t, d, p)
		})
	}
}

func read[T any](t *testing.T, q sqlx.QueryerContext, query string, args ...any) (value T) {
	t.Helper()
	if err := sqlx.GetContext(t.Context(), q, &value, query, args...); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return value
}

func statementsStayPrepared(t *testing.T, _ *postgres, p pools) {
	for i := range keptStatements + 20 {
		query := "SELECT $1::bigint + " + strconv.Itoa(i)
		for n := range 2 {
			if got := read[int](t, p.read, query, n); got != n+i {
				t.Fatalf("%d + %d = %d", n, i, got)
			}
		}
		if i == 0 || i == keptStatements-1 {
			wantPrepared(t, p, i+1)
		}
	}
	wantPrepared(t, p, keptStatements)
	if got := read[int](t, p.read, "SELECT $1::bigint + 0", 7); got != 7 { // that has gone meanwhile
		t.Errorf("7 + 0 = %d", got)
	}
}

// When a table changes, a connection with statements from before is not used again.
func statementsOfChangedTables(t *testing.T, _ *postgres, p pools) {
	p.write.MustExec("CREATE TABLE numbers AS SELECT 7 AS n")
	const query = "SELECT n FROM numbers WHERE n > $1"
	for range 2 {
		if got := read[string](t, p.read, query, 1); got != "7" {
			t.Fatal(got)
		}
	}
	p.write.MustExec("ALTER TABLE numbers ALTER COLUMN n TYPE numeric(3, 1)")
	var n string
	if err := p.read.GetContext(t.Context(), &n, query, 1); err == nil {
		t.Fatalf("the statement is not outdated: %s", n)
	}
	if got := read[string](t, p.read, query, 1); got != "7.0" {
		t.Error(got)
	}
}

func wantPrepared(t *testing.T, p pools, want int) {
	t.Helper()
	if got := read[int](t, p.read, "SELECT count(*) FROM pg_prepared_statements"); got != want {
		t.Fatalf("%d statements are prepared, want %d", got, want)
	}
}

func aSnapshotIsOfOneMoment(t *testing.T, d *postgres, p pools) {
	p.write.MustExec("CREATE TABLE moments (at timestamptz)")
	now := time.Now().Truncate(time.Microsecond)
	const until = "SELECT count(*) FROM moments WHERE at <= $1"
	const settings = "SELECT concat_ws(' ', current_setting('transaction_isolation'), current_setting('transaction_read_only'), current_setting('jit'))"
	before := 0
	for _, first := range []struct {
		query string
		args  []any
	}{
		{until, []any{now}},
		{until + " AND $2", []any{now, true}}, // not times alone
		{"SELECT count(*) FROM moments", nil},
	} {
		for range 3 { // sent, prepared, kept
			tx, err := p.read.BeginTxx(t.Context(), d.snapshot())
			if err != nil {
				t.Fatal(err)
			}
			if got := read[int](t, tx, first.query, first.args...); got != before {
				t.Fatalf("%s: %d, want %d", first.query, got, before)
			}
			p.write.MustExec("INSERT INTO moments VALUES ($1)", now)
			if got := read[int](t, tx, until, now); got != before {
				t.Errorf("after %s: %d, want %d", first.query, got, before)
			}
			if got, want := read[string](t, tx, settings), "repeatable read on off"; got != want {
				t.Errorf("after %s: %s, want %s", first.query, got, want)
			}
			if err := tx.Rollback(); err != nil {
				t.Fatal(err)
			}
			before++
			if got := read[int](t, p.read, until, now); got != before {
				t.Errorf("afterwards %d, want %d", got, before)
			}
			if got := read[string](t, p.read, settings); strings.HasPrefix(got, "repeatable") {
				t.Errorf("the transaction did not end: %s", got)
			}
		}
	}
}

// Times take the places of arguments, each its own.
func timesInAFirstStatement(t *testing.T, d *postgres, p pools) {
	start := time.Date(2026, 2, 3, 4, 5, 6, 789_000, time.UTC)
	var args []any
	query := "SELECT concat_ws(' '"
	want := make([]string, 12)
	for i := range want {
		at := start.Add(time.Duration(i) * time.Hour)
		args = append(args, at)
		query += ", extract(epoch FROM $" + strconv.Itoa(i+1) + "::timestamptz)::text"
		want[i] = strconv.FormatInt(at.Unix(), 10) + ".000789"
	}
	tx, err := p.read.BeginTxx(t.Context(), d.snapshot())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback() //nolint:errcheck // it only reads
	if got := read[string](t, tx, query+")", args...); got != strings.Join(want, " ") {
		t.Errorf("%s, want %s", got, strings.Join(want, " "))
	}
}

// A transaction that nothing was asked in leaves the connection as it was.
func aSnapshotThatAsksNothing(t *testing.T, d *postgres, p pools) {
	for range 2 {
		tx, err := p.read.BeginTxx(t.Context(), d.snapshot())
		if err != nil {
			t.Fatal(err)
		}
		if err := tx.Rollback(); err != nil {
			t.Fatal(err)
		}
		if got := read[string](t, p.read, "SELECT current_setting('transaction_isolation')"); got != "read committed" {
			t.Error(got)
		}
	}
}
