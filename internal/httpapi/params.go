package httpapi

import (
	"errors"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/question"
)

// params reads text parameters and collects what is wrong with them, by name.
type params struct{ faults []errs.Field }

func (p *params) fail(name, message string) {
	p.faults = append(p.faults, errs.Field{Location: name, Message: message})
}

// err is nil when nothing was wrong.
func (p *params) err() error {
	if len(p.faults) == 0 {
		return nil
	}
	return &errs.Error{Kind: errs.Invalid, Detail: "the request has invalid parameters", Fields: p.faults}
}

// text lets through what a database can compare with: PostgreSQL refuses NUL and broken UTF-8.
func (p *params) text(name, value string) string {
	if !utf8.ValidString(value) || strings.IndexByte(value, 0) >= 0 {
		p.fail(name, "must be valid UTF-8 without NUL")
	}
	return value
}

// where reads the conditions that questions have.
func (p *params) where(name, value string) []question.Condition {
	var q question.Parser
	list := q.Where(name, []byte(value))
	var fault *errs.Error
	if errors.As(q.Err(), &fault) {
		p.faults = append(p.faults, fault.Fields...)
	}
	return list
}

// instant reads RFC 3339 or YYYY-MM-DD, which is the start of that day in UTC. Empty is zero.
func (p *params) instant(name, value string) time.Time {
	if value == "" {
		return time.Time{}
	}
	for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
		if t, err := time.Parse(layout, value); err == nil {
			t = t.UTC()
			if y := t.Year(); y < 1 || y > 9999 {
				break
			}
			return t
		}
	}
	p.fail(name, "must be a time such as 2026-01-31T15:04:05Z or a day such as 2026-01-31")
	return time.Time{}
}

// span reads a half-open range of time.
func (p *params) span(startName, start, endName, end string) (from, to time.Time) {
	from, to = p.instant(startName, start), p.instant(endName, end)
	if !from.IsZero() && !to.IsZero() && !from.Before(to) {
		p.fail(endName, "must be after "+startName)
	}
	return from, to
}
