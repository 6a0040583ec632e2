package eventjson

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
)

var testNow = time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.UTC)

func testDecoder(change ...func(*Options)) *Decoder {
	o := Options{
		Limits:    event.DefaultLimits(),
		Sensitive: DefaultSensitive(),
		SlowMS:    func() float64 { return 2000 },
		Now:       func() time.Time { return testNow.Add(789) },
	}
	for _, c := range change {
		c(&o)
	}
	return NewDecoder(o)
}

// decoded is the event in raw, which must be good.
func decoded(t *testing.T, d *Decoder, raw string) event.Event {
	t.Helper()
	var e event.Event
	if _, err := d.Decode([]byte(raw), &e); err != nil {
		t.Fatalf("%s: %v %v", raw, err, fieldsOf(err))
	}
	return e
}

func fieldsOf(err error) []errs.Field {
	var e *errs.Error
	if errors.As(err, &e) {
		return e.Fields
	}
	return nil
}

func locationsOf(fields []errs.Field) []string {
	var all []string
	for _, f := range fields {
		all = append(all, f.Location)
	}
	return all
}

// wantInvalid checks that err is of kind Invalid and names exactly these locations.
func wantInvalid(t *testing.T, err error, want ...string) {
	t.Helper()
	if !errs.Is(err, errs.Invalid) {
		t.Fatalf("error %v of kind %v, want kind Invalid", err, errs.KindOf(err))
	}
	got := locationsOf(fieldsOf(err))
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("problems at %q, want %q: %v", got, want, fieldsOf(err))
	}
}

// nested is a value of so many levels.
func nested(levels int, open, shut string) string {
	return strings.Repeat(open, levels) + strings.Repeat(shut, levels)
}
