package eventjson

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

const (
	badText = "must be valid Unicode text (UTF-8, no half of a surrogate pair)"
	nulText = "must not contain the character U+0000"
)

// unquote appends the text of a JSON string to dst. It is not whole where it held invalid
// UTF-8 or half of a surrogate pair.
func unquote(dst, raw []byte) (text []byte, whole bool) {
	text, err := jsontext.AppendUnquote(dst, raw)
	return text, err == nil
}

// tooLong counts characters, but bytes first: a text is never longer in characters.
func tooLong(text []byte, limit int) bool {
	return len(text) > limit && utf8.RuneCount(text) > limit
}

// fitsFloat reports whether a number with an exponent can be computed with as a float64: it
// neither overflows nor vanishes, and its exponent does not choke a database's decimals.
func fitsFloat(number string) bool {
	f, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return false
	}
	at := strings.IndexAny(number, "eE")
	mantissa, exponent := number[:at], strings.TrimLeft(number[at+1:], "+-")
	if len(exponent) > len("308") {
		return false
	}
	return f != 0 || !bytes.ContainsAny([]byte(mantissa), "123456789")
}
