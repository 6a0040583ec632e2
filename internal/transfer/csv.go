package transfer

import (
	"bufio"
	"encoding/csv"
	"errors"
	"io"
	"strings"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
)

type csvWriter struct {
	w   *csv.Writer
	row []string
}

func newCSVWriter(w io.Writer, more bool) (*csvWriter, error) {
	c := &csvWriter{w: csv.NewWriter(w)}
	if more {
		return c, nil
	}
	head := make([]string, len(columns))
	for i, col := range columns {
		head[i] = col.name
	}
	if err := c.w.Write(head); err != nil {
		return nil, err
	}
	c.w.Flush()
	return c, c.w.Error()
}

func (c *csvWriter) Write(events []event.Event) error {
	for i := range events {
		c.row = cells(&events[i], c.row)
		if err := c.w.Write(c.row); err != nil {
			return err
		}
	}
	c.w.Flush()
	return c.w.Error()
}

func (c *csvWriter) Close() error { return nil }

// csvReader reads RFC 4180 with a header. encoding/csv does not serve: it drops carriage returns
// inside of quotes, and stops at the first bad row.
type csvReader struct {
	r      *bufio.Reader
	head   []column
	number int64 // of the line that is read next
	cells  []string
	cell   []byte
	size   int // bytes of the row so far
	line   line
}

func newCSVReader(r io.Reader) (*csvReader, error) {
	c := &csvReader{r: bufio.NewReaderSize(r, 256<<10), number: 1}
	skipMark(c.r)
	fault, err := c.record()
	switch {
	case errors.Is(err, io.EOF):
		return nil, errs.New(errs.Invalid, "the CSV file is empty: its first line must name the columns")
	case err != nil:
		return nil, err
	case fault != nil:
		return nil, fault
	}
	for i, name := range c.cells {
		c.cells[i] = strings.TrimSpace(name)
	}
	if c.head, err = headOf(c.cells); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *csvReader) Next() (Row, error) {
	for {
		number := c.number
		fault, err := c.record()
		if err != nil {
			return Row{}, err
		}
		switch {
		case fault != nil:
			return Row{Number: number, Err: fault}, nil
		case len(c.cells) == 1 && c.cells[0] == "": // an empty line
			continue
		case len(c.cells) != len(c.head):
			return Row{Number: number, Err: errs.New(errs.Malformed, "the row has more or fewer cells than the header")}, nil
		}
		c.line.begin()
		for i, col := range c.head {
			c.line.add(col, c.cells[i])
		}
		return Row{Number: number, JSON: c.line.end()}, nil
	}
}

func (c *csvReader) Close() error { return nil }

var (
	errQuote = errs.New(errs.Malformed, "a quote stands where none may be")
	errOpen  = errs.New(errs.Malformed, "a quote is opened and not closed: all that follows in the file belongs to this row")
)

// record reads one record into c.cells. A fault is of this record only.
func (c *csvReader) record() (fault, err error) {
	c.cells, c.size = c.cells[:0], 0
	if _, err := c.r.Peek(1); err != nil {
		return nil, err
	}
	for {
		ended, wrong, err := c.field()
		if err != nil {
			return nil, err
		}
		if fault == nil {
			fault = wrong
		}
		if len(c.cells) < 2*len(columns) { // enough to be too many
			c.cells = append(c.cells, string(c.cell))
		}
		if ended {
			break
		}
	}
	if c.size > maxRow && !errors.Is(fault, errOpen) {
		fault = errTooLong()
	}
	return fault, nil
}

// field reads one cell into c.cell and reports whether the record ends with it.
func (c *csvReader) field() (ended bool, fault, err error) {
	c.cell = c.cell[:0]
	quoted, open := false, false
	for first := true; ; first = false {
		b, err := c.r.ReadByte()
		if errors.Is(err, io.EOF) {
			if open {
				fault = errOpen
			}
			return true, fault, nil
		}
		if err != nil {
			return false, nil, err
		}
		c.size++
		if b == '\n' {
			c.number++
		}
		switch {
		case open && b == '"':
			if next, err := c.r.Peek(1); err == nil && next[0] == '"' {
				_, _ = c.r.Discard(1) // it has been peeked at
				c.put('"')
				continue
			}
			open = false
		case open:
			c.put(b)
		case b == '"' && first:
			quoted, open = true, true
		case b == ',':
			return false, fault, nil
		case b == '\n':
			return true, fault, nil
		case b == '\r' && c.lineEnds():
		case b == '"' || quoted:
			fault = errQuote
		default:
			c.put(b)
		}
	}
}

// lineEnds reports whether the record ends behind a carriage return.
func (c *csvReader) lineEnds() bool {
	next, err := c.r.Peek(1)
	return err != nil || next[0] == '\n'
}

func (c *csvReader) put(b byte) {
	if c.size <= maxRow {
		c.cell = append(c.cell, b)
	}
}
