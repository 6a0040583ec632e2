package client

import (
	"math"
	"strconv"
	"time"
	"unicode/utf8"
)

// time writes a time in UTC. Most events have the second of the one before.
func (e *encoder) time(t time.Time) {
	if second := t.Unix(); second != e.second || len(e.secondText) == 0 {
		e.second, e.secondText = second, t.AppendFormat(e.secondText[:0], "2006-01-02T15:04:05")
	}
	e.buf = append(e.buf, e.secondText...)
	if ns := t.Nanosecond(); ns != 0 {
		e.buf = appendFraction(e.buf, uint64(ns), 9)
	}
	e.buf = append(e.buf, 'Z')
}

// appendFraction appends what stands behind the point: n has so many digits, and is not 0.
func appendFraction(dst []byte, n uint64, digits int) []byte {
	var text [20]byte
	for i := digits; i > 0; i-- {
		text[i] = byte('0' + n%10)
		n /= 10
	}
	text[0] = '.'
	for text[digits] == '0' {
		digits--
	}
	return append(dst, text[:digits+1]...)
}

// appendFloat appends a finite number in the shortest form.
func appendFloat(dst []byte, f float64, bits int) []byte {
	if bits == 64 {
		if short, ok := appendDecimal(dst, f); ok {
			return short
		}
	}
	format, size := byte('f'), math.Abs(f)
	if size != 0 && (size < 1e-6 || size >= 1e21) {
		format = 'e'
	}
	return strconv.AppendFloat(dst, f, format, -1, bits)
}

// appendDecimal appends a number that has at most six decimals and fifteen digits, as amounts and
// milliseconds do. No two texts of fifteen digits mean the same number, so that the one found is the
// shortest.
func appendDecimal(dst []byte, f float64) ([]byte, bool) {
	const decimals, unit, most = 6, 1_000_000, 1e15
	scaled := math.Round(f * unit)
	if math.Abs(scaled) >= most || scaled/unit != f || f == 0 && math.Signbit(f) {
		return dst, false
	}
	n := int64(scaled)
	if n < 0 {
		dst, n = append(dst, '-'), -n
	}
	dst = strconv.AppendInt(dst, n/unit, 10)
	if rest := n % unit; rest != 0 {
		dst = appendFraction(dst, uint64(rest), decimals)
	}
	return dst, true
}

func appendString(dst []byte, s string) []byte {
	return append(appendText(append(dst, '"'), s), '"')
}

const hexDigits = "0123456789abcdef"

// appendText appends the inside of a JSON string. What is not UTF-8 becomes U+FFFD.
func appendText(dst []byte, s string) []byte {
	start := 0
	for i := plain(s); i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if c >= ' ' && c != '"' && c != '\\' {
				i++
				continue
			}
			dst = append(dst, s[start:i]...)
			switch c {
			case '"', '\\':
				dst = append(dst, '\\', c)
			case '\n':
				dst = append(dst, '\\', 'n')
			case '\t':
				dst = append(dst, '\\', 't')
			case '\r':
				dst = append(dst, '\\', 'r')
			default:
				dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
			}
			i++
			start = i
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && size == 1 {
			dst = append(append(dst, s[start:i]...), "\ufffd"...)
			start = i + 1
		}
		i += size
	}
	return append(dst, s[start:]...)
}

// plain returns how much of s, in eights of bytes, is written as it is.
func plain(s string) int {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	i := 0
	for ; i+8 <= len(s); i += 8 {
		b := s[i : i+8]
		w := uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16 | uint64(b[3])<<24 |
			uint64(b[4])<<32 | uint64(b[5])<<40 | uint64(b[6])<<48 | uint64(b[7])<<56
		// A byte that is below ' ', the quote, the backslash or beyond ASCII sets its top bit; so
		// may one behind such a byte, but none without it.
		if (w|(w-ones*' ')|((w^ones*'"')-ones)|((w^ones*'\\')-ones))&tops != 0 {
			break
		}
	}
	return i
}
