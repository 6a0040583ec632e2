package declared

import (
	"bytes"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/question"
)

// Kind is what a dimension's value is.
type Kind uint8

// The kinds of values. None is a value that is missing, null, an object or a list; Long a text of
// more than MaxText characters, which is not kept.
const (
	None Kind = iota
	Text
	Numeric
	Bool
	Long
)

// Value is a dimension's value. Two are equal where questions call them the same: 1 and 1.0 are,
// 1 and "1" are not.
type Value struct {
	Kind Kind
	Text string // of a number, the shortest decimal text
}

// plan is what is declared of one event's name.
type plan struct {
	dimensions, numbers []int // places in the Set's lists
	metrics             []int
	properties          *node
	metadata            *node
}

// node is a place in an object: what is declared of it, and of what is inside it.
type node struct {
	name      string
	dimension int // place in the plan's dimensions; below 0 for none
	number    int
	inside    []*node
	leaves    int // declared places in and below
}

func (s *Set) plan() {
	s.plans = map[string]*plan{}
	s.others = s.planOf("")
	add := func(name string) {
		if s.plans[name] == nil {
			s.plans[name] = s.planOf(name)
		}
	}
	for i := range s.dimensions {
		for _, name := range s.dimensions[i].Events {
			add(name)
		}
	}
	for i := range s.numbers {
		for _, name := range s.numbers[i].Events {
			add(name)
		}
	}
	for i := range s.metrics {
		add(s.metrics[i].Event)
	}
}

func (s *Set) planOf(name string) *plan {
	p := &plan{properties: newNode(""), metadata: newNode("")}
	for i := range s.dimensions {
		if s.dimensions[i].Covers(name) {
			p.place(s.dimensions[i].Field).dimension = len(p.dimensions)
			p.dimensions = append(p.dimensions, i)
		}
	}
	for i := range s.numbers {
		if s.numbers[i].Covers(name) {
			p.place(s.numbers[i].Field).number = len(p.numbers)
			p.numbers = append(p.numbers, i)
		}
	}
	for i := range s.metrics {
		if s.metrics[i].Event == name {
			p.metrics = append(p.metrics, i)
		}
	}
	return p
}

func newNode(name string) *node { return &node{name: name, dimension: -1, number: -1} }

// place is the node of a field, made where there is none.
func (p *plan) place(f question.Field) *node {
	n := p.properties
	if f.Column == question.Metadata {
		n = p.metadata
	}
	for _, name := range f.Path {
		n.leaves++
		at := slices.IndexFunc(n.inside, func(o *node) bool { return o.name == name })
		if at < 0 {
			at = len(n.inside)
			n.inside = append(n.inside, newNode(name))
		}
		n = n.inside[at]
	}
	n.leaves++
	return n
}

func (s *Set) planFor(name string) *plan {
	if p := s.plans[name]; p != nil {
		return p
	}
	return s.others
}

// Reading is what one event has of what is declared. It is valid until the Reader reads on.
type Reading struct {
	Dimensions []int     // places in the Set's dimensions: those that are declared for this event
	Values     []Value   // of these, in the same order
	Numbers    []int     // places in the Set's numbers: those that are declared for this event
	Readings   []float64 // of these, in the same order; NaN where the event has no such number
	Metrics    []int     // places in the Set's metrics: those that this event belongs to
}

// Reader reads events. It keeps memory between them and is for one goroutine.
type Reader struct {
	set    *Set
	source bytes.Buffer
	json   jsontext.Decoder
	text   []byte
	texts  map[string]string // values seen, so that a frequent one is made once
	out    Reading
	left   int // declared places that were not met yet
}

// maxTexts bounds the values that a Reader remembers.
const maxTexts = 4_096

// Reader returns a new Reader of this Set.
func (s *Set) Reader() *Reader { return &Reader{set: s, texts: map[string]string{}} }

// Read reads an event as it came from the journal or a database: its JSON is valid.
func (r *Reader) Read(e *event.Event) *Reading {
	r.out = Reading{Values: r.out.Values[:0], Readings: r.out.Readings[:0]}
	if r.set == nil {
		return &r.out
	}
	p := r.set.planFor(e.Name)
	r.out.Dimensions, r.out.Numbers, r.out.Metrics = p.dimensions, p.numbers, p.metrics
	for range p.dimensions {
		r.out.Values = append(r.out.Values, Value{})
	}
	for range p.numbers {
		r.out.Readings = append(r.out.Readings, math.NaN())
	}
	r.object(e.Properties, p.properties)
	r.object(e.Metadata, p.metadata)
	return &r.out
}

func (r *Reader) object(o event.Object, n *node) {
	if r.left = n.leaves; r.left == 0 || len(o) == 0 {
		return
	}
	r.source = *bytes.NewBuffer(o) // jsontext reads a bytes.Buffer in place
	r.json.Reset(&r.source, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if r.json.PeekKind() == '{' {
		// JSON that is not valid ends the reading; what was read until then stands.
		_ = r.members(n)
	}
}

// members reads an object's members, until all that is declared has been met.
func (r *Reader) members(n *node) error {
	if _, err := r.json.ReadToken(); err != nil {
		return err
	}
	for r.left > 0 && r.json.PeekKind() != '}' {
		name, err := r.json.ReadValue()
		if err != nil {
			return err
		}
		inner, err := r.find(n, name)
		if err != nil {
			return err
		}
		if inner == nil {
			err = r.json.SkipValue()
		} else {
			err = r.value(inner)
		}
		if err != nil {
			return err
		}
	}
	if r.left == 0 {
		return nil
	}
	_, err := r.json.ReadToken()
	return err
}

// find is the node of a member by its name as it stands in JSON, nil where nothing is declared.
func (r *Reader) find(n *node, quoted []byte) (*node, error) {
	name, err := r.unquote(quoted)
	if err != nil {
		return nil, err
	}
	for _, inner := range n.inside {
		if string(name) == inner.name {
			return inner, nil
		}
	}
	return nil, nil
}

// unquote is a JSON string's text, until the next one.
func (r *Reader) unquote(quoted []byte) (text []byte, err error) {
	if len(quoted) < 2 {
		return nil, jsontext.ErrNonStringName
	}
	if bytes.IndexByte(quoted, '\\') < 0 {
		return quoted[1 : len(quoted)-1], nil
	}
	r.text, err = jsontext.AppendUnquote(r.text[:0], quoted)
	return r.text, err
}

func (r *Reader) value(n *node) error {
	kind := r.json.PeekKind()
	if kind == '{' && len(n.inside) > 0 {
		if n.dimension >= 0 {
			r.left--
		}
		if n.number >= 0 {
			r.left--
		}
		return r.members(n)
	}
	r.left -= n.leaves
	raw, err := r.json.ReadValue()
	if err != nil || n.dimension < 0 && n.number < 0 {
		return err
	}
	v := Value{}
	switch kind {
	case '"':
		v, err = r.textValue(raw)
	case '0':
		v, err = r.numberValue(raw, n)
	case 't', 'f':
		v = Value{Bool, strconv.FormatBool(kind == 't')}
	}
	if n.dimension >= 0 {
		r.out.Values[n.dimension] = v
	}
	return err
}

func (r *Reader) textValue(raw []byte) (Value, error) {
	text, err := r.unquote(raw)
	if err != nil {
		return Value{}, err
	}
	if len(text) > MaxText && utf8.RuneCount(text) > MaxText {
		return Value{Kind: Long}, nil
	}
	return Value{Text, r.intern(text)}, nil
}

func (r *Reader) numberValue(raw []byte, n *node) (Value, error) {
	f, err := strconv.ParseFloat(string(raw), 64)
	if err != nil {
		return Value{}, err
	}
	if f == 0 {
		f = 0 // there is one zero, without a sign
	}
	if n.number >= 0 {
		r.out.Readings[n.number] = f
	}
	if n.dimension < 0 {
		return Value{}, nil
	}
	r.text = appendNumber(r.text[:0], f)
	return Value{Numeric, r.intern(r.text)}, nil
}

// intern makes one string of equal texts.
func (r *Reader) intern(text []byte) string {
	if s, ok := r.texts[string(text)]; ok {
		return s
	}
	if len(r.texts) >= maxTexts {
		clear(r.texts)
	}
	s := string(text)
	r.texts[s] = s
	return s
}
