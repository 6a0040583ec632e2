package transfer

import (
	"bufio"
	"bytes"
	"errors"
	"io"

	"github.com/tidemark-obs/tidemark/internal/errs"
)

// NewFileReader is NewReader for what users have: a file in the place of NDJSON may be one JSON array.
func NewFileReader(f Format, r io.Reader) (Reader, error) {
	if f != NDJSON {
		return NewReader(f, r)
	}
	b := bufio.NewReaderSize(r, 256<<10)
	skipMark(b)
	if first, err := skipSpace(b); err == nil && first == '[' {
		_, _ = b.Discard(1) // it has been peeked at
		return &arrayReader{r: b}, nil
	}
	return &ndjsonReader{r: b}, nil
}

// skipSpace passes over white space and returns what follows, which is not taken.
func skipSpace(r *bufio.Reader) (byte, error) {
	for {
		b, err := r.Peek(1)
		if err != nil {
			return 0, err
		}
		if !isSpace(b[0]) {
			return b[0], nil
		}
		_, _ = r.Discard(1)
	}
}

func isSpace(b byte) bool { return b == ' ' || b == '\t' || b == '\r' || b == '\n' }

// arrayReader reads the elements of one array, which it only tells apart: each is parsed as a row, by
// itself. Rows are counted as elements, for many may stand on one line.
type arrayReader struct {
	r      *bufio.Reader
	number int64
	row    []byte
	ended  bool
}

func (a *arrayReader) Next() (Row, error) {
	if a.ended {
		return Row{}, a.behind()
	}
	fault, err := a.element()
	if err != nil {
		return Row{}, err
	}
	text := bytes.TrimSpace(a.row)
	if len(text) == 0 && a.ended && a.number == 0 { // nothing stands between the brackets
		return Row{}, a.behind()
	}
	a.number++
	if len(text) == 0 {
		fault = errs.New(errs.Malformed, "nothing stands between two commas")
	}
	return Row{Number: a.number, JSON: text, Err: fault}, nil
}

// element reads up to the comma or bracket behind an element. Of one that is too long it keeps no more than
// the bound. Line breaks between values become blanks: a row is one line.
func (a *arrayReader) element() (fault, err error) {
	a.row = a.row[:0]
	size, depth, quoted, escaped := 0, 0, false, false
	for ; ; size++ {
		b, err := a.r.ReadByte()
		if errors.Is(err, io.EOF) {
			return nil, errs.New(errs.Malformed, "the JSON array is not closed")
		}
		if err != nil {
			return nil, err
		}
		switch {
		case quoted:
			if b < ' ' {
				fault = errs.New(errs.Malformed, "the event is not valid JSON: a text has a line break or another control character")
			}
			quoted = b != '"' || escaped
			escaped = b == '\\' && !escaped
		case b == '"':
			quoted = true
		case isSpace(b):
			b = ' '
		case depth <= 0 && (b == ',' || b == ']'):
			a.ended = b == ']'
			if size > maxRow {
				fault = errTooLong()
			}
			return fault, nil
		case b == '{' || b == '[':
			depth++
		case b == '}' || b == ']':
			depth--
		}
		if size <= maxRow {
			a.row = append(a.row, b)
		}
	}
}

// behind is io.EOF where nothing follows the array.
func (a *arrayReader) behind() error {
	_, err := skipSpace(a.r)
	if err == nil {
		err = errs.New(errs.Malformed, "something follows the JSON array")
	}
	return err
}

func (a *arrayReader) Close() error { return nil }
