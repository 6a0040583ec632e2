package store

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"
)

// members reads the members of JSON objects without decoding what is in them. One is used again and
// again, as its memory is.
type members struct {
	source bytes.Buffer // jsontext reads a bytes.Buffer in place
	json   jsontext.Decoder
}

// each hands over the members of an object in their order: the name without its quotes, the value as
// it stands there, and whether that is plain, which means that databases write the same value in
// the same words, or as a number that is equal. It is false where f is, for what is no object, and
// where a name has an escape.
func (m *members) each(o []byte, f func(name, value []byte, plain bool) bool) bool {
	m.source = *bytes.NewBuffer(o)
	m.json.Reset(&m.source, jsontext.AllowDuplicateNames(true))
	if t, err := m.json.ReadToken(); err != nil || t.Kind() != '{' {
		return false
	}
	for m.json.PeekKind() == '"' {
		name, err := m.json.ReadValue()
		if err != nil || !unescaped(name) {
			return false
		}
		end := m.json.InputOffset() // name itself is good until the next value is read
		name = o[end-int64(len(name))+1 : end-1]
		value, err := m.json.ReadValue()
		if err != nil || !f(name, value, sameEverywhere(value)) {
			return false
		}
	}
	_, err := m.json.ReadToken()
	return err == nil
}

// sameEverywhere reports whether a value is a text without escapes, true, false, null or a number without
// an exponent that a floating-point number holds about as well as anything does.
func sameEverywhere(value []byte) bool {
	const digits = 20
	switch value[0] {
	case '"':
		return unescaped(value)
	case 't', 'f', 'n':
		return true
	case '{', '[':
		return false
	}
	return len(bytes.TrimPrefix(value, []byte("-"))) <= digits && !bytes.ContainsAny(value, "eE")
}

func unescaped(text []byte) bool { return !bytes.ContainsAny(text, "\\\x7f") }
