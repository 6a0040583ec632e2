package eventjson

import (
	"bytes"
	"math"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tidemark-obs/tidemark/internal/event"
)

// slow is the threshold of performance events, in milliseconds.
func (r *reader) slow() float64 {
	if r.slowMS == nil {
		return math.Inf(1)
	}
	return r.slowMS()
}

// formText is the value of a form's field: the text of a string, else the JSON as it stands.
func (r *reader) formText(f field) string {
	value := r.found.forms[f-firstForm].of(r.out)
	if len(value) == 0 || value[0] != '"' {
		return string(value)
	}
	r.unquoted, _ = unquote(r.unquoted[:0], value)
	return string(r.unquoted)
}

// formNumber is the value of a form's field that is known to be a number.
func (r *reader) formNumber(f field) float64 {
	n, _ := strconv.ParseFloat(r.formText(f), 64) // number has refused what overflows
	return n
}

// mergeForm makes one object of a form's own fields and the properties given beside them.
func (r *reader) mergeForm(own set, properties event.Object) event.Object {
	merged := []byte{'{'}
	members := r.found.keys
	for f := firstForm; f < numFields; f++ {
		if !own.has(f) || !r.found.given.has(f) {
			continue
		}
		if len(merged) > 1 {
			merged = append(merged, ',')
		}
		merged = append(append(append(merged, '"'), f.String()...), '"', ':')
		merged = append(merged, r.found.forms[f-firstForm].of(r.out)...)
		members++
	}
	if members > r.limits.Keys {
		r.faultAt(fieldProperties.location(), "must have at most "+strconv.Itoa(r.limits.Keys)+
			" names, together with the event's own")
	}
	if len(properties) <= len("{}") {
		return append(merged, '}')
	}
	r.refuseOverlap(own, properties)
	return append(append(merged, ','), properties[1:]...)
}

// refuseOverlap notes properties that a form's own fields give too.
func (r *reader) refuseOverlap(own set, properties event.Object) {
	d := jsontext.NewDecoder(bytes.NewBuffer(properties))
	if _, err := d.ReadToken(); err != nil {
		return
	}
	for d.PeekKind() == '"' {
		t, err := d.ReadToken()
		if err != nil {
			return
		}
		f, known := fieldOf([]byte(t.String()))
		if known && own.has(f) && r.found.given.has(f) {
			r.faultAt(fieldProperties.location()+f.location(), "is given beside the properties too")
		}
		if d.SkipValue() != nil {
			return
		}
	}
}
