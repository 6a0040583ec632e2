package eventjson

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
)

func TestDecodeTheLongForm(t *testing.T) {
	got := decoded(t, testDecoder(), `
	{
		"event_id": "e-1", "event_name": "order \"placed\"", "event_type": "api_request",
		"timestamp": "2026-03-01T13:00:00.1234569+01:00",
		"user_id": "u-\u00e4", "anonymous_id": "a-1", "session_id": "s-1",
		"properties": { "plan" : "pro", "big": 12345678901234567890.10, "nested": [ 1, { "k" : null } ], "u": "\u00e9\/" },
		"metadata": {"k": true},
		"severity": "critical", "tags": ["one", "tw\u006f"],
		"source": "web", "user_agent": "curl/8", "ip_address": "203.0.113.77",
		"referrer": "https://example.com/?a=b", "timezone": "Europe/Berlin",
		"sample_rate": 0.25, "processed": true
	}`)
	want := event.Event{
		ID: "e-1", Name: `order "placed"`, Type: event.APIRequest,
		Timestamp: time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.UTC),
		UserID:    "u-ä", AnonymousID: "a-1", SessionID: "s-1",
		Properties: event.Object(`{"plan":"pro","big":12345678901234567890.10,"nested":[1,{"k":null}],"u":"\u00e9\/"}`),
		Metadata:   event.Object(`{"k":true}`),
		Severity:   event.Critical, Tags: []string{"one", "two"},
		Source: "web", UserAgent: "curl/8", IPAddress: "203.0.113.0",
		Referrer: "https://example.com/?a=b", Timezone: "Europe/Berlin",
		SampleRate: 0.25, Processed: true, ProcessedAt: testNow,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestDecodeFillsInDefaults(t *testing.T) {
	want := event.Event{Name: "signup", Type: event.Custom, Timestamp: testNow, Severity: event.Low, SampleRate: 1}
	for _, raw := range []string{
		`{"event":"signup"}`,
		`{"event_name":"signup"}`,
		` {"\u0065vent":"signup"}` + "\r\n\t",
		`{"event":"signup","event_id":null,"event_type":null,"timestamp":null,"user_id":null,"properties":null,
		  "metadata":null,"severity":null,"tags":null,"sample_rate":null,"processed":null,"ip_address":null,"event_name":null}`,
		`{"event":"signup","user_id":"","tags":[],"source":"","event_type":"","severity":""}`,
	} {
		if got := decoded(t, testDecoder(), raw); !reflect.DeepEqual(got, want) {
			t.Errorf("%s\ngot  %+v\nwant %+v", raw, got, want)
		}
	}
}

func TestDecodeKeepsNothingOfTheInput(t *testing.T) {
	raw := []byte(`{"event":"signup","tags":["t"],"properties":{"a":"b"},"metadata":{"c":"d"}}`)
	var e event.Event
	if _, err := testDecoder().Decode(raw, &e); err != nil {
		t.Fatal(err)
	}
	before := string(Append(nil, &e))
	for i := range raw {
		raw[i] = 'x'
	}
	if after := string(Append(nil, &e)); after != before {
		t.Errorf("the event changed with its input:\n%s\n%s", before, after)
	}
	e.Properties = append(e.Properties, "overrun"...)
	if string(e.Metadata) != `{"c":"d"}` {
		t.Errorf("appending to the properties wrote into the metadata: %s", e.Metadata)
	}
}

func TestDecodeKeepsValuesExactly(t *testing.T) {
	for _, value := range []string{
		`9007199254740993`, `-9223372036854775809`, `18446744073709551616`, `0.1000000000000000055511151231257827`,
		`1.0`, `1E5`, `1e+5`, `-0`, `-0.0`, `0e0`, `1.7976931348623157e308`, `2.2250738585072014e-308`, `5e-324`,
		strings.Repeat("9", 100),
		`""`, `"\ud83d\ude00"`, `"😀"`, `"\/\b\f\n\r\t\"\\"`, `"\u2028"`, `"<script>"`, "\"\u007f\ufffd\"",
		`[]`, `{}`, `[[],{}]`, `{"":{"":0}}`, `true`, `false`, `null`, `{"é":1,"\u00e8":2}`,
	} {
		want := `{"v":` + value + `}`
		got := decoded(t, testDecoder(), `{"event":"e","properties":`+want+`,"metadata":`+want+`}`)
		if string(got.Properties) != want || string(got.Metadata) != want {
			t.Errorf("%s was kept as %s and %s", want, got.Properties, got.Metadata)
		}
	}
}

func TestDecodeTimestamps(t *testing.T) {
	for in, want := range map[string]string{
		"2026-03-01T12:00:00Z":                "2026-03-01T12:00:00.000000Z",
		"2026-03-01T12:00:00.999999999Z":      "2026-03-01T12:00:00.999999Z",
		"2026-03-01T00:30:00.5+05:30":         "2026-02-28T19:00:00.500000Z",
		"1970-01-01T00:00:00Z":                "1970-01-01T00:00:00.000000Z",
		"9999-12-31T23:59:59.999999Z":         "9999-12-31T23:59:59.999999Z",
		"2026-03-01T12:00:00\\u005a":          "2026-03-01T12:00:00.000000Z",
		"2024-02-29T12:00:00-00:00":           "2024-02-29T12:00:00.000000Z",
		"9999-12-31T23:59:59-00:01":           "",
		"1969-12-31T23:59:59Z":                "",
		"0001-01-01T00:00:00Z":                "",
		"2026-02-29T12:00:00Z":                "",
		"2026-03-01 12:00:00Z":                "",
		"2026-03-01T12:00:00":                 "",
		"2026-03-01T12:00:00,5Z":              "",
		"2026-03-01T1:00:00Z":                 "",
		"2026-03-01T12:00:00+24:00":           "",
		"2026-03-01T24:00:00Z":                "",
		"2026-03-01":                          "",
		"1772366400":                          "",
		"":                                    "",
		"now":                                 "",
		"2026-03-01T12:00:00Z" + "; DROP":     "",
		"2026-03-01T12:00:00.\\ud800Z":        "",
		strings.Repeat("2026-03-01T12:", 100): "",
	} {
		var e event.Event
		_, err := testDecoder().Decode([]byte(`{"event":"e","timestamp":"`+in+`"}`), &e)
		if want == "" {
			if err == nil {
				t.Errorf("%.60s was read as %v", in, e.Timestamp)
				continue
			}
			wantInvalid(t, err, "/timestamp")
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", in, fieldsOf(err))
			continue
		}
		if got := string(appendTime(nil, e.Timestamp)); got != `"`+want+`"` {
			t.Errorf("%s was read as %s, want %s", in, got, want)
		}
	}
}

func TestDecodeAddresses(t *testing.T) {
	raw := `{"event":"e","ip_address":"2001:db8:1234:5678::1"}`
	if got := decoded(t, testDecoder(), raw); got.IPAddress != "2001:db8:1234::" {
		t.Errorf("address %q is not truncated", got.IPAddress)
	}
	whole := testDecoder(func(o *Options) { o.KeepFullIP = true })
	if got := decoded(t, whole, raw); got.IPAddress != "2001:db8:1234:5678::1" {
		t.Errorf("address %q is truncated", got.IPAddress)
	}
}

func TestDecodeWarns(t *testing.T) {
	for raw, want := range map[string][]string{
		`{"event":"e"}`:                                                        {"/properties", "/tags"},
		`{"event":"e","properties":{}}`:                                        {"/properties", "/tags"},
		`{"event":"e","properties":{"a":1},"tags":["t"]}`:                      nil,
		`{"event":"e","event_type":"page_view","metadata":{}}`:                 {"/properties"},
		`{"operation":"o","duration_ms":1}`:                                    nil,
		`{"operation":"o","duration_ms":1,"received_at":"now"}`:                {"/received_at"},
		`{"operation":"o","duration_ms":1,"processed_at":5}`:                   {"/processed_at"},
		`{"operation":"o","duration_ms":1,"received_at":null}`:                 nil,
		`{"operation":"o","duration_ms":1,"timestamp":"2027-01-01T00:00:00Z"}`: {"/timestamp"},
	} {
		var e event.Event
		warnings, err := testDecoder().Decode([]byte(raw), &e)
		if err != nil {
			t.Errorf("%s: %v", raw, fieldsOf(err))
		}
		if got := locationsOf(warnings); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: warnings at %v, want %v", raw, got, want)
		}
		if !e.ReceivedAt.IsZero() || !e.ProcessedAt.IsZero() {
			t.Errorf("%s: a client set %v or %v", raw, e.ReceivedAt, e.ProcessedAt)
		}
	}
}

func TestDecodeLeavesTheIDOfARefusedEvent(t *testing.T) {
	big := `"metadata":{"k":"` + strings.Repeat("x", 40<<10) + `"}`
	for name, c := range map[string]struct {
		raw, id string
		kind    errs.Kind
	}{
		"invalid":                  {`{"event_id":"e-1","event":""}`, "e-1", errs.Invalid},
		"invalid before the id":    {`{"event":"","event_id":"e-\u0031"}`, "e-1", errs.Invalid},
		"unusable id":              {`{"event":"","event_id":"` + strings.Repeat("x", 101) + `"}`, "", errs.Invalid},
		"empty id":                 {`{"event":"e","event_id":""}`, "", errs.Invalid},
		"id with NUL":              {`{"event":"e","event_id":"a\u0000"}`, "", errs.Invalid},
		"id not UTF-8":             {`{"event":"e","event_id":"a` + "\xff" + `"}`, "", errs.Invalid},
		"id of half a surrogate":   {`{"event":"e","event_id":"a\udc00"}`, "", errs.Invalid},
		"id is a number":           {`{"event":"e","event_id":5}`, "", errs.Invalid},
		"two ids":                  {`{"event":"e","event_id":"a","event_id":"b"}`, "", errs.Invalid},
		"broken behind the id":     {`{"event_id":"e-1","event":nonsense}`, "e-1", errs.Malformed},
		"broken before the id":     {`{"event":nonsense,"event_id":"e-1"}`, "", errs.Malformed},
		"cut":                      {`{"event_id":"e-1","event":"x`, "e-1", errs.Malformed},
		"too large, id first":      {`{"event_id":"e-1","event":"x",` + big + `}`, "e-1", errs.TooLarge},
		"too large, id last":       {`{"event":"x",` + big + `,"event_id":"e-1"}`, "e-1", errs.TooLarge},
		"too large, id too long":   {`{` + big + `,"event_id":"` + strings.Repeat("x", 101) + `"}`, "", errs.TooLarge},
		"too large, no id":         {`{` + big + `}`, "", errs.TooLarge},
		"too large, broken":        {`{` + big + `,`, "", errs.TooLarge},
		"too large, not an object": {`"` + big, "", errs.TooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			e := event.Event{ID: "of the event before", UserID: "somebody else"}
			_, err := testDecoder().Decode([]byte(c.raw), &e)
			if err == nil || errs.KindOf(err) != c.kind {
				t.Fatalf("error %v of kind %v, want kind %v", err, errs.KindOf(err), c.kind)
			}
			if want := (event.Event{ID: c.id}); !reflect.DeepEqual(e, want) {
				t.Errorf("left %+v, want %+v", e, want)
			}
		})
	}
}

// TestDecodeAllocatesLittle reads with one reader: under the race detector a sync.Pool
// forgets at random.
func TestDecodeAllocatesLittle(t *testing.T) {
	r := &reader{Decoder: testDecoder()}
	raw := []byte(`{"event":"e","user_id":"u","timestamp":"2026-03-01T12:00:00Z","properties":{"a":"b"},"metadata":{"c":1},"tags":["x","y"]}`)
	var e event.Event
	n := testing.AllocsPerRun(200, func() {
		r.reset(raw)
		if err := r.event(FormAny, &e); err != nil {
			t.Fatal(err)
		}
	})
	if n > 3 { // the texts, the objects, the list of tags
		t.Errorf("%v allocations for one event", n)
	}
}
