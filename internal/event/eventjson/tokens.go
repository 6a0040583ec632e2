package eventjson

import (
	"bytes"
	"errors"
	"io"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tidemark-obs/tidemark/internal/errs"
)

// tokens reads JSON token by token and copies what is to be kept, without white space. It
// copies in runs, not in tokens: most clients send compact JSON, which is one run.
type tokens struct {
	raw        []byte
	source     bytes.Buffer // over raw; jsontext reads a bytes.Buffer in place
	json       jsontext.Decoder
	kind       jsontext.Kind // of the last token
	start, end int           // of the last token, in raw

	copying bool
	run     int // where in raw the run begins that is not copied yet
	out     []byte
}

func (t *tokens) reset(raw []byte) {
	t.raw, t.start, t.end, t.copying, t.out = raw, 0, 0, false, t.out[:0]
	t.source = *bytes.NewBuffer(raw)
	// The faults jsontext would stop at are found by the reader instead, so that they are
	// reported with their location and beside all others.
	t.json.Reset(&t.source, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
}

// next reads the next token. Its errors are errors of syntax.
func (t *tokens) next() error {
	if _, err := t.json.ReadToken(); err != nil {
		return err
	}
	before := t.end
	t.end = int(t.json.InputOffset())
	blank := false
	t.start = before // jsontext has seen that a token follows
	for c := t.raw[before]; c <= ' ' || c == ',' || c == ':'; c = t.raw[t.start] {
		blank = blank || c <= ' '
		t.start++
	}
	t.kind = kindOf(t.raw[t.start])
	if blank && t.copying {
		t.out = append(t.out, t.raw[t.run:before]...)
		for _, c := range t.raw[before:t.start] {
			if c == ',' || c == ':' {
				t.out = append(t.out, c)
			}
		}
		t.run = t.start
	}
	return nil
}

func kindOf(c byte) jsontext.Kind {
	if c == '-' || digit(c) {
		return '0'
	}
	return jsontext.Kind(c)
}

// text is the last token as it stands.
func (t *tokens) text() []byte { return t.raw[t.start:t.end] }

// skip reads on to the end of the value that the last token began.
func (t *tokens) skip() error {
	if t.kind != '{' && t.kind != '[' {
		return nil
	}
	for outside := t.json.StackDepth() - 1; t.json.StackDepth() > outside; {
		if err := t.next(); err != nil {
			return err
		}
	}
	return nil
}

// keep begins to copy, with the last token.
func (t *tokens) keep() { t.copying, t.run = true, t.start }

// kept ends copying, with the last token, and returns where in out the copy is.
func (t *tokens) kept(from int) span {
	t.out = append(t.out, t.raw[t.run:t.end]...)
	t.copying = false
	return span{int32(from), int32(len(t.out))}
}

// maskValue copies the mask instead of the value that the last token began.
func (t *tokens) maskValue() error {
	t.out = append(t.out, t.raw[t.run:t.start]...)
	t.out = append(t.out, mask...)
	t.copying = false
	err := t.skip()
	t.copying, t.run = true, t.end
	return err
}

// finish checks that nothing but white space follows the last token.
func (t *tokens) finish() error {
	for _, c := range t.raw[t.end:] {
		if c != ' ' && c != '\n' && c != '\t' && c != '\r' {
			return errTrailing
		}
	}
	return nil
}

var errTrailing = errors.New("data after the JSON value")

// malformed turns an error of syntax into one that may be shown: a position, no input.
func malformed(what string, err error) *errs.Error {
	var syntax *jsontext.SyntacticError
	switch {
	case errors.Is(err, errTrailing):
		return errs.New(errs.Malformed, what+" is followed by more data")
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return errs.New(errs.Malformed, what+" is not valid JSON: it ends too early")
	case errors.As(err, &syntax):
		return errs.New(errs.Malformed, what+" is not valid JSON at byte "+strconv.FormatInt(syntax.ByteOffset, 10))
	default:
		return errs.New(errs.Malformed, what+" is not valid JSON")
	}
}
