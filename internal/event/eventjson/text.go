package eventjson

import (
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

const (
	badText = "must be valid Unicode text (UTF-8, no half of a surrogate pair)"
	nulText = "must not contain the character U+0000"
)

// plain reports whether the inside of a JSON string is ASCII without escapes, which most are.
func plain(text []byte) bool {
	for _, c := range text {
		if c >= 0x80 || c == '\\' {
			return false
		}
	}
	return true
}

// unquote appends the text of a JSON string to dst. It is not whole where it held invalid
// UTF-8 or half of a surrogate pair.
func unquote(dst, raw []byte) (text []byte, whole bool) {
	text, err := jsontext.AppendUnquote(dst, raw)
	return text, err == nil
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
	return len(exponent) <= len("308") && (f != 0 || !strings.ContainsAny(mantissa, "123456789"))
}
