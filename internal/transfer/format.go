package transfer

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
)

// Format is how events are written.
type Format string

// The formats.
const (
	NDJSON  Format = "ndjson"
	CSV     Format = "csv"
	Parquet Format = "parquet"
)

// Formats lists all.
var Formats = []Format{NDJSON, CSV, Parquet}

// FormatOf returns the named format, or without a name that of the file's ending.
func FormatOf(name, path string) (Format, error) {
	if name == "" {
		switch ext := strings.TrimPrefix(filepath.Ext(path), "."); ext {
		case "json", "jsonl", "":
			name = string(NDJSON)
		default:
			name = ext
		}
	}
	for _, f := range Formats {
		if name == string(f) {
			return f, nil
		}
	}
	return "", errs.New(errs.Invalid, "the format must be ndjson, csv or parquet")
}

// ContentType is the format's media type.
func (f Format) ContentType() string {
	switch f {
	case CSV:
		return "text/csv; charset=utf-8"
	case Parquet:
		return "application/vnd.apache.parquet"
	default:
		return "application/x-ndjson"
	}
}

// Writer writes events. Close completes what was written and leaves the stream below open.
type Writer interface {
	Write(events []event.Event) error
	Close() error
}

// NewWriter returns a writer of a format. With more set, it goes on in a file that has begun.
func NewWriter(f Format, w io.Writer, more bool) (Writer, error) {
	switch f {
	case NDJSON:
		return &ndjsonWriter{w: w}, nil
	case CSV:
		return newCSVWriter(w, more)
	case Parquet:
		if more {
			return nil, errs.New(errs.Invalid, "a Parquet file cannot be continued")
		}
		return newParquetWriter(w)
	}
	return nil, fmt.Errorf("no such format: %q", f)
}

// Row is one event on its way in, as JSON.
type Row struct {
	Number int64  // of its line, or of its row in Parquet; the first is 1
	JSON   []byte // valid until the next row is read
	Err    error  // why the row cannot be read, nil when it can
}

// Reader reads rows until io.EOF. Any other error is the end of the file's use.
type Reader interface {
	Next() (Row, error)
	Close() error
}

// NewReader returns a reader of a format. Parquet wants a real file.
func NewReader(f Format, r io.Reader) (Reader, error) {
	switch f {
	case NDJSON:
		return newNDJSONReader(r), nil
	case CSV:
		return newCSVReader(r)
	case Parquet:
		file, ok := r.(*os.File)
		if ok { // a pipe is an os.File, too
			_, err := file.Seek(0, io.SeekCurrent)
			ok = err == nil
		}
		if !ok {
			return nil, errs.New(errs.Invalid, "Parquet can only be read from a file, not from a pipe")
		}
		return newParquetReader(file)
	}
	return nil, fmt.Errorf("no such format: %q", f)
}
