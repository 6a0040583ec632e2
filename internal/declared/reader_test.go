package declared

import (
	"bytes"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tidemark-obs/tidemark/internal/event"
)

func reader(t testing.TB, c Config) *Reader {
	t.Helper()
	s, err := New(c, "s")
	if err != nil {
		t.Fatal(err)
	}
	return s.Reader()
}

func TestValues(t *testing.T) {
	r := reader(t, Config{
		Dimensions: []DimensionConfig{{Property: "plan"}, {Property: "a.b"}, {Property: "a"}, {Property: "metadata.zone"}, {Property: "only", Events: []string{"purchase"}}},
		Numbers:    []NumberConfig{{Property: "amount"}, {Property: "a.n"}, {Property: "plan"}},
	})
	long := strings.Repeat("ä", MaxText)
	no := math.NaN()
	tests := []struct {
		properties, metadata string
		values               []Value // of the first four
		numbers              []float64
	}{
		{`{"plan":"pro","amount":12.50}`, ``, []Value{{Text, "pro"}, {}, {}, {}}, []float64{12.5, no, no}},
		{`{"x":{"plan":"free"},"y":["plan","pro"],"a":{"c":1,"b":true},"plan":"pro"}`, `{"zone":"eu"}`, []Value{{Text, "pro"}, {Bool, "true"}, {}, {Text, "eu"}}, []float64{no, no, no}},
		{`{"a":{"b":1e0,"n":-0.0},"plan":1000000}`, ``, []Value{{Numeric, "1000000"}, {Numeric, "1"}, {}, {}}, []float64{no, 0, 1e6}},
		{`{"a":false,"plan":"1"}`, ``, []Value{{Text, "1"}, {}, {Bool, "false"}, {}}, []float64{no, no, no}},
		{`{"plan":null,"a":[{"b":1}],"amount":"12"}`, `{}`, []Value{{}, {}, {}, {}}, []float64{no, no, no}},
		{`{"pl\u0061n":"p\"r\u00f6","amount":1e300}`, ``, []Value{{Text, `p"rö`}, {}, {}, {}}, []float64{1e300, no, no}},
		{`{"plan":"` + long + `","a":"` + long + `x"}`, ``, []Value{{Text, long}, {}, {Kind: Long}, {}}, []float64{no, no, no}},
		{`{"plan":"","a":{}}`, ``, []Value{{Text, ""}, {}, {}, {}}, []float64{no, no, no}},
		{`{"plan":1e22,"a":1.5e-9}`, ``, []Value{{Numeric, "1e+22"}, {}, {Numeric, "1.5e-09"}, {}}, []float64{no, no, 1e22}},
		{``, ``, []Value{{}, {}, {}, {}}, []float64{no, no, no}},
		{`{"plan":"pro","a":`, ``, []Value{{Text, "pro"}, {}, {}, {}}, []float64{no, no, no}},
	}
	for _, tt := range tests {
		got := r.Read(&event.Event{Name: "visit", Properties: event.Object(tt.properties), Metadata: event.Object(tt.metadata)})
		if !slices.Equal(got.Values, tt.values) {
			t.Errorf("%s: values %v, want %v", tt.properties, got.Values, tt.values)
		}
		if !slices.EqualFunc(got.Readings, tt.numbers, func(a, b float64) bool { return a == b && !math.Signbit(a) == !math.Signbit(b) || a != a && b != b }) {
			t.Errorf("%s: numbers %v, want %v", tt.properties, got.Readings, tt.numbers)
		}
		if !slices.Equal(got.Dimensions, []int{0, 1, 2, 3}) || !slices.Equal(got.Numbers, []int{0, 1, 2}) {
			t.Errorf("dimensions %v, numbers %v", got.Dimensions, got.Numbers)
		}
	}
	got := r.Read(&event.Event{Name: "purchase", Properties: event.Object(`{"only":"this"}`)})
	if !slices.Equal(got.Dimensions, []int{0, 1, 2, 3, 4}) || got.Values[4] != (Value{Text, "this"}) {
		t.Errorf("an event by its name has %v of %v", got.Values, got.Dimensions)
	}
}

func TestWhatIsNotDeclaredIsNotRead(t *testing.T) {
	r := reader(t, Config{
		Dimensions: []DimensionConfig{{Property: "plan", Events: []string{"purchase"}}},
		Metrics:    []MetricConfig{{Event: "visit"}, {Event: "purchase", Labels: []string{"plan"}}},
	})
	for name, metrics := range map[string][]int{"visit": {0}, "purchase": {1}, "else": nil} {
		got := r.Read(&event.Event{Name: name, Properties: event.Object(`{"plan":"pro"}`)})
		if !slices.Equal(got.Metrics, metrics) || len(got.Values) != len(got.Dimensions) || (len(got.Values) > 0) != (name == "purchase") {
			t.Errorf("%s: %+v", name, got)
		}
		if r.set.Counts(name) != (metrics != nil) {
			t.Errorf("%s belongs to a metric: %v", name, r.set.Counts(name))
		}
	}
	var none *Set
	if got := none.Reader().Read(&event.Event{Name: "visit"}); len(got.Metrics)+len(got.Values)+len(got.Readings) != 0 {
		t.Errorf("nothing is declared, and read is %+v", got)
	}
}

// FuzzRead compares with a decoder that keeps everything.
func FuzzRead(f *testing.F) {
	f.Add(`{"plan":"pro","a":{"b":[1,{"plan":2}],"n":1.0},"amount":-3e2}`)
	f.Add(`{"a":{"b":true},"x":"\\\"","plan":"\u00e4"}`)
	f.Add(`{"a":{"a":{"b":"c"}},"n":0.1}`)
	f.Fuzz(func(t *testing.T, text string) {
		var all map[string]any
		d := json.NewDecoder(bytes.NewReader([]byte(text)))
		if !json.Valid([]byte(text)) || d.Decode(&all) != nil || twice(text) {
			t.Skip()
		}
		r := reader(t, Config{Dimensions: []DimensionConfig{{Property: "plan"}, {Property: "a.b"}, {Property: "a"}}, Numbers: []NumberConfig{{Property: "a.n"}, {Property: "amount"}}})
		got := r.Read(&event.Event{Name: "x", Properties: event.Object(text)})
		for i, path := range [][]string{{"plan"}, {"a", "b"}, {"a"}} {
			if want := valueOf(at(all, path)); got.Values[i] != want {
				t.Errorf("%v is %v, want %v", path, got.Values[i], want)
			}
		}
		for i, path := range [][]string{{"a", "n"}, {"amount"}} {
			if want, ok := at(all, path).(float64); ok != !math.IsNaN(got.Readings[i]) || ok && want != got.Readings[i] {
				t.Errorf("%v is %v, want %v", path, got.Readings[i], want)
			}
		}
	})
}

// twice reports what events never have: a name more than once, or text that is not valid.
func twice(text string) bool {
	return strings.Count(text, "plan") > 1 || strings.Count(text, `"a`) > 3 || strings.ContainsAny(text, "\\\uFFFD") || !strings.HasPrefix(strings.TrimSpace(text), "{") ||
		strings.Count(text, `"b"`) > 1 || strings.Count(text, `"n"`) > 1 || strings.Count(text, `"a"`) > 1 || strings.Count(text, "amount") > 1
}

func at(v any, path []string) any {
	for _, key := range path {
		o, _ := v.(map[string]any)
		v = o[key]
	}
	return v
}

func valueOf(v any) Value {
	switch v := v.(type) {
	case string:
		if len([]rune(v)) > MaxText {
			return Value{Kind: Long}
		}
		return Value{Text, v}
	case bool:
		return Value{Bool, strconv.FormatBool(v)}
	case float64:
		b, _ := json.Marshal(v + 0)
		f, _ := strconv.ParseFloat(string(b), 64)
		if f == 0 {
			return Value{Numeric, "0"}
		}
		if a := math.Abs(f); a >= 1e21 || a < 1e-6 {
			return Value{Numeric, strconv.FormatFloat(f, 'e', -1, 64)}
		}
		return Value{Numeric, strconv.FormatFloat(f, 'f', -1, 64)}
	}
	return Value{}
}

func BenchmarkRead(b *testing.B) {
	r := reader(b, Config{Dimensions: []DimensionConfig{{Property: "plan"}, {Property: "cart.country"}}, Numbers: []NumberConfig{{Property: "amount"}}})
	for name, text := range map[string]string{
		"all":  `{"path":"/pricing/annual","plan":"pro","amount":129.5,"cart":{"items":3,"country":"DE"},"referrer":"https://example.org/a"}`,
		"none": `{"path":"/pricing/annual","button":"buy","width":1440,"height":900,"referrer":"https://example.org/a"}`,
	} {
		e := &event.Event{Name: "purchase", Properties: event.Object(text)}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r.Read(e)
			}
		})
	}
}
