package eventjson

import (
	"strconv"
	"unicode"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tidemark-obs/tidemark/internal/errs"
)

// maxProblems bounds the faults listed for one event, so that a small bad request cannot
// ask for a large answer.
const maxProblems = 100

// reader is the scratch space for reading one event. Everything in it is reused. Places in
// the input are kept as numbers, not slices: that spares the garbage collector.
type reader struct {
	*Decoder
	tokens
	moved    bool   // the times that a service sets are taken as they are given
	strings  []byte // the event's texts, end to end
	unquoted []byte // one text without its escapes
	names    []name // of the members of all open objects, outermost first
	base     string // pointer of the value that path starts from
	path     []step
	problems []errs.Field
	found    found
}

func (r *reader) reset(raw []byte) {
	r.tokens.reset(raw)
	r.moved = false
	r.strings, r.names = r.strings[:0], r.names[:0]
	r.standAt("")
	r.problems = nil // given away
	r.found.reset()
}

// standAt says that the value read next is the one at this pointer.
func (r *reader) standAt(base string) { r.base, r.path = base, r.path[:0] }

// step is one step from r.base down to the value being read.
type step struct {
	name  int32 // in r.names; -1 in an array
	index int32 // in an array
}

// name is the name of one member of an object, as it stands in r.raw between the quotes.
type name struct {
	span
	escaped bool
	hidden  bool // breaks a rule and must not be shown
}

// nameText is a name without its escapes.
func (r *reader) nameText(n name) []byte {
	if !n.escaped {
		return n.of(r.raw)
	}
	text, _ := unquote(nil, r.raw[n.from-1:n.to+1])
	return text
}

// pointer is where the reader stands. It stops above a name that is not fit to be shown.
func (r *reader) pointer() string {
	p := []byte(r.base)
	for _, s := range r.path {
		if s.name < 0 {
			p = strconv.AppendInt(append(p, '/'), int64(s.index), 10)
			continue
		}
		n := r.names[s.name]
		text := r.nameText(n)
		if n.hidden || !printable(text) {
			break
		}
		p = append(p, jsontext.Pointer("").AppendToken(string(text))...)
	}
	return string(p)
}

func printable(text []byte) bool {
	for _, c := range string(text) {
		if !unicode.IsPrint(c) {
			return false
		}
	}
	return !hasCard(text)
}

// fault notes a problem with the value being read.
func (r *reader) fault(message string) { r.faultAt(r.pointer(), message) }

func (r *reader) faultAt(location, message string) {
	switch n := len(r.problems); {
	case n < maxProblems:
		r.problems = append(r.problems, errs.Field{Location: location, Message: message})
	case n == maxProblems:
		r.problems = append(r.problems, errs.Field{Message: "there are more problems than are listed here"})
	}
}

// faultOnce notes a problem unless the same place is known to be wrong.
func (r *reader) faultOnce(location, message string) {
	if !r.faulty(location) {
		r.faultAt(location, message)
	}
}

// faulty reports whether a problem at this location is known already.
func (r *reader) faulty(location string) bool {
	for i := range r.problems {
		if r.problems[i].Location == location {
			return true
		}
	}
	return false
}
