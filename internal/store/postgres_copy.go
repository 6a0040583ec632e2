package store

import (
	"context"
	"database/sql/driver"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tidemark-obs/tidemark/internal/event"
)

// load copies rows into a table, in COPY's text format as copyEvents does and for the same reason.
func (*postgres) load(_ context.Context, ses session, table string, columns []string, rows [][]any) error {
	if len(rows) == 0 {
		return nil
	}
	return ses.raw(func(conn any) (err error) {
		// The table and its columns are constants of this package.
		stmt, err := conn.(driver.Conn).Prepare("COPY " + table + " (" + strings.Join(columns, ", ") + ") FROM STDIN")
		if err != nil {
			return err
		}
		in := stmt.(copyIn)
		defer func() { err = errors.Join(err, in.Close()) }()
		buf := make([]byte, 0, copyChunkBytes)
		for n, r := range rows {
			event.Turn(n)
			for i, v := range r {
				if i > 0 {
					buf = append(buf, '\t')
				}
				if buf, err = appendCopyValue(buf, v); err != nil {
					return err
				}
			}
			if len(buf) < copyChunkBytes && n < len(rows)-1 {
				buf = append(buf, '\n')
				continue
			}
			if _, err := in.CopyData(context.Background(), string(buf)); err != nil {
				return err
			}
			buf = buf[:0]
		}
		return nil
	})
}

func appendCopyValue(b []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return append(b, `\N`...), nil
	case string:
		return appendCopyText(b, v), nil
	case []byte:
		return hex.AppendEncode(append(b, `\\x`...), v), nil
	case time.Time:
		return appendCopyTime(b, v), nil
	case bool:
		return strconv.AppendBool(b, v), nil
	case int32:
		return strconv.AppendInt(b, int64(v), 10), nil
	case int64:
		return strconv.AppendInt(b, v, 10), nil
	case float64:
		return appendFloat(b, v), nil
	default:
		return b, fmt.Errorf("a %T cannot be copied", v)
	}
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
