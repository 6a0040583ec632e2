package transfer

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
)

// kind is what a column holds.
type kind uint8

const (
	text    kind = iota
	moment       // a time, to the microsecond
	object       // JSON: an object or an array
	number       // a float64
	boolean      // true or false
)

// column is one field of an event.
type column struct {
	name string
	kind kind
}

// columns are the fields of an event in their order in a file.
var columns = []column{
	{"event_id", text}, {"event_name", text}, {"event_type", text}, {"timestamp", moment}, {"received_at", moment},
	{"user_id", text}, {"anonymous_id", text}, {"session_id", text}, {"properties", object}, {"metadata", object},
	{"severity", text}, {"tags", object}, {"source", text}, {"user_agent", text}, {"ip_address", text},
	{"referrer", text}, {"timezone", text}, {"sample_rate", number}, {"processed", boolean}, {"processed_at", moment},
}

func columnOf(name string) (column, bool) {
	for _, c := range columns {
		if c.name == name {
			return c, true
		}
	}
	return column{}, false
}

// headOf are the columns that a file names.
func headOf(names []string) ([]column, error) {
	head := make([]column, 0, len(names))
	for _, name := range names {
		c, known := columnOf(name)
		if !known || slices.Contains(head, c) {
			return nil, errColumn(name, known)
		}
		head = append(head, c)
	}
	if !slices.Contains(head, column{"event_name", text}) {
		return nil, errs.New(errs.Invalid, "the file has no column event_name")
	}
	return head, nil
}

// errColumn is about a column that no event has, or that comes twice.
func errColumn(name string, twice bool) error {
	if len(name) > 100 {
		name = name[:100] + "…"
	}
	switch {
	case twice:
		return errs.New(errs.Invalid, fmt.Sprintf("the column %q comes twice", name))
	case !utf8.ValidString(name) || strings.ContainsRune(name, 0):
		return errs.New(errs.Invalid, "the first line is not UTF-8 text; save the file as UTF-8")
	case strings.ContainsAny(name, ";\t"):
		return errs.New(errs.Invalid, "the columns are separated by semicolons or tabs; save the file with commas")
	}
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.name
	}
	return errs.New(errs.Invalid, fmt.Sprintf("the column %q is not a field of an event; the fields are %s", name, strings.Join(names, ", ")))
}

// timeLayout is that of an event's JSON.
const timeLayout = "2006-01-02T15:04:05.000000Z07:00"

// cells are the fields of an event as texts, in the order of the columns; empty is absent.
func cells(e *event.Event, to []string) []string {
	return append(to[:0],
		e.ID, e.Name, string(e.Type), timeText(e.Timestamp), timeText(e.ReceivedAt),
		e.UserID, e.AnonymousID, e.SessionID, string(e.Properties), string(e.Metadata),
		string(e.Severity), tagsText(e.Tags), e.Source, e.UserAgent, e.IPAddress,
		e.Referrer, e.Timezone, strconv.FormatFloat(e.SampleRate, 'g', -1, 64), strconv.FormatBool(e.Processed),
		timeText(e.ProcessedAt))
}

func timeText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(timeLayout)
}

func tagsText(tags []string) string {
	if len(tags) == 0 {
		return ""
	}
	b := []byte{'['}
	for i, tag := range tags {
		if i > 0 {
			b = append(b, ',')
		}
		b, _ = jsontext.AppendQuote(b, tag) // replaces what is not UTF-8, which no stored tag is
	}
	return string(append(b, ']'))
}

// line puts one event's JSON together from its cells.
type line struct{ buf []byte }

func (l *line) begin() { l.buf = append(l.buf[:0], '{') }

func (l *line) end() []byte {
	l.buf = append(l.buf, '}')
	return l.buf
}

// add adds a cell. What is not of the column's kind is added as text, for the decoder to refuse
// with its place.
func (l *line) add(c column, cell string) {
	if cell == "" {
		return
	}
	if len(l.buf) > 1 {
		l.buf = append(l.buf, ',')
	}
	l.buf = append(append(append(l.buf, '"'), c.name...), '"', ':')
	if raw(c.kind, cell) {
		from := len(l.buf)
		l.buf = append(l.buf, cell...)
		oneLine(l.buf[from:])
		return
	}
	from := len(l.buf)
	var err error
	if l.buf, err = jsontext.AppendQuote(l.buf, cell); err != nil {
		l.buf = append(l.buf[:from], notUTF8...)
	}
}

// notUTF8 stands for a cell that is not UTF-8. Quoted as it is, it would be another text without anybody's
// notice; half a surrogate pair is what the decoder refuses with its place.
const notUTF8 = `"\ud800"`

// raw reports whether a cell stands in JSON as it is.
func raw(k kind, cell string) bool {
	switch k {
	case object: // one value and nothing behind it, which would become other fields of the event
		return (cell[0] == '{' || cell[0] == '[') &&
			jsontext.Value(cell).IsValid(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	case number:
		_, err := strconv.ParseFloat(cell, 64)
		return err == nil && jsontext.Value(cell).IsValid()
	case boolean:
		return cell == "true" || cell == "false"
	}
	return false
}

// oneLine makes blanks of line breaks, which in JSON stand only between values.
func oneLine(b []byte) {
	for i := bytes.IndexAny(b, "\r\n"); i >= 0; {
		b[i] = ' '
		next := bytes.IndexAny(b[i:], "\r\n")
		if next < 0 {
			return
		}
		i += next
	}
}
