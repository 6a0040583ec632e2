package eventjson

import (
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
)

// Elements walks a JSON array and yields each element as it stands in raw, until yield
// returns false. It judges nothing but syntax, so that one bad event does not spoil the
// others: text that is not UTF-8 and duplicate names are left to Decode.
//
// An error is of kind Malformed where the syntax is broken, also behind elements that were
// yielded already, and Invalid where raw is no array.
func (d *Decoder) Elements(raw []byte, yield func(i int, element []byte) bool) error {
	var err error
	d.reading(raw, func(r *reader) { err = r.elements(yield) })
	return err
}

func (r *reader) elements(yield func(i int, element []byte) bool) error {
	const what = "the request"
	if err := r.next(); err != nil {
		return malformed(what, err)
	}
	if r.kind != '[' {
		return r.wrongKind(what, "must be a JSON array")
	}
	for i := 0; ; i++ {
		if kind := r.json.PeekKind(); kind == ']' || kind == jsontext.KindInvalid {
			break
		}
		element, err := r.json.ReadValue() // faster than its tokens
		if err != nil {
			return malformed(what, err)
		}
		if !yield(i, element) {
			return nil
		}
		event.Turn(i)
	}
	if _, err := r.json.ReadToken(); err != nil { // the closing bracket, or what is wrong
		return malformed(what, err)
	}
	r.end = int(r.json.InputOffset())
	if err := r.finish(); err != nil {
		return malformed(what, err)
	}
	return nil
}

// Object checks one properties or metadata object as Decode does, and returns it compacted
// and masked. Locations are relative to the object.
func (d *Decoder) Object(raw []byte) (event.Object, []errs.Field) {
	var (
		object   event.Object
		problems []errs.Field
	)
	d.reading(raw, func(r *reader) {
		if object = r.wholeObject(); object == nil {
			problems = r.problems
		}
	})
	return object, problems
}

func (r *reader) wholeObject() event.Object {
	if len(r.raw) > r.limits.EventBytes {
		r.fault("must have at most " + strconv.Itoa(r.limits.EventBytes) + " bytes")
		return nil
	}
	err := r.next()
	if err == nil && r.kind != '{' {
		r.fault("must be a JSON object")
		return nil
	}
	if err == nil {
		r.keep()
		_, err = r.object(1)
	}
	if err == nil {
		r.kept(0)
		err = r.finish()
	}
	if err != nil {
		r.faultAt("", "is not valid JSON")
	}
	if len(r.problems) > 0 {
		return nil
	}
	return append(event.Object(nil), r.out...)
}
