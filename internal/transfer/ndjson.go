package transfer

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strconv"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/event/eventjson"
)

// ndjsonWriter writes an event a line, as everywhere else.
type ndjsonWriter struct {
	w   io.Writer
	buf []byte
}

func (w *ndjsonWriter) Write(events []event.Event) error {
	w.buf = w.buf[:0]
	for i := range events {
		w.buf = append(eventjson.Append(w.buf, &events[i]), '\n')
	}
	_, err := w.w.Write(w.buf)
	return err
}

func (w *ndjsonWriter) Close() error { return nil }

// maxRow bounds a row in bytes: far more than any event may have.
const maxRow = 1 << 20

type ndjsonReader struct {
	r      *bufio.Reader
	number int64
	row    []byte
}

func newNDJSONReader(r io.Reader) *ndjsonReader {
	b := bufio.NewReaderSize(r, 256<<10)
	skipMark(b)
	return &ndjsonReader{r: b}
}

// skipMark passes over a byte order mark.
func skipMark(r *bufio.Reader) {
	if head, err := r.Peek(3); err == nil && string(head) == "\uFEFF" {
		_, _ = r.Discard(3) // it has been peeked at
	}
}

func (r *ndjsonReader) Next() (Row, error) {
	for {
		line, long, err := r.line()
		if err != nil {
			return Row{}, err
		}
		r.number++
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		row := Row{Number: r.number, JSON: line}
		if long {
			row = Row{Number: r.number, Err: errTooLong()}
		}
		return row, nil
	}
}

// line reads one line; of one that is too long it keeps no more than the bound.
func (r *ndjsonReader) line() (line []byte, long bool, err error) {
	r.row = r.row[:0]
	for {
		part, err := r.r.ReadSlice('\n')
		switch {
		case err == nil, errors.Is(err, bufio.ErrBufferFull), errors.Is(err, io.EOF) && len(r.row)+len(part) > 0:
		default:
			return nil, false, err
		}
		if len(r.row) <= maxRow {
			r.row = append(r.row, part...)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return r.row, len(r.row) > maxRow, nil
		}
	}
}

func (r *ndjsonReader) Close() error { return nil }

func errTooLong() error {
	return errs.New(errs.TooLarge, "the row is longer than "+strconv.Itoa(maxRow)+" bytes")
}
