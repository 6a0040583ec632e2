package question_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/question"
)

func TestFieldsReadBack(t *testing.T) {
	for text, want := range map[string]question.Field{
		"event_name":            {Column: "event_name"},
		"properties.plan":       {Column: "properties", Path: []string{"plan"}},
		"properties.a.b":        {Column: "properties", Path: []string{"a", "b"}},
		`properties.a\.b.c\\d`:  {Column: "properties", Path: []string{"a.b", `c\d`}},
		`properties.$.*.'"`:     {Column: "properties", Path: []string{"$", "*", `'"`}},
		"metadata.ü":            {Column: "metadata", Path: []string{"ü"}},
		"properties.properties": {Column: "properties", Path: []string{"properties"}},
	} {
		got, fault := question.ParseField(text)
		if fault != "" || !reflect.DeepEqual(got, want) || got.String() != text {
			t.Errorf("%s: %+v (%s), fault %q", text, got, got, fault)
		}
	}
	for _, text := range []string{
		"", ".", "properties", "properties.", "properties..a", ".plan", "plan", "event_name.x", "ts", "events.event_name",
		"properties.a\x00", "properties.\xff", `properties.a\`, `properties.a\n`, "properties" + strings.Repeat(".a", 9),
		"properties." + strings.Repeat("é", 101), "EVENT_NAME", "tags.0",
	} {
		if f, fault := question.ParseField(text); fault == "" {
			t.Errorf("%q was read as %+v", text, f)
		}
	}
}

// faults are the places of what is wrong.
func faults(err error) []string {
	var e *errs.Error
	if !errors.As(err, &e) {
		return nil
	}
	var list []string
	for _, f := range e.Fields {
		list = append(list, f.Location)
	}
	return list
}

func TestConditionsNameTheirFaults(t *testing.T) {
	long := strings.Repeat("x", 1001)
	for raw, want := range map[string]string{
		`{`: "where", `{}`: "where", `[] []`: "where", `[1]`: "where/0", `[null]`: "where/0",
		`[{"field":"user_id","op":"=","value":"a","more":1}]`:                                                 "where/0",
		`[{"field":"user_id","op":"=","value":"a"},{"op":"=","value":1}]`:                                     "where/1/field",
		`[{"field":"secret_column","op":"=","value":"a"}]`:                                                    "where/0/field",
		`[{"field":"user_id","op":"~","value":"a"}]`:                                                          "where/0/op",
		`[{"field":"user_id","value":"a"}]`:                                                                   "where/0/op",
		`[{"field":"user_id","op":"="}]`:                                                                      "where/0/value",
		`[{"field":"user_id","op":"=","value":null}]`:                                                         "where/0/value",
		`[{"field":"user_id","op":"=","value":1}]`:                                                            "where/0/value",
		`[{"field":"user_id","op":"=","value":"a\u0000"}]`:                                                    "where/0/value",
		"[{\"field\":\"user_id\",\"op\":\"=\",\"value\":\"\xff\"}]":                                           "where/0/value",
		`[{"field":"user_id","op":"=","value":"` + long + `"}]`:                                               "where/0/value",
		`[{"field":"user_id","op":"contains","value":""}]`:                                                    "where/0/value",
		`[{"field":"processed","op":"contains","value":"a"}]`:                                                 "where/0/op",
		`[{"field":"processed","op":"<","value":true}]`:                                                       "where/0/value",
		`[{"field":"properties.a","op":">","value":false}]`:                                                   "where/0/value",
		`[{"field":"properties.a","op":"=","value":[1]}]`:                                                     "where/0/value",
		`[{"field":"properties.a","op":"=","value":1e999}]`:                                                   "where/0/value",
		`[{"field":"properties.a","op":"in","value":"a"}]`:                                                    "where/0/value",
		`[{"field":"properties.a","op":"in","value":[]}]`:                                                     "where/0/value",
		`[{"field":"properties.a","op":"in","value":["a",{}]}]`:                                               "where/0/value/1",
		`[{"field":"properties.a","op":"in","value":[` + strings.Repeat("1,", 100) + `1]}]`:                   "where/0/value",
		`[{"field":"tags","op":"=","value":"a"}]`:                                                             "where/0/value",
		`[{"field":"timestamp","op":"<","value":"yesterday"}]`:                                                "where/0/value",
		`[{"field":"user_id","op":"exists","value":"no"}]`:                                                    "where/0/value",
		`[` + strings.Repeat(`{"field":"user_id","op":"exists"},`, 20) + `{"field":"user_id","op":"exists"}]`: "where",
	} {
		var p question.Parser
		p.Where("where", []byte(raw))
		err := p.Err()
		if got := faults(err); len(got) == 0 || got[0] != want {
			t.Errorf("%.80s: faults at %q, want %q", raw, got, want)
		}
		if err != nil && (strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "yesterday")) {
			t.Errorf("%v repeats a value", err)
		}
	}
}

func TestMetrics(t *testing.T) {
	for text, want := range map[string]string{
		"": "count", "count": "count", "weighted": "weighted", "users": "users", "sessions": "sessions",
		"sum:amount": "sum:properties.amount", "p95:properties.duration_ms": "p95:properties.duration_ms",
		"p1:a.b": "p1:properties.a.b", "max:metadata.n": "max:metadata.n",
	} {
		var p question.Parser
		if got := p.Metric("metric", text).String(); got != want || p.Err() != nil {
			t.Errorf("%q is %q, %v", text, got, p.Err())
		}
	}
	for _, text := range []string{"median", "p0:x", "p100:x", "p05:x", "p-5:x", "p+5:x", "p95", "p95:", "sum", "count:x", "count:", ":x", "sum:a..b", "SUM:x"} {
		var p question.Parser
		if p.Metric("metric", text); p.Err() == nil {
			t.Errorf("%q was taken", text)
		}
	}
}

func TestDaysBeginInTheirZone(t *testing.T) {
	var p question.Parser
	now := time.Date(2025, 6, 1, 0, 0, 0, 0, time.UTC)
	s := p.Span("2025-03-30", "2025-03-31", "Europe/Berlin", now)
	if err := p.Err(); err != nil {
		t.Fatal(err)
	}
	if s.End.Sub(s.Start) != 23*time.Hour || s.Start.Format(time.RFC3339) != "2025-03-29T23:00:00Z" {
		t.Errorf("the day goes from %v to %v", s.Start, s.End)
	}
	for _, c := range []struct{ start, end, tz, at string }{
		{"2025-01-02", "2025-01-01", "", "start_date"}, {"2025-01-01", "2025-01-01", "", "start_date"},
		{"2000-01-01", "2025-01-01", "", "start_date"}, {"2999-01-01", "", "", "start_date"},
		{"x", "", "", "start_date"}, {"", "2025-02-30", "", "end_date"}, {"", "", "Local", "tz"}, {"", "", "Nowhere", "tz"},
		{"0000-01-01", "", "", "start_date"},
	} {
		var p question.Parser
		p.Span(c.start, c.end, c.tz, now)
		if got := faults(p.Err()); len(got) != 1 || got[0] != c.at {
			t.Errorf("%+v: faults at %v", c, got)
		}
	}
}

func TestDurations(t *testing.T) {
	const day = 24 * time.Hour
	for text, want := range map[string]time.Duration{"": time.Hour, "30m": 30 * time.Minute, "7d": 7 * day, "1.5h": 90 * time.Minute} {
		var p question.Parser
		if got := p.Duration("window", text, time.Hour, 7*day); got != want || p.Err() != nil {
			t.Errorf("%q is %v, %v", text, got, p.Err())
		}
	}
	for _, text := range []string{"0", "-1h", "8d", "1", "d", "-1d", "1w", "1ns", "99999999999999999999d", "1h x"} {
		var p question.Parser
		if p.Duration("window", text, time.Hour, 7*day); p.Err() == nil {
			t.Errorf("%q was taken", text)
		}
	}
}

// FuzzWhere checks that no condition is let through that a store could not hold or compile, and
// that faults repeat nothing.
func FuzzWhere(f *testing.F) {
	f.Add([]byte(`[{"field":"properties.a\\.b","op":"in","value":["x",1,true]}]`))
	f.Add([]byte(`[{"field":"tags","op":"contains","value":"x"},{"field":"timestamp","op":"<","value":"2025-01-01"}]`))
	f.Add([]byte("[{\"field\":\"user_id\",\"op\":\"=\",\"value\":\"\xff\"}]"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var p question.Parser
		list := p.Where("where", raw)
		if p.Err() != nil {
			return
		}
		if len(list) > question.MaxConditions {
			t.Fatalf("%d conditions", len(list))
		}
		written, err := json.Marshal(list)
		if err != nil {
			t.Fatal(err)
		}
		var second question.Parser
		if back := second.Where("where", written); second.Err() != nil || len(list) > 0 && !reflect.DeepEqual(back, list) {
			t.Errorf("%s reads back as %+v, %v; it was %+v", written, back, second.Err(), list)
		}
		for _, c := range list {
			again, fault := question.ParseField(c.Field.String())
			if fault != "" || !reflect.DeepEqual(again, c.Field) {
				t.Errorf("the field %v reads back as %v, %s", c.Field, again, fault)
			}
			values := append([]question.Value{c.Value}, c.List...)
			if c.Op == question.In {
				values = c.List
			}
			for _, v := range values {
				if v.Kind == question.Any || strings.ContainsRune(v.Text, 0) || strings.ToValidUTF8(v.Text, "") != v.Text {
					t.Errorf("%s lets through %+v", c.Op, v)
				}
			}
		}
	})
}
