package eventjson

import (
	"bytes"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
)

// found is what the members of one event's JSON object held.
type found struct {
	seen      set             // given, whatever the value
	given     set             // given and not null
	texts     [numTexts]span  // of r.text
	forms     [numFields]span // of r.out; only those of the specialised forms
	tags      []span          // of r.text
	objects   [2]span         // of r.out: properties and metadata
	keys      int             // in properties
	timestamp time.Time
	rate      float64
	processed bool
	warnings  []errs.Field
}

func (f *found) reset() { *f = found{tags: f.tags[:0], rate: 1} }

// Decode reads one event: one JSON object in the long form (event_name), the short form
// (event) or one of the specialised short forms, and fills in the defaults: type custom,
// severity low, sample_rate 1, timestamp now. ID stays empty where the client gave none;
// ReceivedAt is the pipeline's to set. Nothing in e refers to raw.
//
// Errors are *errs.Error of kind Invalid with the locations of all problems, Malformed or
// TooLarge. Then e holds nothing but the ID, if a usable one could be read, so that a
// receipt can be given. Warnings do not hinder the event.
func (d *Decoder) Decode(raw []byte, e *event.Event) (warnings []errs.Field, err error) {
	return d.DecodeAs(FormAny, raw, e)
}

// DecodeAs is Decode for a door that knows which specialised form it takes in.
func (d *Decoder) DecodeAs(form Form, raw []byte, e *event.Event) (warnings []errs.Field, err error) {
	d.reading(raw, func(r *reader) {
		*e = event.Event{}
		if err = r.event(form, e); err != nil {
			*e = event.Event{ID: r.usableID()}
			return
		}
		warnings = r.found.warnings
	})
	return warnings, err
}

func (r *reader) event(form Form, e *event.Event) error {
	size := r.source.Len()
	if size > r.limits.EventBytes {
		r.findID()
		return errs.New(errs.TooLarge, "the event is larger than "+strconv.Itoa(r.limits.EventBytes)+" bytes")
	}
	if k := r.json.PeekKind(); k != '{' && k != jsontext.KindInvalid {
		return r.wrongKind("the event", "must be a JSON object")
	}
	if err := r.members(); err != nil {
		return malformed("the event", err)
	}
	form = r.resolve(form)
	r.fill(e)
	r.specialise(form, e)
	r.judge(form, e)
	if len(r.problems) > 0 {
		return &errs.Error{Kind: errs.Invalid, Detail: "the event is not valid", Fields: r.problems}
	}
	if e.IPAddress != "" && !r.keepFullIP {
		e.IPAddress = event.TruncateIP(e.IPAddress)
	}
	return nil
}

// wrongKind reads on to the end to tell the wrong kind of value from broken syntax.
func (r *reader) wrongKind(what, message string) error {
	err := r.json.SkipValue()
	if err == nil {
		err = r.end()
	}
	if err != nil {
		return malformed(what, err)
	}
	return &errs.Error{Kind: errs.Invalid, Detail: what + " " + message, Fields: []errs.Field{{Message: message}}}
}

// members reads the whole object.
func (r *reader) members() error {
	if _, err := r.json.ReadToken(); err != nil {
		return err
	}
	for r.json.PeekKind() == '"' {
		raw, err := r.json.ReadValue()
		if err != nil {
			return err
		}
		if err := r.topLevel(raw); err != nil {
			return err
		}
	}
	if _, err := r.json.ReadToken(); err != nil { // the closing brace, or what is wrong
		return err
	}
	return r.end()
}

// topLevel reads the value of the member named raw.
func (r *reader) topLevel(raw []byte) error {
	key := raw[1 : len(raw)-1]
	if bytes.IndexByte(key, '\\') >= 0 {
		r.unquoted, _ = unquote(r.unquoted[:0], raw)
		key = r.unquoted
	}
	f, known := fieldOf(key)
	switch {
	case !known && identifier(key):
		r.faultAt("/"+string(key), "is not a field of an event; put it into properties")
		return r.json.SkipValue()
	case !known:
		r.faultAt("", "has a field that is not one of an event; put it into properties")
		return r.json.SkipValue()
	case r.found.seen.has(f):
		r.faultAt(f.location(), "is given more than once")
		return r.json.SkipValue()
	}
	r.found.seen |= setOf(f)
	if r.json.PeekKind() == 'n' { // null is how many clients say absent
		return r.json.SkipValue()
	}
	r.found.given |= setOf(f)
	return r.field(f)
}

// identifier reports whether an unknown name is one that may be shown.
func identifier(key []byte) bool {
	if len(key) == 0 || len(key) > 64 {
		return false
	}
	for i, c := range key {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z' || c == '_'
		if !letter && (i == 0 || c != '-' && c != '.' && (c < '0' || c > '9')) {
			return false
		}
	}
	return true
}

// field reads the value, not null, of a known field.
func (r *reader) field(f field) error {
	switch f {
	case fieldProperties, fieldMetadata:
		return r.freeObject(f)
	case fieldTags:
		return r.tags()
	case fieldTimestamp:
		return r.timestamp()
	case fieldSampleRate:
		return r.sampleRate()
	case fieldProcessed:
		return r.processed()
	case fieldReceivedAt, fieldProcessedAt:
		r.found.warnings = append(r.found.warnings, errs.Field{
			Location: f.location(), Message: "is set by the service; what was sent is ignored"})
		return r.json.SkipValue()
	case fieldShortName:
		f = fieldName
		if r.found.given.has(fieldName) {
			r.faultAt("/event", "stands beside event_name; give one of them")
			return r.json.SkipValue()
		}
	case fieldName:
		if r.found.given.has(fieldShortName) {
			r.faultAt("/event_name", "stands beside event; give one of them")
			return r.json.SkipValue()
		}
	}
	if f >= firstForm {
		return r.formField(f)
	}
	at, wrong, err := r.addText()
	if wrong != "" {
		location := f.location()
		if f == fieldName {
			location = r.nameLocation(FormAny)
		}
		r.faultAt(location, wrong)
	}
	r.found.texts[f] = at
	return err
}

// addText reads a string into r.text and says what is wrong with its kind or its escapes;
// the rest is left to Validate.
func (r *reader) addText() (at span, wrong string, err error) {
	if r.json.PeekKind() != '"' {
		return span{}, "must be a string", r.json.SkipValue()
	}
	raw, err := r.json.ReadValue()
	if err != nil {
		return span{}, "", err
	}
	at.from = len(r.text)
	if body := raw[1 : len(raw)-1]; bytes.IndexByte(body, '\\') < 0 {
		r.text = append(r.text, body...)
	} else {
		var whole bool
		if r.text, whole = unquote(r.text, raw); !whole {
			wrong = badText
		}
	}
	at.to = len(r.text)
	return at, wrong, nil
}

func (r *reader) freeObject(f field) error {
	if r.json.PeekKind() != '{' {
		r.faultAt(f.location(), "must be an object")
		return r.json.SkipValue()
	}
	from := len(r.out)
	r.standAt(f.location())
	members, err := r.object(1)
	r.found.objects[f-fieldProperties] = span{from, len(r.out)}
	if f == fieldProperties {
		r.found.keys = members
	}
	return err
}

func (r *reader) tags() error {
	if r.json.PeekKind() != '[' {
		r.faultAt("/tags", "must be an array of strings")
		return r.json.SkipValue()
	}
	if _, err := r.json.ReadToken(); err != nil {
		return err
	}
	for i := 0; ; i++ {
		if kind := r.json.PeekKind(); kind == ']' || kind == jsontext.KindInvalid {
			break
		}
		if i > r.limits.Tags { // enough to be too many
			if err := r.json.SkipValue(); err != nil {
				return err
			}
			continue
		}
		at, wrong, err := r.addText()
		if err != nil {
			return err
		}
		if wrong != "" {
			r.faultAt(fieldTags.location()+"/"+strconv.Itoa(i), wrong)
		}
		r.found.tags = append(r.found.tags, at)
	}
	_, err := r.json.ReadToken()
	return err
}

func (r *reader) timestamp() error {
	const message = "must be an RFC 3339 time such as 2026-03-01T12:00:00Z"
	if r.json.PeekKind() != '"' {
		r.faultAt("/timestamp", message)
		return r.json.SkipValue()
	}
	raw, err := r.json.ReadValue()
	if err != nil {
		return err
	}
	r.unquoted, _ = unquote(r.unquoted[:0], raw)
	t, ok := parseTime(r.unquoted)
	if !ok {
		r.faultAt("/timestamp", message)
	}
	r.found.timestamp = t
	return nil
}

func (r *reader) sampleRate() error {
	if r.json.PeekKind() != '0' {
		r.faultAt("/sample_rate", "must be a number")
		return r.json.SkipValue()
	}
	raw, err := r.json.ReadValue()
	if err == nil {
		r.found.rate, _ = strconv.ParseFloat(string(raw), 64) // out of range is judged by Validate
	}
	return err
}

func (r *reader) processed() error {
	kind := r.json.PeekKind()
	if kind != 't' && kind != 'f' {
		r.faultAt("/processed", "must be true or false")
	}
	r.found.processed = kind == 't'
	return r.json.SkipValue()
}

// fill makes the event of what was found, and of the defaults.
func (r *reader) fill(e *event.Event) {
	all := string(r.text)
	for i, to := range texts(e) {
		at := r.found.texts[i]
		*to = all[at.from:at.to]
	}
	if len(r.found.tags) > 0 {
		e.Tags = make([]string, len(r.found.tags))
		for i, at := range r.found.tags {
			e.Tags[i] = all[at.from:at.to]
		}
	}
	if e.Type == "" {
		e.Type = event.Custom
	}
	if e.Severity == "" {
		e.Severity = event.Low
	}
	e.SampleRate = r.found.rate
	now := r.now().UTC().Truncate(time.Microsecond)
	e.Timestamp = r.found.timestamp
	if !r.found.given.has(fieldTimestamp) {
		e.Timestamp = now
	}
	if e.Processed = r.found.processed; e.Processed {
		e.ProcessedAt = now
	}
	r.keepObjects(e)
}

// keepObjects copies properties and metadata out of the scratch space, in one allocation.
func (r *reader) keepObjects(e *event.Event) {
	properties, metadata := r.found.objects[0].of(r.out), r.found.objects[1].of(r.out)
	if len(properties)+len(metadata) == 0 {
		return
	}
	kept := make([]byte, 0, len(properties)+len(metadata))
	kept = append(append(kept, properties...), metadata...)
	if n := len(properties); n > 0 {
		e.Properties = kept[:n:n]
	}
	if n := len(properties); len(metadata) > 0 {
		e.Metadata = kept[n:]
	}
}

// judge adds what the event's own rules find, unless the same place is known to be wrong.
func (r *reader) judge(form Form, e *event.Event) {
	if r.found.given.has(fieldID) && e.ID == "" {
		r.faultOnce(fieldID.location(), "must have at least 1 character; leave it out to get a new id")
	}
	unnamed := form != FormAny && len(r.problems) > 0 // what hinders the name is known already
	problems, warnings := e.Validate(r.limits, r.now())
	for _, p := range problems {
		if p.Location == fieldName.location() {
			if unnamed {
				continue
			}
			p.Location = r.nameLocation(form)
		}
		r.faultOnce(p.Location, p.Message)
	}
	for _, w := range warnings {
		r.found.warnings = append(r.found.warnings, errs.Field(w))
	}
}

func (r *reader) faultOnce(location, message string) {
	if !r.faulty(location) {
		r.faultAt(location, message)
	}
}

// findID reads on until it finds the event's id, and nothing else.
func (r *reader) findID() {
	if _, err := r.json.ReadToken(); err != nil {
		return
	}
	for r.json.PeekKind() == '"' {
		raw, err := r.json.ReadValue()
		if err != nil {
			return
		}
		if string(raw) == `"event_id"` {
			if at, wrong, err := r.addText(); wrong == "" && err == nil {
				r.found.texts[fieldID] = at
			}
			return
		}
		if r.json.SkipValue() != nil {
			return
		}
	}
}

// usableID is the id of a refused event, if it could be an id at all.
func (r *reader) usableID() string {
	id := r.found.texts[fieldID].of(r.text)
	if !utf8.Valid(id) || bytes.IndexByte(id, 0) >= 0 || tooLong(id, r.limits.IDLength) || r.faulty(fieldID.location()) {
		return ""
	}
	return string(id)
}
