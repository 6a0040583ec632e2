package declared

import (
	"math"
	"strconv"
	"unicode/utf8"
)

// Of is the value that questions call v: a text, a number, true or false, and nothing else.
func Of(v any) Value {
	switch v := v.(type) {
	case string:
		if len(v) > MaxText && utf8.RuneCountInString(v) > MaxText {
			return Value{Kind: Long}
		}
		return Value{Text, v}
	case float64:
		return Value{Numeric, string(appendNumber(nil, v))}
	case bool:
		return Value{Bool, strconv.FormatBool(v)}
	}
	return Value{}
}

// Any is what questions call the value; nil for None and Long.
func (v Value) Any() any {
	switch v.Kind {
	case Text:
		return v.Text
	case Numeric:
		f, _ := strconv.ParseFloat(v.Text, 64) // it was written by appendNumber
		return f
	case Bool:
		return v.Text == "true"
	}
	return nil
}

// appendNumber appends the one text that a number has.
func appendNumber(b []byte, f float64) []byte {
	if f == 0 {
		f = 0 // there is one zero, without a sign
	}
	format := byte('f')
	if a := math.Abs(f); a >= 1e21 || a > 0 && a < 1e-6 {
		format = 'e'
	}
	return strconv.AppendFloat(b, f, format, -1, 64)
}
