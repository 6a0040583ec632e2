package eventjson

import (
	"slices"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tidemark-obs/tidemark/internal/event"
)

// Form is a specialised short form of an event. Beside its own fields it may have those of
// every event, except the name and, where the form decides it, another type. Its own fields
// become properties, as they were sent; properties given beside them are added.
type Form uint8

// The forms.
const (
	FormAny         Form = iota // recognised by its fields
	FormPerformance             // operation, duration_ms, …
	FormInteraction             // interaction_type, …
	FormAPICall                 // method, path, status_code, …
	FormPageView                // path
	numForms
)

// formRules says what each form is made of.
var formRules = [numForms]struct {
	what     string
	fields   set
	required []field
	types    []event.Type // an event_type given beside it must be one of these
	named    field        // what is wrong with the event's name is wrong with this
}{
	FormAny: {what: "an event", named: fieldName},
	FormPerformance: {
		what: "a performance event",
		fields: setOf(fieldOperation, fieldDurationMS, fieldMemoryUsageMB, fieldCPUPercent,
			fieldSuccess, fieldErrorMessage),
		required: []field{fieldOperation, fieldDurationMS},
		types:    []event.Type{event.OperationTiming},
		named:    fieldOperation,
	},
	FormInteraction: {
		what:     "an interaction",
		fields:   setOf(fieldInteractionType, fieldElement, fieldPagePath, fieldCoordinates),
		required: []field{fieldInteractionType},
		types:    []event.Type{event.UserInteraction},
		named:    fieldInteractionType,
	},
	FormAPICall: {
		what:     "an API request",
		fields:   setOf(fieldMethod, fieldPath, fieldStatusCode, fieldDurationMS),
		required: []field{fieldMethod, fieldPath, fieldStatusCode},
		types:    []event.Type{event.APIRequest, event.APIError},
		named:    fieldMethod,
	},
	FormPageView: {
		what:     "a page view",
		fields:   setOf(fieldPath),
		required: []field{fieldPath},
		types:    []event.Type{event.PageView},
		named:    fieldPath,
	},
}

// resolve finds out which form was sent and notes the fields that do not belong to it.
func (r *reader) resolve(form Form) Form {
	given := r.found.given
	named := given.has(fieldName) || given.has(fieldShortName)
	switch {
	case form != FormAny:
		if named {
			r.faultAt(r.nameLocation(FormAny), "does not belong to "+formRules[form].what)
		}
	case named:
	case given.has(fieldOperation):
		form = FormPerformance
	case given.has(fieldInteractionType):
		form = FormInteraction
	case given.has(fieldMethod), given.has(fieldStatusCode):
		form = FormAPICall
	case given.has(fieldPath) && string(r.found.texts[fieldType].of(r.strings)) == string(event.PageView):
		form = FormPageView
	}
	for f := firstForm; f < numFields; f++ {
		if given.has(f) && !formRules[form].fields.has(f) {
			r.faultAt(f.location(), "is not a field of "+formRules[form].what+"; put it into properties")
		}
	}
	return form
}

// nameLocation is the field that what is wrong with the event's name is to be blamed on.
func (r *reader) nameLocation(form Form) string {
	if form == FormAny && r.found.given.has(fieldShortName) {
		return fieldShortName.location()
	}
	return formRules[form].named.location()
}

// formField reads one field of a specialised form, under the rules for properties.
func (r *reader) formField(f field) error {
	r.standAt(f.location())
	kind, from := r.kind, len(r.out)
	r.keep()
	if err := r.value(1); err != nil {
		return err
	}
	at := r.kept(from)
	r.found.forms[f-firstForm] = at
	if message := formFault(f, kind, at.of(r.out)); message != "" {
		r.faultOnce(f.location(), message)
	}
	return nil
}

// formFault says what is wrong with the value of a specialised form's field.
func formFault(f field, kind jsontext.Kind, value []byte) string {
	switch f {
	case fieldDurationMS, fieldMemoryUsageMB, fieldCPUPercent:
		if kind != '0' || len(value) > 0 && value[0] == '-' {
			return "must be a number, not below 0"
		}
	case fieldStatusCode:
		if status, err := strconv.Atoi(string(value)); kind != '0' || err != nil || status < 100 || status > 599 {
			return "must be an HTTP status, 100 to 599"
		}
	case fieldSuccess:
		if kind != 't' && kind != 'f' {
			return "must be true or false"
		}
	case fieldCoordinates:
		if kind != '{' {
			return "must be an object"
		}
	default:
		if kind != '"' {
			return "must be a string"
		}
	}
	return ""
}

// specialise turns a specialised form into an event.
func (r *reader) specialise(form Form, e *event.Event) {
	rules := &formRules[form]
	if form == FormAny {
		return
	}
	for _, f := range rules.required {
		if len(r.formText(f)) == 0 {
			r.faultOnce(f.location(), "is required")
		}
	}
	if r.found.given.has(fieldType) && !slices.Contains(rules.types, e.Type) {
		r.faultAt(fieldType.location(), "does not fit "+rules.what)
	}
	if len(r.problems) > 0 {
		return
	}
	special := r.special(form)
	e.Name = special.Name
	if !r.found.given.has(fieldType) {
		e.Type = special.Type
	}
	if !r.found.given.has(fieldSeverity) {
		e.Severity = special.Severity
	}
	e.Properties = r.mergeForm(rules.fields, e.Properties)
}

// special lets the domain decide the name, type and severity. Its properties are not used:
// those that were sent are kept as they were written.
func (r *reader) special(form Form) event.Event {
	switch form {
	case FormPerformance:
		p := event.Performance{Operation: r.formText(fieldOperation), DurationMS: r.formNumber(fieldDurationMS)}
		return p.Event(r.slow())
	case FormInteraction:
		i := event.Interaction{InteractionType: r.formText(fieldInteractionType)}
		return i.Event()
	case FormAPICall:
		a := event.APICall{Method: r.formText(fieldMethod), Path: r.formText(fieldPath),
			StatusCode: int(r.formNumber(fieldStatusCode))}
		return a.Event(r.limits.NameLength)
	default:
		p := event.PageViewed{Path: r.formText(fieldPath)}
		return p.Event()
	}
}
