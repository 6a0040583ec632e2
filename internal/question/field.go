package question

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// Kind is what sort of values a field has.
type Kind uint8

// The kinds. A property's kind is Any: each event decides.
const (
	Any Kind = iota
	Text
	Number
	Bool
	Time
	Tags
)

// Column is a column of events by its name in the API.
type Column string

// The columns that have a role of their own.
const (
	Properties Column = "properties"
	Metadata   Column = "metadata"
	EventName  Column = "event_name"
	UserID     Column = "user_id"
	SessionID  Column = "session_id"
	TagsColumn Column = "tags"
)

// columns are all that a question may name, with their kinds.
var columns = map[Column]Kind{
	"event_id": Text, EventName: Text, "event_type": Text, "severity": Text,
	UserID: Text, "anonymous_id": Text, SessionID: Text,
	"source": Text, "user_agent": Text, "ip_address": Text, "referrer": Text, "timezone": Text,
	"timestamp": Time, "received_at": Time, "processed_at": Time,
	"sample_rate": Number, "processed": Bool, TagsColumn: Tags,
	Properties: Any, Metadata: Any,
}

// Field is a column, or a value inside the objects properties and metadata. The zero Field is none.
type Field struct {
	Column Column
	Path   []string // of keys; empty for a column
}

// Kind is what sort of values the field has.
func (f Field) Kind() Kind { return columns[f.Column] }

// IsZero reports whether this is no field.
func (f Field) IsZero() bool { return f.Column == "" }

// String is the field as it is written in a question.
func (f Field) String() string {
	if len(f.Path) == 0 {
		return string(f.Column)
	}
	escape := strings.NewReplacer(`\`, `\\`, `.`, `\.`)
	parts := make([]string, 1, 1+len(f.Path))
	parts[0] = string(f.Column)
	for _, key := range f.Path {
		parts = append(parts, escape.Replace(key))
	}
	return strings.Join(parts, ".")
}

// ParseField reads a column's name, or properties.a.b; a dot that belongs to a key is written \.
// and a backslash \\. The fault is "" when there is none.
func ParseField(text string) (f Field, fault string) {
	segments, fault := split(text)
	if fault != "" {
		return Field{}, fault
	}
	f.Column = Column(segments[0])
	kind, known := columns[f.Column]
	switch {
	case !known:
		return Field{}, "is no column; a property is written properties.name"
	case kind == Any && len(segments) == 1:
		return Field{}, "needs the name of a property, as properties.plan"
	case kind != Any && len(segments) > 1:
		return Field{}, "is a column without parts; a property is written properties.name"
	}
	if len(segments) > 1 {
		f.Path = segments[1:]
	}
	return f, ""
}

// split cuts a path at its dots.
func split(text string) (segments []string, fault string) {
	if fault := textFault(text, MaxSegments*(MaxSegment+1)); fault != "" {
		return nil, fault
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch ch := text[i]; {
		case ch == '\\' && (i+1 == len(text) || text[i+1] != '.' && text[i+1] != '\\'):
			return nil, `has a backslash before something other than . or \`
		case ch == '\\':
			i++
			b.WriteByte(text[i])
		case ch == '.':
			segments = append(segments, b.String())
			b.Reset()
		default:
			b.WriteByte(ch)
		}
	}
	segments = append(segments, b.String())
	if len(segments) > 1+MaxSegments {
		return nil, "has more than " + strconv.Itoa(MaxSegments) + " parts"
	}
	for _, s := range segments {
		switch {
		case s == "":
			return nil, "has an empty part"
		case utf8.RuneCountInString(s) > MaxSegment:
			return nil, "has a part of more than " + strconv.Itoa(MaxSegment) + " characters"
		}
	}
	return segments, ""
}

// textFault says what keeps a text from a question: both databases must be able to hold it.
func textFault(s string, limit int) string {
	switch {
	case !utf8.ValidString(s):
		return "must be valid UTF-8"
	case strings.IndexByte(s, 0) >= 0:
		return "must not contain the character U+0000"
	case utf8.RuneCountInString(s) > limit:
		return "must have at most " + strconv.Itoa(limit) + " characters"
	}
	return ""
}
