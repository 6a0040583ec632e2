package eventjson

import (
	"bytes"
	"slices"
	"strconv"
	"unicode/utf8"
)

// mask stands in place of every sensitive value.
const mask = `"[masked]"`

// maxNumber is the longest number text that is kept. Databases compute with numbers, and a
// longer one is no measurement.
const maxNumber = 100

// fewNames is up to how many names of an object are compared each with each.
const fewNames = 16

// value checks the value that the last token began, at the given depth, up to its end. Its
// errors are errors of syntax; broken rules are noted and reading goes on.
func (r *reader) value(depth int) error {
	switch r.kind {
	case '{':
		_, err := r.object(depth)
		return err
	case '[':
		return r.array(depth)
	case '"':
		return r.string()
	case '0':
		r.number()
	}
	return nil
}

// object checks an object and returns how many members it has.
func (r *reader) object(depth int) (members int, err error) {
	if depth > r.limits.Depth {
		return 0, r.tooDeep()
	}
	outer, at := len(r.names), len(r.path)
	r.path = append(r.path, step{})
	for {
		if err := r.next(); err != nil {
			return 0, err
		}
		if r.kind == '}' {
			break
		}
		r.path[at].name = int32(len(r.names))
		n := r.memberName(members)
		members++
		if err := r.next(); err != nil {
			return 0, err
		}
		if r.sensitive.match(r.nameText(n)) {
			err = r.maskValue()
		} else {
			err = r.value(depth + 1)
		}
		if err != nil {
			return 0, err
		}
	}
	r.duplicates(r.names[outer:], at)
	r.names, r.path = r.names[:outer], r.path[:at]
	if depth == 1 && members > r.limits.Keys {
		r.fault("must have at most " + strconv.Itoa(r.limits.Keys) + " names")
	}
	return members, nil
}

// memberName checks the last token as the name of a member and adds it to r.names. What is
// wrong with it is noted at the object: a name not fit to be stored is not fit to be shown.
func (r *reader) memberName(index int) name {
	n := name{span: span{int32(r.start + 1), int32(r.end - 1)}}
	text := n.of(r.raw)
	wrong := ""
	if !plain(text) {
		var whole bool
		n.escaped = bytes.IndexByte(text, '\\') >= 0
		r.unquoted, whole = unquote(r.unquoted[:0], r.text())
		text = r.unquoted
		switch {
		case !whole:
			wrong = badText
		case bytes.IndexByte(text, 0) >= 0:
			wrong = nulText
		}
	}
	if wrong == "" && tooLong(text, r.limits.KeyLength) {
		wrong = "must have at most " + strconv.Itoa(r.limits.KeyLength) + " characters"
	}
	n.hidden = wrong != ""
	r.names = append(r.names, n)
	if n.hidden {
		inside := len(r.path) - 1
		here := r.path[inside]
		r.path = r.path[:inside]
		r.fault("the name of member " + strconv.Itoa(index+1) + " " + wrong)
		r.path = append(r.path, here)
	}
	return n
}

// duplicates notes the names that one object has more than once; r.path[at] steps into it.
func (r *reader) duplicates(names []name, at int) {
	first := len(r.names) - len(names)
	duplicate := func(i int) {
		r.path[at].name = int32(first + i)
		r.fault("is given more than once")
	}
	if len(names) <= fewNames {
		var marks uint64 // of the names so far, so that most need no comparing
		for i, n := range names {
			mark := n.mark(r.raw)
			if marks&mark != 0 && r.oneOf(n, names[:i]) {
				duplicate(i)
			}
			marks |= mark
		}
		return
	}
	slices.SortStableFunc(names, func(a, b name) int { return bytes.Compare(r.nameText(a), r.nameText(b)) })
	for i := 1; i < len(names); i++ {
		if r.sameName(names[i], names[i-1]) {
			duplicate(i)
		}
	}
}

// mark is one bit of 64 that equal names share; a name with escapes may equal any other.
func (n name) mark(raw []byte) uint64 {
	if n.escaped {
		return 1<<64 - 1
	}
	mark := n.to - n.from
	if mark > 0 {
		mark += int32(raw[n.from])*5 + int32(raw[n.to-1])*11
	}
	return 1 << (mark & 63)
}

func (r *reader) oneOf(n name, names []name) bool {
	for _, other := range names {
		if r.sameName(n, other) {
			return true
		}
	}
	return false
}

func (r *reader) sameName(a, b name) bool {
	if a.escaped || b.escaped {
		return bytes.Equal(r.nameText(a), r.nameText(b))
	}
	return a.to-a.from == b.to-b.from && bytes.Equal(a.of(r.raw), b.of(r.raw))
}

func (r *reader) array(depth int) error {
	if depth > r.limits.Depth {
		return r.tooDeep()
	}
	at := len(r.path)
	r.path = append(r.path, step{name: -1})
	for {
		if err := r.next(); err != nil {
			return err
		}
		if r.kind == ']' {
			break
		}
		if err := r.value(depth + 1); err != nil {
			return err
		}
		r.path[at].index++
	}
	r.path = r.path[:at]
	return nil
}

func (r *reader) tooDeep() error {
	r.fault("must not be nested deeper than " + strconv.Itoa(r.limits.Depth) + " levels")
	return r.skip()
}

// string checks a text and masks it if it holds a card number.
func (r *reader) string() error {
	text := r.raw[r.start+1 : r.end-1]
	if !plain(text) {
		var whole bool
		r.unquoted, whole = unquote(r.unquoted[:0], r.text())
		text = r.unquoted
		switch {
		case !whole:
			r.fault(badText)
			return nil
		case bytes.IndexByte(text, 0) >= 0:
			r.fault(nulText)
			return nil
		}
	}
	if tooLong(text, r.limits.StringLength) {
		r.fault("must have at most " + strconv.Itoa(r.limits.StringLength) + " characters")
		return nil
	}
	if hasCard(text) {
		return r.maskValue()
	}
	return nil
}

func (r *reader) number() {
	text := r.text()
	switch {
	case len(text) > maxNumber:
		r.fault("is a number of more than " + strconv.Itoa(maxNumber) + " characters")
	case bytes.IndexByte(text, 'e') < 0 && bytes.IndexByte(text, 'E') < 0: // cannot overflow
	case !fitsFloat(string(text)):
		r.fault("is a number too large or too small to compute with")
	}
}

// tooLong counts characters, but bytes first: a text is never longer in characters.
func tooLong(text []byte, limit int) bool {
	return len(text) > limit && utf8.RuneCount(text) > limit
}
