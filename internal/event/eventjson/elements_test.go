package eventjson

import (
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
)

func TestElements(t *testing.T) {
	for raw, want := range map[string][]string{
		`[]`:        nil,
		` [ ] `:     nil,
		`[{"a":1}]`: {`{"a":1}`},
		` [ {"a": 1} , [2,3],null, "x" ,4 ]` + "\n":       {`{"a": 1}`, `[2,3]`, `null`, `"x"`, `4`},
		`[{"a":1,"a":2},"` + "\xff" + `","\ud800",1e999]`: {`{"a":1,"a":2}`, "\"\xff\"", `"\ud800"`, `1e999`},
		`[` + nested(500, "[", "]") + `,1]`:               {nested(500, "[", "]"), `1`},
	} {
		var got []string
		err := testDecoder().Elements([]byte(raw), func(i int, element []byte) bool {
			if i != len(got) {
				t.Errorf("%s: element %d is number %d", raw, len(got), i)
			}
			got = append(got, string(element))
			return true
		})
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%.80s: %q %v, want %q", raw, got, err, want)
		}
	}
}

func TestElementsRefusesWhatIsNoArray(t *testing.T) {
	for raw, want := range map[string]errs.Kind{
		`{"events":[]}`: errs.Invalid, `null`: errs.Invalid, `"[]"`: errs.Invalid, `5`: errs.Invalid,
		``: errs.Malformed, ` `: errs.Malformed, `[`: errs.Malformed, `]`: errs.Malformed, `[1`: errs.Malformed, `[1,]`: errs.Malformed,
		`[1 2]`: errs.Malformed, `[1]]`: errs.Malformed, `[1] [2]`: errs.Malformed, `[{]`: errs.Malformed, `[{"a"}]`: errs.Malformed,
		`[{"a":1},{"b":}]`: errs.Malformed, `{`: errs.Malformed, `{"a":1`: errs.Malformed, `5 5`: errs.Malformed, "\xef\xbb\xbf[]": errs.Malformed,
		`[NaN]`: errs.Malformed, `["` + "\n" + `"]`: errs.Malformed, `[,]`: errs.Malformed, `[1,,2]`: errs.Malformed, `[:1]`: errs.Malformed,
	} {
		err := testDecoder().Elements([]byte(raw), func(int, []byte) bool { return true })
		if err == nil || errs.KindOf(err) != want {
			t.Errorf("%q: error %v of kind %v, want kind %v", raw, err, errs.KindOf(err), want)
		}
	}
}

func TestElementsStopsWhenToldTo(t *testing.T) {
	n := 0
	err := testDecoder().Elements([]byte(`[1,2,3,broken`), func(int, []byte) bool { n++; return n < 2 })
	if n != 2 || err != nil {
		t.Errorf("%d elements, %v", n, err)
	}
}

// TestDeepNestingIsRefusedCheaply is the attack with 100,000 brackets: it must cost neither
// the stack, nor memory, nor time.
func TestDeepNestingIsRefusedCheaply(t *testing.T) {
	const levels = 100_000
	d := testDecoder(func(o *Options) { o.Limits.EventBytes = 1 << 20 })
	for name, raw := range map[string]string{
		"open arrays":    strings.Repeat("[", levels),
		"shut arrays":    nested(levels, "[", "]"),
		"open objects":   "[" + strings.Repeat(`{"a":`, levels),
		"in an event":    `{"event":"e","properties":{"a":` + nested(levels, "[", "]") + `}}`,
		"under a mask":   `{"event":"e","properties":{"password":` + nested(levels, "[", "]") + `}}`,
		"unknown field":  `{"event":"e","x":` + nested(levels, "[", "]") + `}`,
		"instead of tag": `{"event":"e","tags":` + nested(levels, "[", "]") + `}`,
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := time.Now()
			var e event.Event
			kinds := map[errs.Kind]bool{errs.Malformed: true, errs.Invalid: true}
			if err := d.Elements([]byte(raw), func(int, []byte) bool { return true }); !kinds[errs.KindOf(err)] {
				t.Errorf("Elements: %v", err)
			}
			if _, err := d.Decode([]byte(raw), &e); !kinds[errs.KindOf(err)] {
				t.Errorf("Decode: %v", err)
			}
			if o, problems := d.Object([]byte(raw)); o != nil || len(problems) == 0 {
				t.Errorf("Object: %s %v", o, problems)
			}
			runtime.ReadMemStats(&after)
			grown := int64(after.TotalAlloc-before.TotalAlloc) + int64(after.StackSys) - int64(before.StackSys)
			if grown > 32<<20 {
				t.Errorf("%d MiB", grown>>20)
			}
			if took := time.Since(start); took > 20*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

func TestObject(t *testing.T) {
	for raw, want := range map[string]string{
		`{}`: `{}`, ` { "a" : [ 1 , 2 ] } `: `{"a":[1,2]}`, `{"a":1.50,"b":"\u00e9"}`: `{"a":1.50,"b":"\u00e9"}`,
	} {
		got, problems := testDecoder().Object([]byte(raw))
		if string(got) != want || problems != nil {
			t.Errorf("%s: %s %v", raw, got, problems)
		}
	}
	for raw, want := range map[string][]string{
		``: {""}, `null`: {""}, `[]`: {""}, `{`: {""}, `{"a":1`: {""}, `{} x`: {""}, `{"a":1,"a":2}`: {"/a"}, `{"a":["\u0000"]}`: {"/a/0"},
		`{"a":` + nested(8, "[", "]") + `}`: {"/a/0/0/0/0/0/0/0"}, `{"a":"` + strings.Repeat("x", 33<<10) + `"}`: {""},
		`{"a":"\ud800","b":1e999`: {"/a", "/b", ""},
	} {
		got, problems := testDecoder().Object([]byte(raw))
		if got != nil || !reflect.DeepEqual(locationsOf(problems), want) {
			t.Errorf("%.60s: %s, problems at %q, want %q", raw, got, locationsOf(problems), want)
		}
	}
}

func TestDecoderIsSafeForConcurrentUse(t *testing.T) {
	d := testDecoder()
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 300 {
				id := fmt.Sprintf("%d-%d", g, i)
				var e event.Event
				if _, err := d.Decode([]byte(`{"event_id":"`+id+`","event":"e","properties":{"id":"`+id+`","password":"x"}}`), &e); err != nil {
					t.Errorf("%v %v", err, fieldsOf(err))
					return
				}
				if want := `{"id":"` + id + `","password":"[masked]"}`; e.ID != id || string(e.Properties) != want {
					t.Errorf("%s was read as %s %s", id, e.ID, e.Properties)
					return
				}
			}
		})
	}
	wg.Wait()
}
