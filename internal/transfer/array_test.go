package transfer

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
)

// TestAnArrayIsReadAsRows: what other programs write as JSON is often one array, on one line or pretty.
func TestAnArrayIsReadAsRows(t *testing.T) {
	long := strings.Repeat("x", maxRow)
	for text, want := range map[string][]string{
		`[]`:                      {"EOF"},
		" [ \n ]":                 {"EOF"},
		`[{"a":1},{"b":[2,"]"]}]`: {`1 {"a":1}`, `2 {"b":[2,"]"]}`, "EOF"},
		"\uFEFF\r\n[\n  {\n    \"a\": 1\n  },\n  7\n]\n": {`1 {     "a": 1   }`, "2 7", "EOF"},
		`["\\","\",",{"a":"[{"}]`:                        {`1 "\\"`, `2 "\","`, `3 {"a":"[{"}`, "EOF"},
		`[,{"a":1},]`:                                    {"1 nothing stands between two commas", `2 {"a":1}`, "3 nothing stands between two commas", "EOF"},
		`["` + long + `",{"a":1}]`:                       {"1 the row is longer than 1048576 bytes", `2 {"a":1}`, "EOF"},
		"[\"a\nb\",1]":                                   {"1 the event is not valid JSON: a text has a line break or another control character", "2 1", "EOF"},
		`[{"a":1},{"b":`:                                 {`1 {"a":1}`, "the JSON array is not closed"},
		`[{"a":1}`:                                       {"the JSON array is not closed"},
		`[1] [2]`:                                        {"1 1", "something follows the JSON array"},
		"{\"a\":1}\n[1]\n":                               {`1 {"a":1}`, "2 [1]", "EOF"},
	} {
		r, err := NewFileReader(NDJSON, strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for range 5 {
			row, err := r.Next()
			switch {
			case errors.Is(err, io.EOF):
				got = append(got, "EOF")
			case err != nil:
				got = append(got, ReasonOf(err))
			case row.Err != nil:
				got = append(got, fmt.Sprint(row.Number, " ", ReasonOf(row.Err)))
			default:
				got = append(got, fmt.Sprintf("%d %s", row.Number, row.JSON))
			}
			if err != nil {
				break
			}
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%.60q:\n got %.200q\nwant %.200q", text, got, want)
		}
	}
}
