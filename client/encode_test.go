package client

import (
	"encoding/json"
	"math"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// TestValuesAreThoseOfEncodingJSON compares what both read back.
func TestValuesAreThoseOfEncodingJSON(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 5, time.FixedZone("", 3600))
	values := map[string]any{
		"string": "a\"\\\n\t\r\x01é\u2028😀<>&", "empty": "", "bool": true, "nil": nil, "time": at,
		"int": -5, "int64": int64(1) << 62, "int32": int32(-7), "uint": uint(7), "uint64": ^uint64(0), "uint32": uint32(9), "int8": int8(3),
		"float": 0.1, "tiny": 1e-7, "huge": 1e21, "whole": 1e20, "float32": float32(0.1), "zero": 0.0,
		"map": map[string]any{"a": []any{1, "b", nil, map[string]any{}}}, "strings": []string{"a", ""}, "none": []string(nil),
		"struct": struct {
			A int `json:"a"`
		}{3}, "number": json.Number("1.50"), "raw": json.RawMessage(`{"a": 1}`), "duration": time.Second, "bytes": []byte("xyz"),
	}
	values["none"] = []string{}
	text := encoded(t, func(e *encoder) { e.properties(values) })
	var got struct{ Properties any }
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	reference, err := json.Marshal(values)
	if err != nil {
		t.Fatal(err)
	}
	var want any
	if err := json.Unmarshal(reference, &want); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got.Properties, want) {
		t.Errorf("%v\nwant %v", got.Properties, want)
	}
}

func FuzzText(f *testing.F) {
	for _, s := range []string{"", "plain", "\xff\xfe", "a\"b\\c\n\u2028\x7f", "é\xc3", "\ufffd",
		"eight by", "eight by eight b", "eight\"by eight b", "eight by ei\ted", "eight by\\", "12345678!}~é", "\x1f234567\x80"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		text := appendString(nil, s)
		var back string
		if err := json.Unmarshal(text, &back); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if utf8.ValidString(s) && back != s || back != strings.ToValidUTF8(back, "") {
			t.Errorf("%q became %q", s, back)
		}
		if strings.ContainsRune(string(text), '\n') {
			t.Error("a line break")
		}
	})
}

// FuzzNumbers compares with the shortest text that strconv finds.
func FuzzNumbers(f *testing.F) {
	for _, n := range []float64{0, math.Copysign(0, -1), 129.95, -0.1, 0.000001, 0.0000015, 1e-7, 999999999.999999, 999999999.9999999, 1e15, 1e20, 1e21, 5e-324,
		math.MaxFloat64, 1.0 / 3, 123456.789012, 4503599627.370497} {
		f.Add(n)
	}
	f.Fuzz(func(t *testing.T, n float64) {
		for _, n := range []float64{n, math.Round(n*100) / 100, math.Round(n*1e6) / 1e6} {
			if math.IsNaN(n) || math.IsInf(n, 0) {
				continue
			}
			format := byte('f')
			if a := math.Abs(n); a != 0 && (a < 1e-6 || a >= 1e21) {
				format = 'e'
			}
			if got, want := string(appendFloat(nil, n, 64)), strconv.FormatFloat(n, format, -1, 64); got != want {
				t.Errorf("%s, want %s", got, want)
			}
		}
	})
}

// TestTimes writes times that share a second and such that do not.
func TestTimes(t *testing.T) {
	e := new(encoder)
	base := time.Date(2026, 12, 31, 23, 59, 59, 0, time.UTC)
	for _, at := range []time.Time{time.Unix(0, 0).UTC(), base, base.Add(1), base.Add(999999999), base.Add(time.Second), base, time.Unix(-1, 5).UTC()} {
		e.buf = e.buf[:0]
		e.time(at)
		if got, err := time.Parse(time.RFC3339Nano, string(e.buf)); err != nil || !got.Equal(at) {
			t.Errorf("%s became %s: %v", at, e.buf, err)
		}
	}
}

func TestIDs(t *testing.T) {
	form := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	seen := map[string]bool{}
	now := time.UnixMilli(0x0123456789ab)
	for range 100000 {
		id := string(appendID(nil, now))
		if seen[id] || !form.MatchString(id) || !strings.HasPrefix(id, "01234567-89ab-7") {
			t.Fatal(id)
		}
		seen[id] = true
	}
}

func TestContextsDoNotTouchEachOther(t *testing.T) {
	base := WithUser(t.Context(), "u")
	a, b := WithSession(base, "a"), WithSession(base, "b")
	if *identityOf(a) != (identity{user: "u", session: "a"}) || *identityOf(b) != (identity{user: "u", session: "b"}) ||
		*identityOf(base) != (identity{user: "u"}) {
		t.Errorf("%v %v %v", identityOf(a), identityOf(b), identityOf(base))
	}
}
