package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"github.com/tidemark-obs/tidemark/internal/errs"
)

const parquetBatch = 4096 // rows held at a time

type parquetReader struct {
	file   *file.Reader
	rows   pqarrow.RecordReader
	head   []column
	batch  arrow.RecordBatch
	at     int // next row of the batch
	number int64
	line   line
}

func newParquetReader(f *os.File) (*parquetReader, error) {
	props := parquet.NewReaderProperties(memory.DefaultAllocator)
	props.BufferedStreamEnabled = true // a column is read bit by bit, not a row group at once
	var src *file.Reader
	err := guarded(func() (err error) {
		src, err = file.NewParquetReader(unclosed{f}, file.WithReadProps(props))
		return err
	})
	if err != nil {
		return nil, errs.Wrap(errs.Malformed, "the file is not readable as Parquet", err)
	}
	p := &parquetReader{file: src}
	if err := guarded(p.open); err != nil {
		return nil, errors.Join(err, src.Close())
	}
	return p, nil
}

// guarded makes an error of a panic: the library panics at some files that are damaged.
func guarded(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("damaged: %v", v)
		}
	}()
	return f()
}

// unclosed keeps the file open: it is the caller's.
type unclosed struct{ *os.File }

func (unclosed) Close() error { return nil }

func (p *parquetReader) open() error {
	r, err := pqarrow.NewFileReader(p.file, pqarrow.ArrowReadProperties{BatchSize: parquetBatch}, memory.DefaultAllocator)
	if err != nil {
		return errs.Wrap(errs.Malformed, "the Parquet file cannot be read", err)
	}
	s, err := r.Schema()
	if err != nil {
		return errs.Wrap(errs.Malformed, "the Parquet file cannot be read", err)
	}
	names := make([]string, s.NumFields())
	for i, field := range s.Fields() {
		names[i] = field.Name
	}
	if p.head, err = headOf(names); err != nil {
		return err
	}
	for i, c := range p.head {
		if t := s.Field(i).Type; !fits(c.kind, t) {
			return errs.New(errs.Invalid, fmt.Sprintf("the column %q is of the type %s; write it as %s", c.name, t.Name(), wanted[c.kind]))
		}
	}
	p.rows, err = r.GetRecordReader(context.Background(), nil, nil)
	if err != nil {
		return errs.Wrap(errs.Malformed, "the Parquet file cannot be read", err)
	}
	return nil
}

// Rows is how many the file has.
func (p *parquetReader) Rows() int64 { return p.file.NumRows() }

func (p *parquetReader) Next() (Row, error) {
	for p.batch == nil || p.at == int(p.batch.NumRows()) {
		var batch arrow.RecordBatch
		err := guarded(func() (err error) {
			batch, err = p.rows.Read()
			return err
		})
		if errors.Is(err, io.EOF) {
			return Row{}, io.EOF
		}
		if err != nil {
			return Row{}, errs.Wrap(errs.Malformed, "the Parquet file cannot be read any further", err)
		}
		p.batch, p.at = batch, 0 // the reader releases it with the next one
	}
	p.line.begin()
	for i, c := range p.head {
		p.line.add(c, cellOf(p.batch.Column(i), p.at))
	}
	p.at++
	p.number++
	return Row{Number: p.number, JSON: p.line.end()}, nil
}

// fits reports whether values of a type can be those of a column: otherwise each row would be refused by itself.
func fits(k kind, t arrow.DataType) bool {
	id := t.ID()
	switch {
	case id == arrow.STRING, id == arrow.LARGE_STRING, id == arrow.BINARY, id == arrow.NULL:
		return true
	case id == arrow.DICTIONARY:
		return fits(k, t.(*arrow.DictionaryType).ValueType)
	case t.Name() == "extension":
		name := t.(arrow.ExtensionType).ExtensionName()
		return name == "arrow.json" || name == "arrow.uuid" && k == text
	case k == object:
		return id == arrow.STRUCT || id == arrow.LIST || id == arrow.LARGE_LIST
	case k == moment:
		return id == arrow.TIMESTAMP || id == arrow.DATE32 || id == arrow.DATE64
	case k == boolean:
		return id == arrow.BOOL
	case arrow.IsInteger(id), arrow.IsFloating(id), arrow.IsDecimal(id):
		return true
	}
	return k == text && id == arrow.BOOL
}

// wanted are the types for the kinds of columns.
var wanted = map[kind]string{
	text: "text", moment: "a timestamp, a date or RFC 3339 text", object: "JSON text", number: "a number", boolean: "a boolean",
}

// cellOf is one value as text; empty where there is none.
func cellOf(column arrow.Array, i int) string {
	if column.IsNull(i) {
		return ""
	}
	switch a := column.(type) {
	case *array.Null: // a column without any value, as pandas writes it, says of none that it is null
		return ""
	case *array.String:
		return a.Value(i)
	case *array.LargeString:
		return a.Value(i)
	case *array.Binary:
		return string(a.Value(i))
	case *array.Timestamp:
		unit := a.DataType().(*arrow.TimestampType).Unit
		return timeText(a.Value(i).ToTime(unit).Truncate(time.Microsecond))
	case *array.Date32:
		return timeText(a.Value(i).ToTime())
	case *array.Date64:
		return timeText(a.Value(i).ToTime())
	case *array.Float64:
		return strconv.FormatFloat(a.Value(i), 'g', -1, 64)
	case *array.Boolean:
		return strconv.FormatBool(a.Value(i))
	}
	return column.ValueStr(i)
}

func (p *parquetReader) Close() error {
	p.rows.Release()
	return p.file.Close()
}
