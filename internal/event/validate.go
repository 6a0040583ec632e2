package event

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Problem is one broken rule. It never holds the value that broke it.
type Problem struct {
	Location string // JSON Pointer inside the event; "" is the event itself
	Message  string
}

// Seconds that an event's timestamp lies in: RFC 3339 has no more than four digits for the
// year, and nothing was tracked before computers kept Unix time.
const (
	firstSecond = 0                // 1970-01-01T00:00:00Z
	lastSecond  = 253402300800 - 1 // 9999-12-31T23:59:59Z
)

// leastRate is the smallest sample rate. The squares of inverses are added up to an estimate's
// variance, and one event whose square is infinite would spoil every statistic it is part of.
const leastRate = 1e-100

// farAhead is further than any clock is wrong by accident of its time zone.
const farAhead = 24 * time.Hour

// maxTimezone is longer than any name of the time zone database.
const maxTimezone = 64

// Validate checks every rule of the event except those of the contents of Properties and
// Metadata, which are checked where they are decoded. It finds all problems, not only the
// first, and reads the time zero as a missing timestamp. Warnings do not hinder an event.
func (e *Event) Validate(l Limits, now time.Time) (problems, warnings []Problem) {
	c := checker{limits: l}
	c.names(e)
	c.context(e)
	c.tags(e.Tags)
	c.timestamp(e.Timestamp)
	if !(e.SampleRate >= leastRate && e.SampleRate <= 1) { // written so that NaN fails
		c.problem("/sample_rate", "must be above 0 and at most 1")
	}
	return c.problems, e.warnings(now)
}

func (e *Event) warnings(now time.Time) (found []Problem) {
	if len(e.Properties) <= len("{}") {
		found = append(found, Problem{"/properties", "the event has no properties"})
	}
	if e.Type == Custom && len(e.Tags) == 0 {
		found = append(found, Problem{"/tags", "a custom event without tags is hard to find again"})
	}
	if e.Timestamp.Sub(now) > farAhead {
		found = append(found, Problem{"/timestamp", "lies more than a day in the future"})
	}
	return found
}

// checker collects the problems of one event.
type checker struct {
	limits   Limits
	problems []Problem
}

func (c *checker) problem(location, message string) {
	c.problems = append(c.problems, Problem{location, message})
}

func (c *checker) names(e *Event) {
	c.text("/event_id", e.ID, c.limits.IDLength)
	if e.Name == "" {
		c.problem("/event_name", "is required")
	} else {
		c.text("/event_name", e.Name, c.limits.NameLength)
	}
	if !slices.Contains(Types, e.Type) {
		c.problem("/event_type", oneOf(Types))
	}
	if !slices.Contains(Severities, e.Severity) {
		c.problem("/severity", oneOf(Severities))
	}
	c.text("/user_id", e.UserID, c.limits.IDLength)
	c.text("/anonymous_id", e.AnonymousID, c.limits.IDLength)
	c.text("/session_id", e.SessionID, c.limits.IDLength)
}

func (c *checker) context(e *Event) {
	c.text("/source", e.Source, c.limits.ContextLength)
	c.text("/user_agent", e.UserAgent, c.limits.ContextLength)
	c.text("/referrer", e.Referrer, c.limits.ContextLength)
	if e.IPAddress != "" {
		if _, err := netip.ParseAddr(e.IPAddress); err != nil {
			c.problem("/ip_address", "must be an IPv4 or IPv6 address")
		}
	}
	if e.Timezone != "" && !plausibleTimezone(e.Timezone) {
		c.problem("/timezone", "must be a time zone name such as Europe/Berlin, or an offset such as +02:00")
	}
}

func (c *checker) tags(tags []string) {
	if len(tags) > c.limits.Tags {
		c.problem("/tags", "must have at most "+strconv.Itoa(c.limits.Tags)+" tags")
		return
	}
	for i, tag := range tags {
		fault := textFault(tag, c.limits.TagLength)
		if tag == "" {
			fault = "must not be empty"
		}
		if fault != "" {
			c.problem("/tags/"+strconv.Itoa(i), fault)
		}
	}
}

func (c *checker) timestamp(t time.Time) {
	if t.IsZero() {
		c.problem("/timestamp", "is required")
	} else if at := t.Unix(); at < firstSecond || at > lastSecond {
		c.problem("/timestamp", "must lie in the years 1970 to 9999")
	}
}

// text checks the string at location, which may be absent.
func (c *checker) text(location, s string, limit int) {
	if fault := textFault(s, limit); fault != "" {
		c.problem(location, fault)
	}
}

// textFault says what is wrong with a string: it must be valid UTF-8 without NUL and have at
// most limit characters. Bytes are counted first: a string is never longer in characters.
func textFault(s string, limit int) string {
	if len(s) <= limit && plain(s) {
		return ""
	}
	switch {
	case !utf8.ValidString(s):
		return "must be valid UTF-8"
	case strings.IndexByte(s, 0) >= 0:
		return "must not contain the character U+0000"
	case len(s) > limit && utf8.RuneCountInString(s) > limit:
		return "must have at most " + strconv.Itoa(limit) + " characters"
	}
	return ""
}

// plain reports whether s is ASCII without NUL, which most texts are.
func plain(s string) bool {
	for i := range len(s) {
		if s[i] == 0 || s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// plausibleTimezone accepts what looks like a name of the time zone database or an offset.
// It does not look the name up: browsers know newer names than the machine this runs on.
func plausibleTimezone(s string) bool {
	if len(s) > maxTimezone {
		return false
	}
	for i := range len(s) {
		ch := s[i]
		letter := 'a' <= ch|0x20 && ch|0x20 <= 'z'
		if i == 0 && !letter && ch != '+' && ch != '-' {
			return false
		}
		if !letter && !('0' <= ch && ch <= '9') && strings.IndexByte("_+-/:", ch) < 0 {
			return false
		}
	}
	return true
}

func oneOf[T ~string](allowed []T) string {
	names := make([]string, len(allowed))
	for i, a := range allowed {
		names[i] = string(a)
	}
	return "must be one of " + strings.Join(names, ", ")
}
