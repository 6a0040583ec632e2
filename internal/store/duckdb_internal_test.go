package store

import (
	"encoding/json"
	"strings"
	"testing"
)

// Should a statement ever be smuggled in, it must reach neither files nor extensions.
func TestDuckDBIsShut(t *testing.T) {
	s, err := Open(t.Context(), Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, statement := range []string{
		"SELECT * FROM read_csv('/etc/passwd')",
		"COPY (SELECT 1) TO '/tmp/tidemark-escape.csv'",
		"ATTACH '/tmp/tidemark-escape.duckdb'",
		"INSTALL httpfs",
		"LOAD httpfs",
		"SET enable_external_access = true",
	} {
		if _, err := s.p.read.ExecContext(t.Context(), statement); err == nil {
			t.Errorf("%s: was allowed", statement)
		} else if !strings.Contains(err.Error(), "Permission") && !strings.Contains(err.Error(), "disabled") &&
			!strings.Contains(err.Error(), "Cannot enable") {
			t.Errorf("%s: %v", statement, err)
		}
	}
	var zone string
	if err := s.p.read.Get(&zone, "SELECT current_setting('TimeZone')"); err != nil || zone != "UTC" {
		t.Errorf("time zone %q, %v", zone, err)
	}
}

// A plain value must be what the database itself reads out of the JSON, or a number that is equal.
func TestPlainValues(t *testing.T) {
	s, err := Open(t.Context(), Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	plain := 0
	for _, value := range []string{
		`"a"`, `""`, `"é ü"`, `"a/b~c"`, `"\u0061"`, `"a\"b"`, "\"a\x7fb\"", `true`, `false`, `null`, `0`, `-0`, `-0.0`, `1`, `-7`,
		`1.0`, `2.50`, `0.1`, `-3.5`, `1e3`, `1E-3`, `4.2e1`, `9007199254740993`, `18446744073709551616`, `99999999999999999999`,
		`0.30000000000000004`, `123456789.123456789`, `12345678901234567890123`, `{"k":1}`, `[1,{"a":"]"}]`, `{"a":"}\""}`,
	} {
		for _, object := range []string{
			`{"k":` + value + `}`, ` { "a" : [ "}" , {} ] , "k" : ` + value + ` , "z" : null } `, `{"":1,"k":` + value + `,"kk":2}`,
		} {
			var got []string
			is := false
			whole := new(members).each([]byte(object), func(name, v []byte, p bool) bool {
				if string(name) == "k" {
					got, is = append(got, string(v)), p
				}
				return true
			})
			if !whole || len(got) != 1 || got[0] != value {
				t.Errorf("%s: read %q, %v", object, got, whole)
				continue
			}
			if !is {
				continue
			}
			plain++
			var same bool
			j := (*duck)(nil).extract("$1::varchar", []string{"k"}, &arguments{object})
			j = strings.ReplaceAll(j, "$2", "'/k'")
			if err := s.p.read.Get(&same, "SELECT "+j+" = $2::varchar OR TRY_CAST("+j+" AS DOUBLE) = TRY_CAST($2 AS DOUBLE)", object, value); err != nil || !same {
				t.Errorf("%s is not what the database reads: %v", value, err)
			}
		}
	}
	if plain < 50 {
		t.Errorf("only %d values are plain", plain)
	}
}

func TestMembersOfWhatIsNone(t *testing.T) {
	for _, o := range []string{``, ` `, `{`, `{"`, `{"a`, `{"a"`, `{"a":`, `{"a":1`, `{"a":1,`, `{"a":1,}`, `{"a":"`, `{"a":"\`, `{"a":[`, `{"a":[{]`, `[]`, `1`, `null`, `{"\u0061":1}`, `{a:1}`, `{"a" 1}`, `{"a":01}`, "{\"a\":\"b\tc\"}", "{\"\xff\":1}"} {
		if new(members).each([]byte(o), func(_, _ []byte, _ bool) bool { return true }) {
			t.Errorf("%s was read to its end", o)
		}
	}
}

func FuzzMembers(f *testing.F) {
	f.Add([]byte(`{"a":1,"b":"x","c":[{"d":null}]}`))
	f.Add([]byte(`{"a":"\"","b":{"}":"]"}}`))
	f.Add([]byte("{\"\xff\":{}}"))
	var m members
	f.Fuzz(func(t *testing.T, o []byte) {
		values := map[string]string{}
		n := 0
		whole := m.each(o, func(name, value []byte, _ bool) bool {
			values[string(name)] = string(value)
			n++
			return true
		})
		var want map[string]json.RawMessage
		if !whole || json.Unmarshal(o, &want) != nil {
			return
		}
		if len(values) != len(want) {
			t.Fatalf("%d members, want %d", len(values), len(want))
		}
		for name, value := range want {
			if len(values) == n && values[name] != string(value) {
				t.Errorf("%q: %q, want %q", name, values[name], value)
			}
		}
	})
}
