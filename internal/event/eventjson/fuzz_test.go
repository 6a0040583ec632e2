package eventjson

import (
	"bytes"
	"encoding/json"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
)

var seeds = []string{
	`{"event":"e"}`, `{"event_id":"i","event_name":"n","properties":{"a":[1,{"b":"\u00e9"}],"password":"p"},"metadata":{"n":1e5},"tags":["t"]}`,
	`{"operation":"o","duration_ms":1,"properties":{"x":1}}`, `{"interaction_type":"click","coordinates":{"x":1}}`,
	`{"method":"GET","path":"/p","status_code":500}`, `{"event_type":"page_view","path":"/p"}`,
	`{"event":"e","properties":{"card":"4111 1111 1111 1111","a":1,"a":2}}`, "{\"event\":\"\xff\\ud800\\u0000\"}",
	`{"event":"e","timestamp":"2026-03-01T12:00:00.5+01:00","ip_address":"::ffff:203.0.113.9","sample_rate":0.5,"processed":true}`,
	`[{"event":"a"} , {"event":"b"}]`, `[[[[[[]]]]]]`, `[1,]`, "", "{", `"`, ` { "event" : "e" , "properties" : { "k" : [ 1 , null ] } } `,
}

// FuzzDecode holds Decode to its promises on any input: it does not panic, says why it
// refuses, and what it accepts is valid, survives the journal, and has the properties that
// encoding/json sees, apart from masks.
func FuzzDecode(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	d := testDecoder()
	f.Fuzz(func(t *testing.T, raw []byte) {
		before := bytes.Clone(raw)
		var e event.Event
		warnings, err := d.Decode(raw, &e)
		if !bytes.Equal(raw, before) {
			t.Fatal("the input was changed")
		}
		if err != nil {
			checkRefusal(t, raw, &e, warnings, err)
			return
		}
		if problems, _ := e.Validate(event.DefaultLimits(), testNow); len(problems) > 0 {
			t.Fatalf("an event with problems was accepted: %v", problems)
		}
		var back event.Event
		line := Append(nil, &e)
		if err := Parse(line, &back); err != nil || !reflect.DeepEqual(e, back) {
			t.Fatalf("%v: does not survive the journal\n%+v\n%+v", err, e, back)
		}
		var top map[string]json.RawMessage
		if err := json.Unmarshal(raw, &top); err != nil {
			t.Fatalf("encoding/json refuses what was accepted: %v", err)
		}
		if !hasForm(top) {
			sameButMasks(t, top["properties"], e.Properties)
		}
		sameButMasks(t, top["metadata"], e.Metadata)
	})
}

func checkRefusal(t *testing.T, raw []byte, e *event.Event, warnings []errs.Field, err error) {
	kind := errs.KindOf(err)
	if warnings != nil || !reflect.DeepEqual(*e, event.Event{ID: e.ID}) {
		t.Fatalf("a refused event left %v %+v", warnings, e)
	}
	if valid := json.Valid(raw); valid && kind == errs.Malformed || !valid && kind == errs.Invalid {
		t.Fatalf("kind %v, but encoding/json says valid = %v", kind, valid)
	}
	if kind == errs.Invalid == (len(fieldsOf(err)) == 0) || !slices.Contains([]errs.Kind{errs.Invalid, errs.Malformed, errs.TooLarge}, kind) {
		t.Fatalf("kind %v with %v", kind, fieldsOf(err))
	}
}

// hasForm reports whether the event is in a specialised form, whose fields become properties.
func hasForm(top map[string]json.RawMessage) bool {
	for f := firstForm; f < numFields; f++ {
		if v, ok := top[f.String()]; ok && string(v) != "null" {
			return true
		}
	}
	return false
}

// sameButMasks compares what was sent with what is kept as encoding/json sees them.
func sameButMasks(t *testing.T, sent, kept []byte) {
	if len(sent) == 0 || string(bytes.TrimSpace(sent)) == "null" {
		if kept != nil {
			t.Fatalf("kept %s of nothing", kept)
		}
		return
	}
	if compact := new(bytes.Buffer); json.Compact(compact, kept) != nil || compact.String() != string(kept) {
		t.Fatalf("not compact: %s", kept)
	}
	if !equalButMasks(number(t, sent), number(t, kept)) {
		t.Fatalf("sent %s\nkept %s", sent, kept)
	}
	if !bytes.Contains(kept, []byte(mask)) { // then even the text is the same
		compact := new(bytes.Buffer)
		if json.Compact(compact, sent) != nil || compact.String() != string(kept) {
			t.Fatalf("sent %s\nkept %s", compact, kept)
		}
	}
}

func number(t *testing.T, raw []byte) (v any) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v: %s", err, raw)
	}
	if _, err := d.Token(); err != io.EOF {
		t.Fatalf("more than one value: %s", raw)
	}
	return v
}

func equalButMasks(sent, kept any) bool {
	if kept == "[masked]" {
		return true
	}
	switch sent := sent.(type) {
	case map[string]any:
		kept, ok := kept.(map[string]any)
		if !ok || len(kept) != len(sent) {
			return false
		}
		for k, v := range sent {
			if other, ok := kept[k]; !ok || !equalButMasks(v, other) {
				return false
			}
		}
		return true
	case []any:
		kept, ok := kept.([]any)
		return ok && slices.EqualFunc(sent, kept, equalButMasks)
	default:
		return sent == kept
	}
}

// FuzzElements holds the walk over a batch to encoding/json's view of the same bytes.
func FuzzElements(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s))
		f.Add([]byte("[" + s + "]"))
	}
	d := testDecoder()
	f.Fuzz(func(t *testing.T, raw []byte) {
		var got []string
		err := d.Elements(raw, func(i int, element []byte) bool {
			if i != len(got) {
				t.Fatalf("element %d is number %d", len(got), i)
			}
			got = append(got, string(element))
			return true
		})
		if valid := json.Valid(raw); valid == errs.Is(err, errs.Malformed) {
			t.Fatalf("%v, but encoding/json says valid = %v", err, valid)
		}
		if err != nil {
			return
		}
		var want []json.RawMessage
		if err := json.Unmarshal(raw, &want); err != nil {
			t.Fatal(err)
		}
		if !slices.EqualFunc(got, want, func(g string, w json.RawMessage) bool { return g == strings.Trim(string(w), " \t\r\n") }) {
			t.Fatalf("got %q, want %q", got, want)
		}
	})
}

// FuzzParse reads any bytes as a journal line: no panic, and what is read once is read the
// same again.
func FuzzParse(f *testing.F) {
	full := fullEvent()
	f.Add(Append(nil, &full))
	f.Add(Append(nil, &event.Event{}))
	f.Add(AppendRejection(nil, "e-1", event.ReasonInvalid))
	f.Add([]byte(`{"event_id":"\u00e9\ud800","event_name":"","sample_rate":1,"processed":false}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		ParseRejection(line)
		var e event.Event
		if Parse(line, &e) != nil {
			if !reflect.DeepEqual(e, event.Event{}) {
				t.Fatalf("an unreadable line left %+v", e)
			}
			return
		}
		if e.SampleRate != e.SampleRate || !json.Valid(line) || !utf8.Valid(line) {
			return // trusted contents that Append cannot have written
		}
		var again event.Event
		if err := Parse(Append(nil, &e), &again); err != nil || !reflect.DeepEqual(e, again) {
			t.Fatalf("%v\n%+v\n%+v", err, e, again)
		}
	})
}
