package eventjson

import (
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/event"
)

func TestMovedEventsKeepTheServicesTimes(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	d := NewDecoder(Options{Limits: event.DefaultLimits(), Now: func() time.Time { return now }})
	past, pastText := now.Add(-time.Hour), "2026-03-01T11:00:00Z"
	for name, c := range map[string]struct {
		fields         string
		received, done time.Time
		refused        bool
	}{
		"none given":     {`"processed":false`, time.Time{}, time.Time{}, false},
		"all given":      {`"received_at":"` + pastText + `","processed":true,"processed_at":"` + pastText + `"`, past, past, false},
		"ahead of now":   {`"received_at":"2027-01-01T00:00:00Z","processed":true,"processed_at":"2027-01-01T00:00:00Z"`, now, now, false},
		"not processed":  {`"processed_at":"` + pastText + `"`, time.Time{}, time.Time{}, false},
		"processed when": {`"processed":true`, time.Time{}, now, false},
		"null":           {`"received_at":null`, time.Time{}, time.Time{}, false},
		"no time":        {`"received_at":"yesterday"`, time.Time{}, time.Time{}, true},
		"year 0":         {`"received_at":"0000-06-01T00:00:00Z"`, time.Time{}, time.Time{}, true},
		"zero":           {`"received_at":"0001-01-01T00:00:00Z"`, time.Time{}, time.Time{}, true},
		"before 0":       {`"processed":true,"processed_at":"0000-01-01T00:00:00+01:00"`, time.Time{}, time.Time{}, true},
		"before 1970":    {`"processed":true,"processed_at":"1969-12-31T23:59:59Z"`, time.Time{}, time.Time{}, true},
	} {
		var e event.Event
		_, err := d.DecodeMoved([]byte(`{"event_id":"e","event_name":"n",`+c.fields+`}`), &e)
		if (err != nil) != c.refused || e.ID != "e" {
			t.Errorf("%s: %v, id %q", name, err, e.ID)
		}
		if !c.refused && (!e.ReceivedAt.Equal(c.received) || !e.ProcessedAt.Equal(c.done)) {
			t.Errorf("%s: received %v, processed %v", name, e.ReceivedAt, e.ProcessedAt)
		}
		var plain event.Event // no other door believes them
		if _, err := d.Decode([]byte(`{"event":"n",`+c.fields+`}`), &plain); err != nil || !plain.ReceivedAt.IsZero() {
			t.Errorf("%s at another door: %v, received %v", name, err, plain.ReceivedAt)
		}
	}
}

func TestAppendIdentified(t *testing.T) {
	for raw, want := range map[string]string{
		`{"event_id":"own","event":"a"}`:             `{"event_id":"own","event":"a"}`,
		`{"event":"a","event_id": "own"}`:            `{"event":"a","event_id": "own"}`,
		`{"event":"a"}`:                              `{"event_id":"new","event":"a"}`,
		`{ }`:                                        `{"event_id":"new" }`,
		`{"event":"a","event_id": null }`:            `{"event":"a","event_id": "new" }`,
		`{"properties":{"event_id":"x"},"event":""}`: `{"event_id":"new","properties":{"event_id":"x"},"event":""}`,
		`{"event_id":""}`:                            `{"event_id":""}`,
		`["event_id"]`:                               `["event_id"]`,
		`nothing`:                                    `nothing`,
		``:                                           ``,
	} {
		if got := string(AppendIdentified(nil, []byte(raw), func() string { return "new" })); got != want {
			t.Errorf("%s became %s, want %s", raw, got, want)
		}
	}
}
