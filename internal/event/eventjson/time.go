package eventjson

import "time"

// parseTime reads an RFC 3339 time as UTC, cut to the microsecond.
func parseTime(text []byte) (time.Time, bool) {
	var t time.Time
	if !strict(text) || t.UnmarshalText(text) != nil {
		return time.Time{}, false
	}
	return cut(t), true
}

// cut makes a time one that databases keep exactly: UTC, in whole microseconds, without the
// reading of the monotonic clock.
func cut(t time.Time) time.Time {
	return t.UTC().Round(0).Add(-time.Duration(t.Nanosecond() % int(time.Microsecond)))
}

// strict refuses what package time takes for RFC 3339 and is not (golang.org/issue/54580): an
// hour of one digit, a comma before the fraction, and offsets that no clock has.
func strict(text []byte) bool {
	const hour, fraction, offset = len("2006-01-02T15"), len("2006-01-02T15:04:05"), len("+07:00")
	if len(text) <= fraction || text[hour] != ':' || text[fraction] == ',' {
		return false
	}
	if text[len(text)-1] == 'Z' {
		return true
	}
	if len(text) < fraction+offset {
		return false
	}
	zone := text[len(text)-offset+1:]
	return string(zone[:2]) < "24" && string(zone[3:]) < "60"
}

// appendTime writes a time as UTC with exactly six decimals, so that texts sort as times do.
func appendTime(dst []byte, t time.Time) []byte {
	t = t.UTC()
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	dst = append(dst, '"')
	dst = append(appendDigits(dst, year, 4), '-')
	dst = append(appendDigits(dst, int(month), 2), '-')
	dst = append(appendDigits(dst, day, 2), 'T')
	dst = append(appendDigits(dst, hour, 2), ':')
	dst = append(appendDigits(dst, minute, 2), ':')
	dst = append(appendDigits(dst, second, 2), '.')
	return append(appendDigits(dst, t.Nanosecond()/1000, 6), 'Z', '"')
}

func appendDigits(dst []byte, n, width int) []byte {
	var digits [6]byte
	for i := width - 1; i >= 0; i-- {
		digits[i] = byte('0' + n%10)
		n /= 10
	}
	return append(dst, digits[:width]...)
}
