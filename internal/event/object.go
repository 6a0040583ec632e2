package event

import (
	"bytes"
	"encoding/json"
	"strconv"
)

// base returns an event with the defaults that every specialised event shares.
func base(name string, t Type) Event {
	return Event{Name: name, Type: t, Severity: Low, SampleRate: 1}
}

// objectWriter writes one flat JSON object and leaves out what is absent.
type objectWriter struct{ buf []byte }

func (o *objectWriter) raw(key string, value []byte) {
	sep := byte(',')
	if len(o.buf) == 0 {
		sep = '{'
	}
	o.buf = append(o.buf, sep, '"')
	o.buf = append(o.buf, key...)
	o.buf = append(o.buf, '"', ':')
	o.buf = append(o.buf, value...)
}

func (o *objectWriter) text(key, value string) {
	if value == "" {
		return
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if enc.Encode(value) == nil { // a string always encodes
		o.raw(key, bytes.TrimSuffix(b.Bytes(), []byte("\n")))
	}
}

// number leaves NaN and infinities out: JSON has no such numbers.
func (o *objectWriter) number(key string, value *float64) {
	if value == nil {
		return
	}
	if text, err := json.Marshal(*value); err == nil {
		o.raw(key, text)
	}
}

func (o *objectWriter) boolean(key string, value *bool) {
	if value != nil {
		o.raw(key, strconv.AppendBool(nil, *value))
	}
}

func (o *objectWriter) object() Object {
	if len(o.buf) == 0 {
		return Object("{}")
	}
	return append(o.buf, '}')
}
