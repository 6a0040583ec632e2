package eventjson

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/event"
)

func fullEvent() event.Event {
	return event.Event{
		ID: `e "1" \ `, Name: "naïve\n\t\u2028", Type: event.APIError,
		Timestamp:  time.Date(2026, 3, 1, 12, 0, 0, 1000, time.UTC),
		ReceivedAt: time.Date(2026, 3, 1, 12, 0, 1, 999999000, time.UTC),
		UserID:     `u"},"sample_rate":9,"`, AnonymousID: "a", SessionID: "\x01\x7f",
		Properties: event.Object(`{"a":"}\"{","b":[{"c":"]"}],"d":1.50}`),
		Metadata:   event.Object(`{}`),
		Severity:   event.Critical, Tags: []string{"a,b", `"]`, "\\"},
		Source: "s", UserAgent: "<ua> & 'x'", IPAddress: "203.0.113.0", Referrer: `r\\`, Timezone: "Europe/Berlin",
		SampleRate: 0.1, Processed: true, ProcessedAt: time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
	}
}

func TestAppendWritesTheContract(t *testing.T) {
	e := event.Event{
		ID: "e-1", Name: "signup", Type: event.Custom, Timestamp: testNow, ReceivedAt: testNow.Add(time.Second), UserID: "u",
		Properties: event.Object(`{"plan":"pro"}`), Severity: event.Low, Tags: []string{"web", "eu"}, SampleRate: 1,
	}
	const want = `{"event_id":"e-1","event_name":"signup","event_type":"custom","timestamp":"2026-03-01T12:00:00.123456Z",` +
		`"received_at":"2026-03-01T12:00:01.123456Z","user_id":"u","properties":{"plan":"pro"},"severity":"low","tags":["web","eu"],` +
		`"sample_rate":1,"processed":false}`
	if got := string(Append([]byte("before "), &e)); got != "before "+want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	marshalled, err := json.Marshal(JSON(e))
	if err != nil || string(marshalled) != want {
		t.Errorf("encoding/json: %s %v", marshalled, err)
	}
}

func TestAppendAndParseRoundTrip(t *testing.T) {
	full := fullEvent()
	events := map[string]event.Event{"empty": {}, "full": full, "one tag": {Tags: []string{""}}}
	fields := reflect.TypeFor[event.Event]()
	for i := range fields.NumField() { // every field alone, so that none depends on another
		var e event.Event
		reflect.ValueOf(&e).Elem().Field(i).Set(reflect.ValueOf(full).Field(i))
		events["only "+fields.Field(i).Name] = e
	}
	for name, want := range events {
		t.Run(name, func(t *testing.T) {
			line := Append(nil, &want)
			if !json.Valid(line) || strings.ContainsAny(string(line), "\n\r") {
				t.Errorf("not one line of JSON: %s", line)
			}
			got := fullEvent() // leftovers must not show through
			if err := Parse(line, &got); err != nil {
				t.Fatalf("%v: %s", err, line)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("\ngot  %+v\nwant %+v\nby   %s", got, want, line)
			}
			clear(line)
			if !reflect.DeepEqual(got, want) {
				t.Error("the event changed with its line")
			}
		})
	}
}

func TestParseRefusesWhatAppendDidNotWrite(t *testing.T) {
	full := fullEvent()
	line := string(Append(nil, &full))
	for i := range len(line) {
		var e event.Event
		if Parse([]byte(line[:i]), &e) == nil {
			t.Errorf("a line cut at byte %d was read", i)
		}
		if !reflect.DeepEqual(e, event.Event{}) {
			t.Errorf("a line cut at byte %d left %+v", i, e)
		}
	}
	for _, bad := range []string{
		"", "{}", "null", line + "\n", " " + line, line + line,
		strings.Replace(line, `"processed"`, `"unheard_of":1,"processed"`, 1),
		strings.Replace(line, `true`, `yes`, 1),
		strings.Replace(line, `:0.1,`, `:x,`, 1),
		strings.Replace(line, `2026-03-01`, `2026-13-01`, 1),
		`{"rejected":"e-1","reason":"invalid"}`,
		`{"event_name":"n","event_id":"e"}`,
	} {
		var e event.Event
		if Parse([]byte(bad), &e) == nil {
			t.Errorf("was read: %s", bad)
		}
	}
}

func TestRejections(t *testing.T) {
	for _, id := range []string{"", "e-1", `"},{"`, `\`, "é\n\x00", strings.Repeat("x", 100)} {
		for _, reason := range event.DoorReasons() {
			line := AppendRejection([]byte(nil), id, reason)
			if !json.Valid(line) {
				t.Fatalf("not JSON: %s", line)
			}
			gotID, gotReason, ok := ParseRejection(line)
			if !ok || gotID != id || gotReason != reason.String() {
				t.Errorf("%s was read as %q %q %v", line, gotID, gotReason, ok)
			}
			for i := range line {
				if _, _, ok := ParseRejection(line[:i]); ok {
					t.Errorf("a rejection cut at byte %d was read: %s", i, line)
				}
			}
			var e event.Event
			if Parse(line, &e) == nil {
				t.Errorf("a rejection was read as an event: %s", line)
			}
		}
	}
	full := fullEvent()
	for _, line := range []string{"", "{}", string(Append(nil, &full)), `{"rejected":1,"reason":"x"}`, `{"rejected":"e"}`, `{"rejected":"e","reason":"x"} `} {
		if id, reason, ok := ParseRejection([]byte(line)); ok {
			t.Errorf("%s was read as %q %q", line, id, reason)
		}
	}
}
