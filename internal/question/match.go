package question

import (
	"cmp"
	"strconv"
	"strings"
)

// Match selects events by name and conditions; an empty name is any.
type Match struct {
	EventName string
	Where     []Condition
}

// Conditions are all of it.
func (m *Match) Conditions() []Condition {
	if m.EventName == "" {
		return m.Where
	}
	name := Condition{Field: Field{Column: EventName}, Op: Equal, Value: Value{Kind: Text, Text: m.EventName}}
	return append([]Condition{name}, m.Where...)
}

// Match reads an event's name and conditions.
func (p *Parser) Match(location, name string, where []byte) Match {
	return Match{EventName: p.Text(location+"/event_name", name), Where: p.Where(location+"/where", where)}
}

// Text reads a text that may be empty.
func (p *Parser) Text(location, text string) string {
	if fault := textFault(text, MaxText); fault != "" {
		p.Fail(location, fault)
	}
	return text
}

// Number reads a whole number; 0 is the default.
func (p *Parser) Number(location string, n, otherwise, most int) int {
	if n == 0 {
		return otherwise
	}
	if n < 1 || n > most {
		p.Fail(location, "must be between 1 and "+strconv.Itoa(most))
		return otherwise
	}
	return n
}

// Actor is whose events belong together.
type Actor string

// The actors. Events without the id belong to nobody and are passed over.
const (
	ByUser    Actor = "user"
	BySession Actor = "session"
)

// Actor reads by whom to ask; empty text is the default.
func (p *Parser) Actor(location, text string, otherwise Actor) Actor {
	switch a := Actor(text); a {
	case "":
		return otherwise
	case ByUser, BySession:
		return a
	}
	p.Fail(location, "must be user or session")
	return otherwise
}

// Column holds the actor's id.
func (a Actor) Column() Column {
	if a == BySession {
		return SessionID
	}
	return UserID
}

// Measure is what counting actors is called.
func (a Actor) Measure() Measure {
	if a == BySession {
		return Sessions
	}
	return Users
}

// CompareValues orders the values of a field: numbers, then texts by their bytes, then false and
// true, then nothing.
func CompareValues(a, b any) int {
	rank := func(v any) (kind int, n float64, text string) {
		switch v := v.(type) {
		case float64:
			return 0, v, ""
		case string:
			return 1, 0, v
		case bool:
			return 2, 0, strconv.FormatBool(v)
		}
		return 3, 0, ""
	}
	ak, an, at := rank(a)
	bk, bn, bt := rank(b)
	return cmp.Or(cmp.Compare(ak, bk), cmp.Compare(an, bn), strings.Compare(at, bt))
}
