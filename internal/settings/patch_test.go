package settings_test

import (
	"encoding/json"
	"errors"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/settings"
)

func TestApplyChangesWhatIsNamed(t *testing.T) {
	for _, c := range []struct {
		patch  string
		change func(*settings.Settings)
	}{
		{`{}`, func(*settings.Settings) {}},
		{`{"enabled":false}`, func(s *settings.Settings) { s.Enabled = false }},
		{`{"debug_mode":true,"console_logging":true}`, func(s *settings.Settings) { s.DebugMode, s.ConsoleLogging = true, true }},
		{`{"buffer_size":1}`, func(s *settings.Settings) { s.BufferSize = 1 }},
		{`{"buffer_size":1e5}`, func(s *settings.Settings) { s.BufferSize = 100_000 }},
		{`{"flush_interval":2.5}`, func(s *settings.Settings) { s.FlushInterval = 2500 * time.Millisecond }},
		{`{"flush_interval":0.01}`, func(s *settings.Settings) { s.FlushInterval = 10 * time.Millisecond }},
		{`{"flush_interval":3600}`, func(s *settings.Settings) { s.FlushInterval = time.Hour }},
		{`{"flush_interval":"1m30s"}`, func(s *settings.Settings) { s.FlushInterval = 90 * time.Second }},
		{`{"sample_rates":{"custom":0.25,"api_request":1}}`, func(s *settings.Settings) {
			s.SampleRates = map[string]float64{"page_view": 0.5, "custom": 0.25, "api_request": 1}
		}},
		{`{"sample_rates":{}}`, func(*settings.Settings) {}},
		{`{"thresholds":{"slow_request_ms":0.5}}`, func(s *settings.Settings) { s.Thresholds.SlowRequestMS = 0.5 }},
		{`{"thresholds":{"high_memory_percent":100,"high_cpu_percent":1,"high_disk_percent":50.5}}`, func(s *settings.Settings) {
			s.Thresholds = settings.Thresholds{SlowRequestMS: 2000, HighMemoryPercent: 100, HighCPUPercent: 1, HighDiskPercent: 50.5}
		}},
	} {
		base := settings.Defaults()
		base.SampleRates = map[string]float64{"page_view": 0.5}
		want := base
		want.SampleRates = maps.Clone(base.SampleRates)
		c.change(&want)
		got, err := base.Apply([]byte(c.patch))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v; want %+v", c.patch, got, err, want)
		}
		if !maps.Equal(base.SampleRates, map[string]float64{"page_view": 0.5}) {
			t.Errorf("%s changed the settings it was applied to", c.patch)
		}
	}
}

func TestApplyRefusesAndNamesEveryFault(t *testing.T) {
	for _, c := range []struct {
		patch string
		kind  errs.Kind
		at    []string
	}{
		{`{"enable":true}`, errs.Invalid, []string{"/enable"}},
		{`{"a/b~c":1}`, errs.Invalid, []string{"/a~1b~0c"}},
		{`{"enabled":null}`, errs.Invalid, []string{"/enabled"}},
		{`{"enabled":"true"}`, errs.Invalid, []string{"/enabled"}},
		{`{"enabled":1,"debug_mode":0,"buffer_size":"5"}`, errs.Invalid, []string{"/buffer_size", "/debug_mode", "/enabled"}},
		{`{"buffer_size":0}`, errs.Invalid, []string{"/buffer_size"}},
		{`{"buffer_size":100001}`, errs.Invalid, []string{"/buffer_size"}},
		{`{"buffer_size":1.5}`, errs.Invalid, []string{"/buffer_size"}},
		{`{"buffer_size":1e999}`, errs.Invalid, []string{"/buffer_size"}},
		{`{"flush_interval":0.009}`, errs.Invalid, []string{"/flush_interval"}},
		{`{"flush_interval":3600.1}`, errs.Invalid, []string{"/flush_interval"}},
		{`{"flush_interval":1e300}`, errs.Invalid, []string{"/flush_interval"}},
		{`{"flush_interval":-1}`, errs.Invalid, []string{"/flush_interval"}},
		{`{"flush_interval":"1"}`, errs.Invalid, []string{"/flush_interval"}},
		{`{"flush_interval":"2h"}`, errs.Invalid, []string{"/flush_interval"}},
		{`{"flush_interval":[1]}`, errs.Invalid, []string{"/flush_interval"}},
		{`{"sample_rates":{"custom":0,"page_view":1.1,"nothing":0.5,"api_error":"1"}}`, errs.Invalid,
			[]string{"/sample_rates/api_error", "/sample_rates/custom", "/sample_rates/nothing", "/sample_rates/page_view"}},
		{`{"sample_rates":0.5}`, errs.Invalid, []string{"/sample_rates"}},
		{`{"sample_rates":null}`, errs.Invalid, []string{"/sample_rates"}},
		{`{"thresholds":{"slow_request_ms":0,"high_cpu_percent":101,"high":1}}`, errs.Invalid,
			[]string{"/thresholds/high", "/thresholds/high_cpu_percent", "/thresholds/slow_request_ms"}},
		{`{"thresholds":[]}`, errs.Invalid, []string{"/thresholds"}},
		{`{"enabled":true,"enabled":false}`, errs.Invalid, []string{"/enabled"}},
		{`{"thresholds":{"high_cpu_percent":1,"high_cpu_percent":2}}`, errs.Invalid, []string{"/thresholds/high_cpu_percent"}},
		{`[]`, errs.Invalid, []string{""}},
		{`null`, errs.Invalid, []string{""}},
		{`true`, errs.Invalid, []string{""}},
		{``, errs.Malformed, nil},
		{`{"enabled":true`, errs.Malformed, nil},
		{`{"enabled":true} {}`, errs.Malformed, nil},
		{"{\"\xff\":true}", errs.Malformed, nil},
		{`{"a":` + strings.Repeat("[", 100_000), errs.TooLarge, nil},
		{`{"a":` + strings.Repeat("[", 60_000), errs.Malformed, nil},
	} {
		name := c.patch[:min(len(c.patch), 60)]
		base := settings.Defaults()
		got, err := base.Apply([]byte(c.patch))
		var e *errs.Error
		if !errors.As(err, &e) || e.Kind != c.kind {
			t.Errorf("%s: %v, want kind %d", name, err, c.kind)
			continue
		}
		var at []string
		for _, f := range e.Fields {
			at = append(at, f.Location)
		}
		if !slices.Equal(at, c.at) {
			t.Errorf("%s: faults at %q, want %q", name, at, c.at)
		}
		if !reflect.DeepEqual(got, base) {
			t.Errorf("%s: something was applied: %+v", name, got)
		}
	}
}

func TestFaultsAreBoundedAndHoldNoValues(t *testing.T) {
	doc := map[string]any{"buffer_size": "hunter2-value"}
	for i := range 200 {
		doc[strings.Repeat("k", 150)+string(rune('a'+i%26))+strings.Repeat("x", i)] = "hunter2-value"
	}
	text, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	_, err = settings.Defaults().Apply(text)
	var e *errs.Error
	if !errors.As(err, &e) || len(e.Fields) != 50 {
		t.Fatalf("want 50 faults, got %v", err)
	}
	for _, f := range e.Fields {
		if len(f.Location) > 140 || strings.Contains(f.Location+f.Message, "hunter2") {
			t.Fatalf("fault %+v is too long or repeats a value", f)
		}
	}
}

func TestJSONForm(t *testing.T) {
	s := settings.Defaults()
	got, err := json.Marshal(s)
	want := `{"enabled":true,"debug_mode":false,"console_logging":false,"buffer_size":100,"flush_interval":1,` +
		`"sample_rates":{},"thresholds":{"slow_request_ms":2000,"high_memory_percent":85,"high_cpu_percent":90,"high_disk_percent":90}}`
	if err != nil || string(got) != want {
		t.Errorf("%s, %v; want %s", got, err, want)
	}
	s.SampleRates = map[string]float64{"custom": 0.1}
	s.FlushInterval = 1234567890 * time.Nanosecond
	if got, err = json.Marshal(s); err != nil {
		t.Fatal(err)
	}
	back, err := settings.Defaults().Apply(got)
	if err != nil || !reflect.DeepEqual(back, s) {
		t.Errorf("what is answered cannot be sent back: %+v, %v", back, err)
	}
	s.Document().SampleRates["custom"] = 1
	if s.SampleRates["custom"] != 0.1 {
		t.Error("a document shares its map with the settings")
	}
}

func TestValidate(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*settings.Settings)
		ok     bool
	}{
		{"defaults", func(*settings.Settings) {}, true},
		{"no buffer", func(s *settings.Settings) { s.BufferSize = 0 }, false},
		{"no interval", func(s *settings.Settings) { s.FlushInterval = 0 }, false},
		{"unknown type", func(s *settings.Settings) { s.SampleRates = map[string]float64{"x": 0.5} }, false},
		{"not a number", func(s *settings.Settings) { s.Thresholds.HighCPUPercent = math.NaN() }, false},
	} {
		s := settings.Defaults()
		c.change(&s)
		if err := s.Validate(); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestSampleRate(t *testing.T) {
	s := settings.Defaults()
	s.SampleRates = map[string]float64{"custom": 0.1}
	if a, b := s.SampleRate(event.Custom), s.SampleRate(event.PageView); a != 0.1 || b != 1 {
		t.Errorf("rates %v and %v, want 0.1 and 1", a, b)
	}
}

func FuzzApply(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"enabled":false,"buffer_size":5,"flush_interval":"1s"}`, `{"sample_rates":{"custom":0.5}}`,
		`{"thresholds":{"slow_request_ms":1e-9}}`, `{"flush_interval":0.0100000001}`, `[`, "\xff", `{"":{"":null}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, patch []byte) {
		s, err := settings.Defaults().Apply(patch)
		if err != nil {
			if k := errs.KindOf(err); k != errs.Invalid && k != errs.Malformed && k != errs.TooLarge {
				t.Fatalf("kind %d: %v", k, err)
			}
			if !reflect.DeepEqual(s, settings.Defaults()) {
				t.Fatal("a refused patch was applied")
			}
			return
		}
		if err := s.Validate(); err != nil {
			t.Fatalf("an accepted patch leaves invalid settings: %v", err)
		}
	})
}
