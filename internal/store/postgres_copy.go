package store

import (
	"context"
	"strconv"
	"strings"
	"time"
)

// load copies rows into a table.
func (*postgres) load(ctx context.Context, ses session, table string, columns []string, rows [][]any) error {
	if len(rows) == 0 {
		return nil
	}
	// The table and its columns are constants of this package.
	stmt, err := ses.PrepareContext(ctx, "COPY "+table+" ("+strings.Join(columns, ", ")+") FROM STDIN")
	if err != nil {
		return err
	}
	for _, r := range rows {
		if _, err := stmt.ExecContext(ctx, r...); err != nil {
			stmt.Close()
			return err
		}
	}
	if _, err := stmt.ExecContext(ctx); err != nil {
		stmt.Close()
		return err
	}
	return stmt.Close()
}

// appendCopyText appends a value of COPY's text format, where four characters are written
// otherwise.
func appendCopyText[T ~string | ~[]byte](b []byte, s T) []byte {
	from := 0
	for i := 0; i < len(s); i++ {
		var escaped byte
		switch s[i] {
		case '\\':
			escaped = '\\'
		case '\n':
			escaped = 'n'
		case '\r':
			escaped = 'r'
		case '\t':
			escaped = 't'
		default:
			continue
		}
		b = append(b, s[from:i]...)
		b = append(b, '\\', escaped)
		from = i + 1
	}
	return append(b, s[from:]...)
}

func appendCopyTime(b []byte, t time.Time) []byte {
	return micro(t).AppendFormat(b, "2006-01-02 15:04:05.999999+00")
}

func appendFloat(b []byte, f float64) []byte { return strconv.AppendFloat(b, f, 'g', -1, 64) }
