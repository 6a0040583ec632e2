package client

import (
	"encoding/json"
	"reflect"
	"regexp"
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
	for _, s := range []string{"", "plain", "\xff\xfe", "a\"b\\c\n\u2028\x7f", "é\xc3", "\ufffd"} {
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
