package question

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"time"
)

// Op is how a condition compares.
type Op string

// The operators. Each other condition is true of an event, or false: a missing value equals nothing,
// is less than nothing and contains nothing, and is therefore unequal to everything.
const (
	Equal        Op = "="
	NotEqual     Op = "!="
	Less         Op = "<"
	LessEqual    Op = "<="
	Greater      Op = ">"
	GreaterEqual Op = ">="
	In           Op = "in"
	Contains     Op = "contains" // a part of a text, or one of the tags
	Exists       Op = "exists"   // there and not null
)

// Value is one typed value. Values of different kinds are never equal: 42 is not "42".
type Value struct {
	Kind   Kind // Text, Number, Bool or Time
	Text   string
	Number float64
	Bool   bool
	Time   time.Time
}

// Condition is one test of an event.
type Condition struct {
	Field Field
	Op    Op
	Value Value   // of all operators but in
	List  []Value // of in
}

// condition is a Condition as it is written.
type condition struct {
	Field string          `json:"field"`
	Op    Op              `json:"op"`
	Value json.RawMessage `json:"value"`
}

// MarshalJSON writes the condition as Where reads it.
func (c Condition) MarshalJSON() ([]byte, error) {
	value := c.Value.plain()
	if c.Op == In {
		list := make([]any, len(c.List))
		for i := range c.List {
			list[i] = c.List[i].plain()
		}
		value = list
	}
	raw, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	return json.Marshal(condition{Field: c.Field.String(), Op: c.Op, Value: raw})
}

// plain is the value as JSON has it.
func (w *Value) plain() any {
	switch w.Kind {
	case Number:
		return w.Number
	case Bool:
		return w.Bool
	case Time:
		return w.Time.UTC().Format(time.RFC3339Nano)
	}
	return w.Text
}

// Where reads a JSON list of {field, op, value}; empty text is no condition.
func (p *Parser) Where(location string, raw []byte) []Condition {
	if len(bytes.TrimSpace(raw)) == 0 || string(bytes.TrimSpace(raw)) == "null" {
		return nil
	}
	var elements []json.RawMessage
	if !p.json(location, raw, &elements, "a JSON list of conditions {field, op, value}") {
		return nil
	}
	if len(elements) > MaxConditions {
		p.Fail(location, "must have at most "+strconv.Itoa(MaxConditions)+" conditions")
		return nil
	}
	list := make([]Condition, 0, len(elements))
	for i, element := range elements {
		at := location + "/" + strconv.Itoa(i)
		var c condition
		if p.json(at, element, &c, "a condition {field, op, value}") {
			list = append(list, p.condition(at, &c))
		}
	}
	return list
}

// json reads one value strictly and says what it had to be.
func (p *Parser) json(location string, raw []byte, into any, what string) bool {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if d.Decode(into) != nil || string(bytes.TrimSpace(raw)) == "null" {
		p.Fail(location, "must be "+what)
		return false
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		p.Fail(location, "must be "+what+" and nothing else")
		return false
	}
	return true
}

func (p *Parser) condition(at string, c *condition) Condition {
	out := Condition{Op: c.Op}
	out.Field = p.Field(at+"/field", c.Field)
	if out.Field.IsZero() {
		return out
	}
	kind, at := out.Field.Kind(), at+"/value"
	switch c.Op {
	case Exists:
		out.Value = Value{Kind: Bool, Bool: true}
		if len(c.Value) > 0 {
			out.Value = p.value(at, Bool, c.Value)
		}
	case Contains:
		if kind != Text && kind != Any && kind != Tags {
			p.Fail(at[:len(at)-len("/value")]+"/op", "contains wants a text or tags")
			return out
		}
		if out.Value = p.value(at, Text, c.Value); out.Value.Kind == Text && out.Value.Text == "" {
			p.Fail(at, "must not be empty")
		}
	case Equal, NotEqual, Less, LessEqual, Greater, GreaterEqual, In:
		p.comparison(at, kind, c, &out)
	default:
		p.Fail(at[:len(at)-len("/value")]+"/op", "must be one of =, !=, <, <=, >, >=, in, contains, exists")
	}
	return out
}

func (p *Parser) comparison(at string, kind Kind, c *condition, out *Condition) {
	switch {
	case kind == Tags:
		p.Fail(at, "tags can only be compared with contains and exists")
	case c.Op == In:
		out.List = p.list(at, kind, c.Value)
	default:
		out.Value = p.value(at, kind, c.Value)
		if out.Value.Kind == Bool && c.Op != Equal && c.Op != NotEqual {
			p.Fail(at, "true and false are neither less nor greater")
		}
	}
}

func (p *Parser) list(at string, kind Kind, raw json.RawMessage) []Value {
	var elements []json.RawMessage
	if !p.json(at, raw, &elements, "a list of values") {
		return nil
	}
	if len(elements) == 0 || len(elements) > MaxList {
		p.Fail(at, "must have 1 to "+strconv.Itoa(MaxList)+" values")
		return nil
	}
	list := make([]Value, len(elements))
	for i, element := range elements {
		list[i] = p.value(at+"/"+strconv.Itoa(i), kind, element)
	}
	return list
}

// value reads one value of a kind; of Any, whichever it is.
func (p *Parser) value(at string, kind Kind, raw json.RawMessage) Value {
	var v any
	if len(raw) == 0 {
		p.Fail(at, "is required")
		return Value{}
	}
	if json.Unmarshal(raw, &v) != nil { // a number that no float64 holds
		p.Fail(at, wants[kind])
		return Value{}
	}
	var got Value
	switch v := v.(type) {
	case string:
		if fault := p.rawText(at, raw, v); fault {
			return Value{}
		}
		if kind == Time {
			t, ok := ParseTime(v, time.UTC)
			if !ok {
				p.Fail(at, badTime)
				return Value{}
			}
			return Value{Kind: Time, Time: t}
		}
		got = Value{Kind: Text, Text: v}
	case float64:
		got = Value{Kind: Number, Number: v}
	case bool:
		got = Value{Kind: Bool, Bool: v}
	}
	if got.Kind == Any || kind != Any && kind != got.Kind {
		p.Fail(at, wants[kind])
		return Value{}
	}
	return got
}

// rawText reports whether a JSON string is no text that databases can hold. The decoder replaces
// what is not UTF-8, so the text as it came is looked at as well.
func (p *Parser) rawText(at string, raw json.RawMessage, text string) bool {
	for _, s := range []string{string(raw), text} {
		if fault := textFault(s, 6*MaxText+2); fault != "" {
			p.Fail(at, fault)
			return true
		}
	}
	if fault := textFault(text, MaxText); fault != "" {
		p.Fail(at, fault)
		return true
	}
	return false
}

var wants = map[Kind]string{
	Any:    "must be a text, a number, true or false; null is asked for with exists",
	Text:   "must be a text",
	Number: "must be a number",
	Bool:   "must be true or false",
	Time:   badTime,
}
