package outbound

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// RetryAfter reads seconds or a date, at most longest from now; 0 = not said.
func RetryAfter(s string, longest time.Duration) time.Duration {
	if n, err := strconv.Atoi(s); err == nil && n > 0 {
		return min(time.Duration(min(n, 1<<20))*time.Second, longest)
	}
	if t, err := http.ParseTime(s); err == nil {
		return min(max(time.Until(t), 0), longest)
	}
	return 0
}

// StatusText is the status of an answer for people, as 503 Service Unavailable.
func StatusText(code int) string {
	return strings.TrimSpace(fmt.Sprint(code, " ", http.StatusText(code)))
}

// Cause is why there was no answer, for people: an error of a http.Client without the URL that it
// repeats, which may hold a secret.
func Cause(err error) string {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	switch {
	case errors.Is(err, ErrPrivate):
		return ErrPrivate.Error()
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	}
	return err.Error()
}

// Printable is the beginning of a text from outside, fit for a log line.
func Printable(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	return Cut(strings.Join(strings.Fields(s), " "), most)
}

// Cut is the beginning of a text, at most so many characters.
func Cut(s string, most int) string {
	r := []rune(s)
	if len(r) <= most {
		return s
	}
	return string(r[:most-1]) + "…"
}
