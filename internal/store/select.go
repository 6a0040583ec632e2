package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/duckdb/duckdb-go/v2"
	"github.com/jmoiron/sqlx"

	"github.com/tidemark-obs/tidemark/internal/errs"
)

// What a SELECT of the user's own may ask and be answered.
const (
	maxSQL       = 10_000 // characters
	MaxRows      = 10_000
	maxTableSize = 8 << 20 // bytes of texts, roughly
	selectTime   = 10 * time.Second
)

// Table is the answer to a SELECT.
type Table struct {
	Columns   []string
	Rows      [][]any // nil, bool, string, int64, uint64, float64, []any and map[string]any
	Truncated bool    // there was more
}

// Select answers one read-only SELECT statement about events, in the words of the embedded
// database, with at most limit rows. It is Invalid when the statement is anything else, and
// NotFound on PostgreSQL, whose own tools and roles serve better.
//
// The statement that is judged is the very text that runs: the user's, inside one of ours that
// limits its rows.
func (s *Store) Select(ctx context.Context, text string, limit int) (Table, error) {
	if s.d.name() != "duckdb" {
		return Table{}, errs.New(errs.NotFound, "SQL can be asked of the embedded database only; ask PostgreSQL itself")
	}
	if err := checkTexts(text); err != nil {
		return Table{}, err
	}
	if utf8.RuneCountInString(text) > maxSQL {
		return Table{}, errs.New(errs.Invalid, fmt.Sprintf("the SQL has more than %d characters", maxSQL))
	}
	const before = "SELECT * FROM (\n"
	statement := before + strings.TrimRight(text, "; \t\r\n") + "\n) AS asked LIMIT " + fmt.Sprint(limit+1)
	ctx, cancel := context.WithTimeout(ctx, selectTime)
	defer cancel()
	ctx, stop := s.bounded(ctx)
	defer stop()
	var table Table
	err := s.ask(ctx, func(ctx context.Context, db *sqlx.DB) error {
		conn, err := db.Connx(ctx)
		if err != nil {
			return err
		}
		defer conn.Close()
		if err := judge(ctx, conn, statement, len(before)); err != nil {
			return err
		}
		table, err = readOnly(ctx, conn, statement, limit)
		return err
	})
	if err != nil && errors.Is(context.Cause(ctx), errGrown) {
		return Table{}, errs.Wrap(errs.Invalid, "the SQL makes texts or lists that are too large; take fewer events, or shorter texts", err)
	}
	return table, err
}

const (
	// serialize parses a statement without running it.
	serialize = `SELECT json_serialize_sql($1::varchar, skip_null := true, skip_empty := true, skip_default := true)::varchar`
	// taken counts names that a table or view of any schema has.
	taken = `
SELECT count(*) FROM (
    SELECT table_name AS name FROM duckdb_tables() UNION ALL SELECT view_name FROM duckdb_views())
WHERE lower(name) IN (SELECT unnest($1::text[]))`
)

// judge is nil for a statement that may run. A common table expression must not have a table's
// name: where it is not in scope, its name would mean the table.
func judge(ctx context.Context, conn *sqlx.Conn, statement string, offset int) error {
	var answer string
	if err := conn.GetContext(ctx, &answer, serialize, statement); err != nil {
		return err
	}
	ctes, err := checkStatement([]byte(answer), offset)
	if err != nil || len(ctes) == 0 {
		return err
	}
	var n int
	if err := conn.GetContext(ctx, &n, taken, ctes); err != nil {
		return err
	}
	if n > 0 {
		return errs.New(errs.Invalid, "a common table expression has the name of a table; give it another")
	}
	return nil
}

// readOnly runs a statement in a transaction that cannot write.
func readOnly(ctx context.Context, conn *sqlx.Conn, statement string, limit int) (table Table, err error) {
	if _, err := conn.ExecContext(ctx, "BEGIN TRANSACTION READ ONLY"); err != nil {
		return table, err
	}
	defer func() {
		if _, failed := conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK"); failed != nil {
			// The connection is left in a state that nobody knows: it is not used again.
			err = errors.Join(err, conn.Raw(func(any) error { return driver.ErrBadConn }))
		}
	}()
	rows, err := conn.QueryContext(ctx, statement)
	if err != nil {
		return table, asked(err)
	}
	defer rows.Close()
	if table.Columns, err = rows.Columns(); err != nil {
		return table, err
	}
	table.Rows = [][]any{}
	for size := 0; rows.Next(); {
		if len(table.Rows) == limit {
			table.Truncated = true
			return table, nil
		}
		values := make([]any, len(table.Columns))
		into := make([]any, len(values))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			return table, err
		}
		for i := range values {
			values[i] = plainValue(values[i], &size)
		}
		if size > maxTableSize {
			if len(table.Rows) == 0 {
				return table, errs.New(errs.Invalid, "the first row of the answer alone has more than 8 MiB")
			}
			table.Truncated = true
			return table, nil
		}
		table.Rows = append(table.Rows, values)
	}
	if err := rows.Err(); err != nil {
		return table, asked(err)
	}
	return table, nil
}

// asked gives errors about the statement itself their kind. The database's own words repeat the
// statement.
func asked(err error) error {
	var e *duckdb.Error
	if !errors.As(err, &e) {
		return err
	}
	switch e.Type {
	case duckdb.ErrorTypeBinder, duckdb.ErrorTypeCatalog:
		return errs.Wrap(errs.Invalid, "the SQL names a column or function that does not exist, or uses one in a way it cannot be", err)
	case duckdb.ErrorTypeConversion, duckdb.ErrorTypeOutOfRange, duckdb.ErrorTypeInvalidInput, duckdb.ErrorTypeMismatchType,
		duckdb.ErrorTypeDivideByZero, duckdb.ErrorTypeInvalidType, duckdb.ErrorTypeDecimal:
		return errs.Wrap(errs.Invalid, "the SQL met a value that it cannot compute with; TRY_CAST makes NULL of those", err)
	case duckdb.ErrorTypeParser, duckdb.ErrorTypeSyntax, duckdb.ErrorTypeNotImplemented, duckdb.ErrorTypePermission:
		return errs.Wrap(errs.Invalid, "the SQL cannot be run", err)
	}
	return err
}

// plainValue makes a value one that JSON has, and adds up sizes.
func plainValue(v any, size *int) any {
	switch v := v.(type) {
	case nil, bool:
		return v
	case string:
		*size += len(v)
		return strings.ToValidUTF8(v, "\uFFFD")
	case []byte:
		*size += len(v)
		return fmt.Sprintf("\\x%x", v)
	case int8, int16, int32, int64, uint8, uint16, uint32, uint64:
		*size += 8
		return v
	case float32:
		return plainValue(float64(v), size)
	case float64:
		*size += 8
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil
		}
		return v
	case time.Time:
		*size += 27
		return v.UTC().Format(time.RFC3339Nano)
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = plainValue(v[i], size)
		}
		return list
	case map[string]any:
		m := make(map[string]any, len(v))
		for k := range v {
			m[k] = plainValue(v[k], size)
		}
		return m
	case duckdb.OrderedMap:
		m := make(map[string]any, v.Len())
		for i, k := range v.Keys() {
			m[fmt.Sprint(plainValue(k, size))] = plainValue(v.Values()[i], size)
		}
		return m
	case duckdb.Decimal:
		return plainValue(v.Float64(), size)
	default: // intervals, huge integers, UUIDs
		return plainValue(fmt.Sprint(v), size)
	}
}
