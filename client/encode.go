package client

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"
)

// encoder writes one event as a JSON object on one line. It is reused.
type encoder struct {
	buf    []byte
	idEnd  int // the id is at buf[len(idStart):idEnd], as JSON writes it
	fields fields
	err    error // the first value that cannot be written

	second     int64  // that of the event before, since 1970
	secondText []byte // how it is written
}

// fields are what options and context say of an event.
type fields struct {
	texts    [numTexts]string
	id       string
	at       time.Time
	tags     []string
	metadata map[string]any
	rate     float64
}

const idStart = `{"event_id":"`

// maxDepth is deeper than the service takes; it ends what contains itself.
const maxDepth = 32

// maxKept is the largest buffer that is kept for the next event.
const maxKept = 64 << 10

// collect reads the options into e.fields.
func (e *encoder) collect(who *identity, source string, options []Option) {
	f := &e.fields // empty since the event before
	if who != nil {
		f.texts[optionUser], f.texts[optionAnonymous], f.texts[optionSession] = who.user, who.anonymous, who.session
	}
	f.texts[optionSource] = source
	for i := range options {
		switch o := &options[i]; o.of {
		case optionEventID:
			f.id = o.text
		case optionAt:
			f.at = o.at
		case optionTags:
			f.tags = o.texts
		case optionMetadata:
			f.metadata = o.object
		case optionSampleRate:
			f.rate = o.number
		default:
			f.texts[o.of] = o.text
		}
	}
}

// begin writes what every event has.
func (e *encoder) begin(now time.Time) {
	f := &e.fields
	e.err = nil
	e.buf = append(e.buf[:0], idStart...)
	if f.id == "" {
		e.buf = appendID(e.buf, now)
	} else {
		e.buf = appendText(e.buf, f.id)
	}
	e.idEnd = len(e.buf)
	e.buf = append(e.buf, `","timestamp":"`...)
	if f.at.IsZero() {
		f.at = now
	}
	e.time(f.at.UTC())
	e.buf = append(e.buf, '"')
	for i, text := range f.texts {
		if text != "" {
			e.text(textFields[i], text)
		}
	}
	if len(f.tags) > 0 {
		e.name("tags")
		e.strings(f.tags)
	}
	if f.rate != 0 {
		e.number("sample_rate", f.rate)
	}
	if len(f.metadata) > 0 {
		e.object("metadata", f.metadata)
	}
}

// id is that of the event being written.
func (e *encoder) id() string {
	var id string
	if json.Unmarshal(append(e.buf[len(idStart)-1:e.idEnd:e.idEnd], '"'), &id) != nil {
		return ""
	}
	return id
}

// name writes the name of a member; the object has one before it.
func (e *encoder) name(name string) {
	e.buf = append(e.buf, ',', '"')
	e.buf = append(e.buf, name...)
	e.buf = append(e.buf, '"', ':')
}

func (e *encoder) text(name, text string) {
	e.name(name)
	e.buf = appendString(e.buf, text)
}

func (e *encoder) someText(name, text string) {
	if text != "" {
		e.text(name, text)
	}
}

func (e *encoder) bool(name string, b bool) {
	e.name(name)
	e.buf = strconv.AppendBool(e.buf, b)
}

func (e *encoder) number(name string, n float64) {
	e.name(name)
	e.float(n, 64)
}

func (e *encoder) someNumber(name string, n float64) {
	if n != 0 {
		e.number(name, n)
	}
}

func (e *encoder) milliseconds(name string, d time.Duration) {
	e.number(name, float64(max(d, 0))/float64(time.Millisecond))
}

func (e *encoder) object(name string, m map[string]any) {
	e.name(name)
	e.objectValue(m, 1)
}

func (e *encoder) properties(m map[string]any) {
	if len(m) > 0 {
		e.object("properties", m)
	}
}

func (e *encoder) objectValue(m map[string]any, depth int) {
	e.buf = append(e.buf, '{')
	first := true
	for name, v := range m {
		if !first {
			e.buf = append(e.buf, ',')
		}
		first = false
		e.buf = append(appendString(e.buf, name), ':')
		e.value(v, depth)
	}
	e.buf = append(e.buf, '}')
}

// value writes any value: common types by hand, all others by encoding/json.
func (e *encoder) value(v any, depth int) {
	switch v := v.(type) {
	case string:
		e.buf = appendString(e.buf, v)
	case bool:
		e.buf = strconv.AppendBool(e.buf, v)
	case int:
		e.buf = strconv.AppendInt(e.buf, int64(v), 10)
	case int64:
		e.buf = strconv.AppendInt(e.buf, v, 10)
	case int32:
		e.buf = strconv.AppendInt(e.buf, int64(v), 10)
	case uint:
		e.buf = strconv.AppendUint(e.buf, uint64(v), 10)
	case uint64:
		e.buf = strconv.AppendUint(e.buf, v, 10)
	case uint32:
		e.buf = strconv.AppendUint(e.buf, uint64(v), 10)
	case float64:
		e.float(v, 64)
	case float32:
		e.float(float64(v), 32)
	case nil:
		e.buf = append(e.buf, "null"...)
	case time.Time:
		e.buf = append(e.buf, '"')
		e.buf = append(v.AppendFormat(e.buf, time.RFC3339Nano), '"')
	case map[string]any:
		if e.tooDeep(depth) {
			return
		}
		e.objectValue(v, depth+1)
	case []any:
		if e.tooDeep(depth) {
			return
		}
		e.buf = append(e.buf, '[')
		for i, item := range v {
			if i > 0 {
				e.buf = append(e.buf, ',')
			}
			e.value(item, depth+1)
		}
		e.buf = append(e.buf, ']')
	case []string:
		e.strings(v)
	default:
		e.other(v)
	}
}

func (e *encoder) strings(items []string) {
	e.buf = append(e.buf, '[')
	for i, item := range items {
		if i > 0 {
			e.buf = append(e.buf, ',')
		}
		e.buf = appendString(e.buf, item)
	}
	e.buf = append(e.buf, ']')
}

func (e *encoder) tooDeep(depth int) bool {
	if depth <= maxDepth {
		return false
	}
	e.fail(errors.New("it is nested too deeply"))
	return true
}

func (e *encoder) fail(err error) {
	if e.err == nil {
		e.err = err
	}
}

// float writes a number as encoding/json does: the shortest text that reads back the same.
func (e *encoder) float(f float64, bits int) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		e.fail(errors.New("it has a number that is not finite"))
		return
	}
	e.buf = appendFloat(e.buf, f, bits)
}

func (e *encoder) other(v any) {
	b, err := marshal(v)
	if err != nil {
		e.fail(err)
		return
	}
	if bytes.IndexByte(b, '\n') >= 0 { // a spool has an event a line
		e.fail(errors.New("it has a value that writes line breaks"))
		return
	}
	e.buf = append(e.buf, b...)
}

// marshal is json.Marshal that survives values that panic, and writes errors as their text.
func marshal(v any) (b []byte, err error) {
	defer func() {
		if r := recover(); r != nil {
			b, err = nil, fmt.Errorf("a value of type %T panics when it is written as JSON", v)
		}
	}()
	if failure, ok := v.(error); ok {
		if _, ok := v.(json.Marshaler); !ok {
			return appendString(nil, errorText(failure)), nil
		}
	}
	return json.Marshal(v)
}
