package eventjson

import (
	"errors"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/event"
)

func TestTimesTooFarAhead(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		skew    time.Duration
		refuse  bool
		event   string
		at      time.Time // zero = refused
		clamped int
		future  bool // the one cause of the refusal
	}{
		"within":           {time.Hour, true, `{"event":"e","timestamp":"2026-03-01T13:00:00Z"}`, now.Add(time.Hour), 0, false},
		"beyond, clamped":  {time.Hour, false, `{"event":"e","timestamp":"2026-03-01T13:00:00.000001Z"}`, now, 1, false},
		"far, clamped":     {time.Hour, false, `{"event":"e","timestamp":"9999-12-31T23:59:59Z"}`, now, 1, false},
		"beyond, refused":  {time.Hour, true, `{"event":"e","timestamp":"2026-03-01T13:00:00.000001Z"}`, time.Time{}, 0, true},
		"other faults too": {time.Hour, true, `{"event":"","timestamp":"2027-03-01T13:00:00Z"}`, time.Time{}, 0, false},
		"faulty, clamped":  {time.Hour, false, `{"event":"","timestamp":"2027-03-01T13:00:00Z"}`, time.Time{}, 0, false},
		"no bound":         {0, true, `{"event":"e","timestamp":"2027-03-01T12:00:00Z"}`, now.AddDate(1, 0, 0), 0, false},
		"long ago":         {time.Hour, true, `{"event":"e","timestamp":"1970-01-01T00:00:00Z"}`, time.Unix(0, 0), 0, false},
	} {
		limits := event.DefaultLimits()
		limits.FutureSkew, limits.RefuseFuture = c.skew, c.refuse
		clamped := 0
		d := NewDecoder(Options{Limits: limits, Now: func() time.Time { return now }, Clamped: func() { clamped++ }})
		var e event.Event
		_, err := d.Decode([]byte(c.event), &e)
		if (err != nil) != c.at.IsZero() || !e.Timestamp.Equal(c.at) || clamped != c.clamped || errors.Is(err, event.ErrFuture) != c.future {
			t.Errorf("%s: %v, %v, %d clamped", name, err, e.Timestamp, clamped)
		}
	}
}
