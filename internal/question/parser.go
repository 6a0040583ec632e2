package question

import (
	"strconv"
	"time"

	// Time zones must not depend on what the machine has installed.
	_ "time/tzdata"

	"github.com/tidemark-obs/tidemark/internal/errs"
)

// Parser reads the parts of a question and collects what is wrong with them, by place. The zero
// Parser is ready.
type Parser struct {
	Prefix string // of all places: "/" where they are JSON Pointers
	faults []errs.Field
}

// maxLocation bounds a location in bytes.
const maxLocation = 128

// Fail notes a fault.
func (p *Parser) Fail(location, message string) {
	location = p.Prefix + location
	if len(location) > maxLocation {
		location = location[:maxLocation]
	}
	p.faults = append(p.faults, errs.Field{Location: location, Message: message})
}

// Err is nil when nothing was wrong, else Invalid with every fault.
func (p *Parser) Err() error {
	if len(p.faults) == 0 {
		return nil
	}
	return &errs.Error{Kind: errs.Invalid, Detail: "the question is invalid", Fields: p.faults}
}

// Field reads a column or a property.
func (p *Parser) Field(location, text string) Field {
	f, fault := ParseField(text)
	if fault != "" {
		p.Fail(location, fault)
	}
	return f
}

// Grouping reads what to group by; empty text is nothing. Times, tags and whole objects have no
// groups.
func (p *Parser) Grouping(location, text string) Field {
	if text == "" {
		return Field{}
	}
	f := p.Field(location, text)
	if k := f.Kind(); !f.IsZero() && (k == Time || k == Tags) {
		p.Fail(location, "cannot be grouped by; name another column or a property")
	}
	return f
}

// Groups reads how many groups to name; 0 is the default.
func (p *Parser) Groups(location string, n int) int {
	if n == 0 {
		return DefaultGroups
	}
	if n < 1 || n > MaxGroups {
		p.Fail(location, "must be between 1 and "+strconv.Itoa(MaxGroups))
	}
	return n
}

// Zone reads the name of a time zone; empty text is UTC.
func (p *Parser) Zone(location, text string) *time.Location {
	if text == "" {
		return time.UTC
	}
	zone, err := time.LoadLocation(text)
	if err != nil || text == "Local" {
		p.Fail(location, "must be the name of a time zone, as Europe/Berlin")
		return time.UTC
	}
	return zone
}

const badTime = "must be a time such as 2026-01-31T15:04:05Z or a day such as 2026-01-31"

// ParseTime reads RFC 3339, or a day, which begins at its first moment in zone.
func ParseTime(text string, zone *time.Location) (time.Time, bool) {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		day, err := time.Parse(time.DateOnly, text)
		if err != nil {
			return time.Time{}, false
		}
		t = firstOf(day, zone)
	}
	t = t.UTC().Truncate(time.Microsecond)
	if y := t.Year(); y < 1 || y > 9999 {
		return time.Time{}, false
	}
	return t, true
}

// Span reads a half-open range in a zone: by default the 30 days before the end, and up to now.
func (p *Parser) Span(start, end, tz string, now time.Time) Span {
	s := Span{Zone: p.Zone("tz", tz), End: now.UTC().Truncate(time.Microsecond)}
	s.End = p.instant("end_date", end, s.Zone, s.End)
	s.Start = p.instant("start_date", start, s.Zone, s.End.Add(-DefaultSpan))
	switch {
	case len(p.faults) > 0:
	case !s.Start.Before(s.End):
		p.Fail("start_date", "must be before end_date, which is now where there is none")
	case s.End.Sub(s.Start) > MaxSpan:
		p.Fail("start_date", "must be at most "+strconv.Itoa(int(MaxSpan/(366*24*time.Hour)))+" years before end_date")
	}
	return s
}

func (p *Parser) instant(location, text string, zone *time.Location, otherwise time.Time) time.Time {
	if text == "" {
		return otherwise
	}
	t, ok := ParseTime(text, zone)
	if !ok {
		p.Fail(location, badTime)
		return otherwise
	}
	return t
}

// Duration reads a length of time such as 30m, 24h or 7d; empty text is the default.
func (p *Parser) Duration(location, text string, otherwise, most time.Duration) time.Duration {
	if text == "" {
		return otherwise
	}
	d, err := time.ParseDuration(text)
	if n := len(text) - 1; err != nil && text[n] == 'd' {
		var days int
		if days, err = strconv.Atoi(text[:n]); err == nil && days <= int(most/(24*time.Hour)) {
			d = time.Duration(days) * 24 * time.Hour
		}
	}
	if err != nil || d < time.Millisecond || d > most {
		p.Fail(location, "must be a length of time such as 30m, 24h or 7d, at most "+strconv.FormatFloat(most.Hours(), 'f', -1, 64)+"h")
		return otherwise
	}
	return d.Truncate(time.Microsecond)
}
