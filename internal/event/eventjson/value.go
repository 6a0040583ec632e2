package eventjson

import (
	"bytes"
	"slices"
	"strconv"
	"unicode"
	"unicode/utf8"
)

// mask stands in place of every sensitive value.
const mask = `"[masked]"`

// maxNumber is the longest number text that is kept. Databases compute with numbers, and a
// longer one is no measurement.
const maxNumber = 100

// name is the name of one member of an object, without escapes.
type name struct {
	text []byte
	step step
}

// value reads one value at the given depth and appends it, compacted and masked, to r.out.
// Its errors are errors of syntax; broken rules are noted and reading goes on.
func (r *reader) value(depth int) error {
	switch r.json.PeekKind() {
	case '{':
		_, err := r.object(depth)
		return err
	case '[':
		return r.array(depth)
	case '"':
		raw, err := r.json.ReadValue()
		if err != nil {
			return err
		}
		r.string(raw)
		return nil
	case '0':
		raw, err := r.json.ReadValue()
		if err != nil {
			return err
		}
		r.number(raw)
		return nil
	default:
		raw, err := r.json.ReadValue()
		r.out = append(r.out, raw...)
		return err
	}
}

// object reads an object and returns how many members it has.
func (r *reader) object(depth int) (members int, err error) {
	if depth > r.limits.Depth {
		return 0, r.tooDeep()
	}
	if _, err := r.json.ReadToken(); err != nil {
		return 0, err
	}
	r.out = append(r.out, '{')
	outer := len(r.names)
	for r.json.PeekKind() == '"' {
		raw, err := r.json.ReadValue()
		if err != nil {
			return 0, err
		}
		if members > 0 {
			r.out = append(r.out, ',')
		}
		r.out = append(append(r.out, raw...), ':')
		if err := r.member(raw, members, depth); err != nil {
			return 0, err
		}
		members++
	}
	if _, err := r.json.ReadToken(); err != nil { // the closing brace, or what is wrong
		return 0, err
	}
	r.out = append(r.out, '}')
	r.duplicates(r.names[outer:])
	r.names = r.names[:outer]
	if depth == 1 && members > r.limits.Keys {
		r.fault("must have at most " + strconv.Itoa(r.limits.Keys) + " names")
	}
	return members, nil
}

// member reads the value of the index-th member of an object, whose name is raw.
func (r *reader) member(raw []byte, index, depth int) error {
	s := r.memberName(raw, index)
	r.names = append(r.names, name{text: s.name, step: s})
	r.path = append(r.path, s)
	var err error
	if r.sensitive.match(s.name) {
		r.out = append(r.out, mask...)
		err = r.json.SkipValue()
	} else {
		err = r.value(depth + 1)
	}
	r.path = r.path[:len(r.path)-1]
	return err
}

// memberName checks the name of a member. Its problems are noted at the object: a name that
// is not fit to be stored is not fit to be shown.
func (r *reader) memberName(raw []byte, index int) step {
	s := step{name: raw[1 : len(raw)-1], safe: true}
	wrong := ""
	if bytes.IndexByte(s.name, '\\') >= 0 {
		var whole bool
		r.unquoted, whole = unquote(r.unquoted[:0], raw)
		s.name = bytes.Clone(r.unquoted)
		if !whole {
			wrong = badText
		}
	}
	switch {
	case wrong != "":
	case !utf8.Valid(s.name):
		wrong = badText
	case bytes.IndexByte(s.name, 0) >= 0:
		wrong = nulText
	case tooLong(s.name, r.limits.KeyLength):
		wrong = "must have at most " + strconv.Itoa(r.limits.KeyLength) + " characters"
	}
	if wrong != "" {
		s.safe = false
		r.fault("the name of member " + strconv.Itoa(index+1) + " " + wrong)
		return s
	}
	s.safe = printable(s.name)
	return s
}

func printable(b []byte) bool {
	for _, c := range string(b) {
		if !unicode.IsPrint(c) {
			return false
		}
	}
	return !hasCard(b)
}

// duplicates notes the names that stand in one object more than once.
func (r *reader) duplicates(names []name) {
	if len(names) <= 16 {
		for i := range names {
			for j := range i {
				if bytes.Equal(names[i].text, names[j].text) {
					r.duplicate(names[i])
					break
				}
			}
		}
		return
	}
	slices.SortStableFunc(names, func(a, b name) int { return bytes.Compare(a.text, b.text) })
	for i := 1; i < len(names); i++ {
		if bytes.Equal(names[i].text, names[i-1].text) {
			r.duplicate(names[i])
		}
	}
}

func (r *reader) duplicate(n name) {
	r.path = append(r.path, n.step)
	r.fault("is given more than once")
	r.path = r.path[:len(r.path)-1]
}

func (r *reader) array(depth int) error {
	if depth > r.limits.Depth {
		return r.tooDeep()
	}
	if _, err := r.json.ReadToken(); err != nil {
		return err
	}
	r.out = append(r.out, '[')
	r.path = append(r.path, step{})
	at := len(r.path) - 1
	for i := 0; ; i++ {
		if kind := r.json.PeekKind(); kind == ']' || kind == 0 {
			break
		}
		if i > 0 {
			r.out = append(r.out, ',')
		}
		r.path[at].index = i
		if err := r.value(depth + 1); err != nil {
			return err
		}
	}
	r.path = r.path[:at]
	r.out = append(r.out, ']')
	_, err := r.json.ReadToken() // the closing bracket, or what is wrong
	return err
}

func (r *reader) tooDeep() error {
	r.fault("must not be nested deeper than " + strconv.Itoa(r.limits.Depth) + " levels")
	return r.json.SkipValue()
}

func (r *reader) string(raw []byte) {
	text := raw[1 : len(raw)-1]
	if bytes.IndexByte(text, '\\') >= 0 {
		var whole bool
		r.unquoted, whole = unquote(r.unquoted[:0], raw)
		text = r.unquoted
		if !whole {
			r.fault(badText)
			return
		}
		if bytes.IndexByte(text, 0) >= 0 {
			r.fault(nulText)
			return
		}
	}
	if !utf8.Valid(text) {
		r.fault(badText)
		return
	}
	if tooLong(text, r.limits.StringLength) {
		r.fault("must have at most " + strconv.Itoa(r.limits.StringLength) + " characters")
		return
	}
	if hasCard(text) {
		r.out = append(r.out, mask...)
		return
	}
	r.out = append(r.out, raw...)
}

func (r *reader) number(raw []byte) {
	if len(raw) > maxNumber {
		r.fault("is a number of more than " + strconv.Itoa(maxNumber) + " characters")
		return
	}
	if bytes.IndexByte(raw, 'e') >= 0 || bytes.IndexByte(raw, 'E') >= 0 {
		if !fitsFloat(string(raw)) {
			r.fault("is a number too large or too small to compute with")
			return
		}
	}
	r.out = append(r.out, raw...)
}
