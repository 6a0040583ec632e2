package eventjson

import (
	"bytes"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
)

// found is what the members of one event's JSON object held.
type found struct {
	seen      set            // given, whatever the value
	given     set            // given and not null
	texts     [numTexts]span // of r.strings
	forms     [numForm]span  // of r.out: the fields of the specialised forms
	tags      []span         // of r.strings
	objects   [2]span        // of r.out: properties and metadata
	keys      int            // in properties
	now       time.Time
	timestamp time.Time
	received  time.Time
	done      time.Time // processed_at
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

// DecodeMoved is Decode for an event that another service kept: it comes in the long form with its
// id, and received_at, processed and processed_at stay what they were there. A time of those that
// lies ahead of now becomes now.
func (d *Decoder) DecodeMoved(raw []byte, e *event.Event) (warnings []errs.Field, err error) {
	d.reading(raw, func(r *reader) {
		r.moved = true
		*e = event.Event{}
		if err = r.event(FormAny, e); err != nil {
			*e = event.Event{ID: r.usableID()}
			return
		}
		e.ReceivedAt = earlier(r.found.received, r.found.now)
		if !r.found.done.IsZero() && e.Processed {
			e.ProcessedAt = earlier(r.found.done, r.found.now)
		}
		warnings = r.found.warnings
	})
	return warnings, err
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func (r *reader) event(form Form, e *event.Event) error {
	const what = "the event"
	if len(r.raw) > r.limits.EventBytes {
		r.findID()
		return errs.New(errs.TooLarge, what+" is larger than "+strconv.Itoa(r.limits.EventBytes)+" bytes")
	}
	if err := r.next(); err != nil {
		return malformed(what, err)
	}
	if r.kind != '{' {
		return r.wrongKind(what, "must be a JSON object")
	}
	if err := r.members(); err != nil {
		return malformed(what, err)
	}
	r.found.now = cut(r.now())
	form = r.resolve(form)
	r.fill(e)
	r.specialise(form, e)
	r.judge(form, e)
	cause := r.future(e)
	if len(r.problems) > 0 {
		return &errs.Error{Kind: errs.Invalid, Detail: what + " is not valid", Fields: r.problems, Err: cause}
	}
	if e.IPAddress != "" && !r.keepFullIP {
		e.IPAddress = event.TruncateIP(e.IPAddress)
	}
	return nil
}

// wrongKind reads on to the end to tell the wrong kind of value from broken syntax.
func (r *reader) wrongKind(what, message string) error {
	err := r.skip()
	if err == nil {
		err = r.finish()
	}
	if err != nil {
		return malformed(what, err)
	}
	return &errs.Error{Kind: errs.Invalid, Detail: what + " " + message, Fields: []errs.Field{{Message: message}}}
}

// members reads the members of the event.
func (r *reader) members() error {
	for {
		if err := r.next(); err != nil {
			return err
		}
		if r.kind == '}' {
			return r.finish()
		}
		f, known := r.knownField()
		if err := r.next(); err != nil {
			return err
		}
		var err error
		if known && r.kind != 'n' { // null is how many clients say absent
			r.found.given |= setOf(f)
			err = r.field(f)
		} else {
			err = r.skip()
		}
		if err != nil {
			return err
		}
	}
}

// knownField tells which field the last token names, and notes those that no event has and
// those that were given before.
func (r *reader) knownField() (field, bool) {
	key := r.raw[r.start+1 : r.end-1]
	if bytes.IndexByte(key, '\\') >= 0 {
		r.unquoted, _ = unquote(r.unquoted[:0], r.text())
		key = r.unquoted
	}
	f, known := fieldOf(key)
	switch {
	case !known && identifier(key):
		r.faultAt("/"+string(key), "is not a field of an event; put it into properties")
		return 0, false
	case !known:
		r.faultAt("", "has a field that is not one of an event; put it into properties")
		return 0, false
	case r.found.seen.has(f):
		r.faultAt(f.location(), "is given more than once")
		return 0, false
	}
	r.found.seen |= setOf(f)
	return f, true
}

// identifier reports whether an unknown name is one that may be shown.
func identifier(key []byte) bool {
	if len(key) == 0 || len(key) > 64 {
		return false
	}
	for i, c := range key {
		if !letter(c) && c != '_' && (i == 0 || c != '-' && c != '.' && !digit(c)) {
			return false
		}
	}
	return true
}

// field reads the value, not null, that the last token began.
func (r *reader) field(f field) error {
	switch f {
	case fieldProperties, fieldMetadata:
		return r.freeObject(f)
	case fieldTags:
		return r.tags()
	case fieldTimestamp:
		var err error
		r.found.timestamp, err = r.time(f)
		return err
	case fieldSampleRate:
		return r.sampleRate()
	case fieldProcessed:
		if r.kind != 't' && r.kind != 'f' {
			r.faultAt(f.location(), "must be true or false")
		}
		r.found.processed = r.kind == 't'
		return r.skip()
	case fieldReceivedAt, fieldProcessedAt:
		if r.moved {
			return r.serviceTime(f)
		}
		r.found.warnings = append(r.found.warnings, errs.Field{
			Location: f.location(), Message: "is set by the service; what was sent is ignored"})
		return r.skip()
	case fieldShortName:
		return r.name(fieldName)
	case fieldName:
		return r.name(fieldShortName)
	}
	if f >= firstForm {
		return r.formField(f)
	}
	at, wrong, err := r.addText()
	if wrong != "" {
		r.faultAt(f.location(), wrong)
	}
	r.found.texts[f] = at
	return err
}

// name reads the event's name, unless it was given in its other form.
func (r *reader) name(other field) error {
	location := fieldName.location()
	if other == fieldName {
		location = fieldShortName.location()
	}
	if r.found.given.has(other) {
		r.faultAt(location, "stands beside "+other.String()+"; give one of them")
		return r.skip()
	}
	at, wrong, err := r.addText()
	if wrong != "" {
		r.faultAt(location, wrong)
	}
	r.found.texts[fieldName] = at
	return err
}

// addText reads a string into r.strings and says what is wrong with its kind or its escapes;
// the rest is left to Validate.
func (r *reader) addText() (at span, wrong string, err error) {
	if r.kind != '"' {
		return span{}, "must be a string", r.skip()
	}
	at.from = int32(len(r.strings))
	if body := r.raw[r.start+1 : r.end-1]; bytes.IndexByte(body, '\\') < 0 {
		r.strings = append(r.strings, body...)
	} else {
		var whole bool
		if r.strings, whole = unquote(r.strings, r.text()); !whole {
			wrong = badText
		}
	}
	at.to = int32(len(r.strings))
	return at, wrong, nil
}

func (r *reader) freeObject(f field) error {
	if r.kind != '{' {
		r.faultAt(f.location(), "must be an object")
		return r.skip()
	}
	r.standAt(f.location())
	from := len(r.out)
	r.keep()
	members, err := r.object(1)
	r.found.objects[f-fieldProperties] = r.kept(from)
	if f == fieldProperties {
		r.found.keys = members
	}
	return err
}

func (r *reader) tags() error {
	if r.kind != '[' {
		r.faultAt(fieldTags.location(), "must be an array of strings")
		return r.skip()
	}
	for i := 0; ; i++ {
		if err := r.next(); err != nil {
			return err
		}
		if r.kind == ']' {
			return nil
		}
		if i > r.limits.Tags { // enough to be too many
			if err := r.skip(); err != nil {
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
}

func (r *reader) serviceTime(f field) (err error) {
	to := &r.found.received
	if f == fieldProcessedAt {
		to = &r.found.done
	}
	*to, err = r.time(f)
	if to.Unix() < 0 { // what lies ahead of now becomes now
		r.faultOnce(f.location(), "must not lie before 1970")
	}
	return err
}

func (r *reader) time(f field) (t time.Time, err error) {
	ok := r.kind == '"'
	if ok {
		text := r.raw[r.start+1 : r.end-1]
		if bytes.IndexByte(text, '\\') >= 0 {
			r.unquoted, _ = unquote(r.unquoted[:0], r.text())
			text = r.unquoted
		}
		t, ok = parseTime(text)
	}
	if !ok {
		r.faultAt(f.location(), "must be an RFC 3339 time such as 2026-03-01T12:00:00Z")
	}
	return t, r.skip()
}

func (r *reader) sampleRate() error {
	if r.kind != '0' {
		r.faultAt(fieldSampleRate.location(), "must be a number")
		return r.skip()
	}
	r.found.rate, _ = strconv.ParseFloat(string(r.text()), 64) // Validate judges what is out of range
	return nil
}

// fill makes the event of what was found, and of the defaults.
func (r *reader) fill(e *event.Event) {
	all := string(r.strings)
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
	now := r.found.now
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
	problems, warnings := e.Validate(r.limits, r.found.now)
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

// future refuses or corrects a timestamp that lies too far ahead, and returns the cause where that
// is all that is wrong. Other faults speak for themselves.
func (r *reader) future(e *event.Event) error {
	if !r.limits.InFuture(e.Timestamp, r.found.now) {
		return nil
	}
	if r.limits.RefuseFuture {
		alone := len(r.problems) == 0
		r.faultOnce(fieldTimestamp.location(), "lies further in the future than "+r.limits.FutureSkew.String())
		if alone {
			return event.ErrFuture
		}
		return nil
	}
	if len(r.problems) > 0 {
		return nil
	}
	e.Timestamp = r.found.now
	r.found.warnings = append(r.found.warnings, errs.Field{
		Location: fieldTimestamp.location(), Message: "lay too far in the future; the event counts as of now"})
	if r.clamped != nil {
		r.clamped()
	}
	return nil
}

// findID reads on until it finds the event's id, and nothing else.
func (r *reader) findID() {
	if r.next() != nil || r.kind != '{' {
		return
	}
	for r.next() == nil && r.kind == '"' {
		is := string(r.text()) == `"event_id"`
		if r.next() != nil {
			return
		}
		if !is {
			if r.skip() != nil {
				return
			}
			continue
		}
		if at, wrong, err := r.addText(); wrong == "" && err == nil {
			r.found.texts[fieldID] = at
		}
		return
	}
}

// usableID is the id of a refused event, if it could be an id at all.
func (r *reader) usableID() string {
	id := r.found.texts[fieldID].of(r.strings)
	if !utf8.Valid(id) || bytes.IndexByte(id, 0) >= 0 || tooLong(id, r.limits.IDLength) || r.faulty(fieldID.location()) {
		return ""
	}
	return string(id)
}
