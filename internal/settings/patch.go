package settings

import (
	"errors"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
)

// The bounds of the settings, and of the documents that change them.
const (
	maxBufferSize    = 100_000
	minFlushInterval = 10 * time.Millisecond
	maxFlushInterval = time.Hour

	maxDocument = 64 << 10 // bytes
	maxFaults   = 50
	maxLocation = 128 // bytes; a key is the client's to choose
)

// document is a JSON object taken apart at its top level.
type document map[string]jsontext.Value

// Apply returns s changed by patch, the body of POST /config: a JSON object with any subset of
// the keys of Document; flush_interval is a number of seconds or a Go duration such as "1s".
// Maps are merged: what they do not name stays. Every fault is reported (kind Invalid, or
// Malformed where patch is not JSON), and then s is returned as it was.
func (s Settings) Apply(patch []byte) (Settings, error) {
	doc, err := parse(patch)
	if err != nil {
		return s, err
	}
	next, faults := doc.applyTo(s)
	if len(faults) > 0 {
		return s, invalid(faults)
	}
	return next, nil
}

func parse(text []byte) (document, error) {
	if len(text) > maxDocument {
		return nil, errs.New(errs.TooLarge, "the configuration is over 64 KiB")
	}
	value := jsontext.Value(text)
	doc := document{}
	err := json.Unmarshal(value, &doc)
	var syntax *jsontext.SyntacticError
	switch {
	case err == nil && doc != nil: // JSON null leaves a nil map
		return doc, nil
	case errors.As(err, &syntax) && errors.Is(err, jsontext.ErrDuplicateName):
		return nil, invalid([]errs.Field{fault(string(syntax.JSONPointer), "stands twice")})
	case errors.As(err, &syntax):
		return nil, errs.Wrap(errs.Malformed, "the body is not valid JSON", err)
	default:
		return nil, invalid([]errs.Field{fault("", "must be an object")})
	}
}

func invalid(faults []errs.Field) error {
	return &errs.Error{Kind: errs.Invalid, Detail: "the configuration has invalid settings", Fields: faults}
}

func fault(location, message string) errs.Field {
	if len(location) > maxLocation {
		location = strings.ToValidUTF8(location[:maxLocation], "") + "…"
	}
	return errs.Field{Location: location, Message: message}
}

// applyTo returns s with every valid key of d applied, and the faults of the others.
func (d document) applyTo(s Settings) (Settings, []errs.Field) {
	s.SampleRates = maps.Clone(s.SampleRates)
	r := reader{}
	for _, key := range slices.Sorted(maps.Keys(d)) {
		at, v := pointer("", key), d[key]
		switch key {
		case "enabled":
			r.bool(at, v, &s.Enabled)
		case "debug_mode":
			r.bool(at, v, &s.DebugMode)
		case "console_logging":
			r.bool(at, v, &s.ConsoleLogging)
		case "buffer_size":
			r.bufferSize(at, v, &s.BufferSize)
		case "flush_interval":
			r.flushInterval(at, v, &s.FlushInterval)
		case "sample_rates":
			r.sampleRates(at, v, &s)
		case "thresholds":
			r.thresholds(at, v, &s.Thresholds)
		default:
			r.fail(at, "is not a setting")
		}
	}
	return s, r.faults
}

// reader reads single settings; what is out of bounds leaves its target as it was.
type reader struct{ faults []errs.Field }

func (r *reader) fail(at, message string) {
	if len(r.faults) < maxFaults {
		r.faults = append(r.faults, fault(at, message))
	}
}

func (r *reader) bool(at string, v jsontext.Value, to *bool) {
	switch v.Kind() {
	case 't', 'f':
		*to = v.Kind() == 't'
	default:
		r.fail(at, "must be true or false")
	}
}

func (r *reader) bufferSize(at string, v jsontext.Value, to *int) {
	n, ok := number(v)
	if !ok || n != math.Trunc(n) || n < 1 || n > maxBufferSize {
		r.fail(at, "must be a whole number from 1 to 100000")
		return
	}
	*to = int(n)
}

func (r *reader) flushInterval(at string, v jsontext.Value, to *time.Duration) {
	d, ok := duration(v)
	if !ok || d < minFlushInterval || d > maxFlushInterval {
		r.fail(at, "must be seconds from 0.01 to 3600, or a duration from 10ms to 1h")
		return
	}
	*to = d
}

func (r *reader) sampleRates(at string, v jsontext.Value, s *Settings) {
	for key, v := range r.object(at, v) {
		at := pointer(at, key)
		if !slices.Contains(event.Types, event.Type(key)) {
			r.fail(at, "is not an event type")
			continue
		}
		rate, ok := number(v)
		if !ok || rate <= 0 || rate > 1 {
			r.fail(at, "must be a number over 0 and up to 1; to take in no events, set enabled to false")
			continue
		}
		if s.SampleRates == nil {
			s.SampleRates = make(map[string]float64, 1)
		}
		s.SampleRates[key] = rate
	}
}

func (r *reader) thresholds(at string, v jsontext.Value, to *Thresholds) {
	for key, v := range r.object(at, v) {
		at := pointer(at, key)
		switch key {
		case "slow_request_ms":
			r.positive(at, v, &to.SlowRequestMS)
		case "high_memory_percent":
			r.percent(at, v, &to.HighMemoryPercent)
		case "high_cpu_percent":
			r.percent(at, v, &to.HighCPUPercent)
		case "high_disk_percent":
			r.percent(at, v, &to.HighDiskPercent)
		default:
			r.fail(at, "is not a threshold")
		}
	}
}

func (r *reader) positive(at string, v jsontext.Value, to *float64) {
	n, ok := number(v)
	if !ok || n <= 0 {
		r.fail(at, "must be a number over 0")
		return
	}
	*to = n
}

func (r *reader) percent(at string, v jsontext.Value, to *float64) {
	n, ok := number(v)
	if !ok || n <= 0 || n > 100 {
		r.fail(at, "must be a number over 0 and up to 100")
		return
	}
	*to = n
}

// object yields the members of v by name.
func (r *reader) object(at string, v jsontext.Value) func(yield func(string, jsontext.Value) bool) {
	return func(yield func(string, jsontext.Value) bool) {
		var members document
		if err := json.Unmarshal(v, &members); err != nil || members == nil {
			r.fail(at, "must be an object")
			return
		}
		for _, key := range slices.Sorted(maps.Keys(members)) {
			if !yield(key, members[key]) {
				return
			}
		}
	}
}

// number reads a JSON number; one beyond float64 is none.
func number(v jsontext.Value) (float64, bool) {
	if v.Kind() != '0' {
		return 0, false
	}
	var n float64
	if err := json.Unmarshal(v, &n); err != nil {
		return 0, false
	}
	return n, true
}

func duration(v jsontext.Value) (time.Duration, bool) {
	if n, ok := number(v); ok {
		if math.Abs(n) > maxFlushInterval.Seconds() { // beyond it the conversion would overflow
			return 0, false
		}
		return time.Duration(math.Round(n * float64(time.Second))), true
	}
	var text string
	if v.Kind() != '"' || json.Unmarshal(v, &text) != nil {
		return 0, false
	}
	d, err := time.ParseDuration(text)
	return d, err == nil
}

// pointer appends one name to a JSON pointer.
func pointer(parent, name string) string {
	return string(jsontext.Pointer(parent).AppendToken(name))
}

// merge returns d with patch laid over it; objects are merged one level deep.
func (d document) merge(patch document) (document, error) {
	merged := maps.Clone(d)
	for key, v := range patch {
		old, ok := d[key]
		if ok && old.Kind() == '{' && v.Kind() == '{' {
			var under, over document
			if err := errors.Join(json.Unmarshal(old, &under), json.Unmarshal(v, &over)); err != nil {
				return nil, errs.Wrap(errs.Internal, "merge the configuration", err)
			}
			maps.Copy(under, over)
			text, err := json.Marshal(under, json.Deterministic(true))
			if err != nil {
				return nil, errs.Wrap(errs.Internal, "write the configuration", err)
			}
			v = text
		}
		merged[key] = v
	}
	return merged, nil
}
