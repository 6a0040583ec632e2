package transfer

import (
	"io"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"github.com/tidemark-obs/tidemark/internal/event"
)

// rowGroup is how many events stand together in a Parquet file; as many are held in memory.
const rowGroup = 61_440

var micros = &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"}

func schema() *arrow.Schema {
	fields := make([]arrow.Field, len(columns))
	for i, c := range columns {
		var t arrow.DataType = arrow.BinaryTypes.String
		switch c.kind {
		case moment:
			t = micros
		case number:
			t = arrow.PrimitiveTypes.Float64
		case boolean:
			t = arrow.FixedWidthTypes.Boolean
		}
		fields[i] = arrow.Field{Name: c.name, Type: t, Nullable: true}
	}
	return arrow.NewSchema(fields, nil)
}

type parquetWriter struct {
	file  *pqarrow.FileWriter
	build *array.RecordBuilder
	row   []string
}

func newParquetWriter(w io.Writer) (*parquetWriter, error) {
	s := schema()
	props := parquet.NewWriterProperties(parquet.WithCompression(compress.Codecs.Zstd),
		parquet.WithMaxRowGroupLength(rowGroup), parquet.WithCreatedBy("tidemark"))
	file, err := pqarrow.NewFileWriter(s, open{w}, props, pqarrow.NewArrowWriterProperties())
	if err != nil {
		return nil, err
	}
	return &parquetWriter{file: file, build: array.NewRecordBuilder(memory.DefaultAllocator, s)}, nil
}

// open hides that what is below can be closed: the file's writer would close it.
type open struct{ io.Writer }

func (p *parquetWriter) Write(events []event.Event) error {
	for i := range events {
		p.append(&events[i])
	}
	rec := p.build.NewRecordBatch()
	defer rec.Release()
	return p.file.WriteBuffered(rec)
}

func (p *parquetWriter) append(e *event.Event) {
	p.row = cells(e, p.row)
	times := map[string]time.Time{"timestamp": e.Timestamp, "received_at": e.ReceivedAt, "processed_at": e.ProcessedAt}
	for i, c := range columns {
		switch b := p.build.Field(i).(type) {
		case *array.StringBuilder:
			if p.row[i] == "" {
				b.AppendNull()
			} else {
				b.Append(p.row[i])
			}
		case *array.TimestampBuilder:
			if t := times[c.name]; t.IsZero() {
				b.AppendNull()
			} else {
				b.Append(arrow.Timestamp(t.UnixMicro()))
			}
		case *array.Float64Builder:
			b.Append(e.SampleRate)
		case *array.BooleanBuilder:
			b.Append(e.Processed)
		}
	}
}

func (p *parquetWriter) Close() error {
	defer p.build.Release()
	return p.file.Close()
}
