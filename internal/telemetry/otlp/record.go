package otlp

import (
	"bytes"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/log"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/tidemark-obs/tidemark/internal/event"
)

// scope names the instrumentation of log lines and events.
const scope = "github.com/tidemark-obs/tidemark"

// Attributes that no convention names.
const (
	keyEventType   = "tidemark.event.type"
	keyTags        = "tidemark.tags"
	keySource      = "tidemark.source"
	keyTimezone    = "tidemark.timezone"
	keySampleRate  = "tidemark.sample_rate"
	keyMetadata    = "tidemark.metadata"
	keyReferrer    = "http.request.header.referer"
	fixedAttribute = 13
)

// Record is an event as a log record. Properties become attributes under their own names; where
// one is named as an attribute of the event itself, the event's counts.
func Record(e *event.Event) log.Record {
	var r log.Record
	r.SetEventName(e.Name)
	r.SetTimestamp(e.Timestamp)
	r.SetObservedTimestamp(e.ReceivedAt)
	r.SetSeverity(severity(e.Severity))
	r.SetSeverityText(string(e.Severity))

	attrs := make([]attribute.KeyValue, 0, fixedAttribute+bytes.Count(e.Properties, []byte{':'}))
	attrs = append(attrs, semconv.LogRecordUID(e.ID), attribute.String(keyEventType, string(e.Type)))
	for _, a := range []attribute.KeyValue{
		semconv.UserID(e.UserID), semconv.EnduserPseudoID(e.AnonymousID), semconv.SessionID(e.SessionID),
		semconv.UserAgentOriginal(e.UserAgent), semconv.ClientAddress(e.IPAddress),
		attribute.String(keySource, e.Source), attribute.String(keyTimezone, e.Timezone),
	} {
		if a.Value.AsString() != "" {
			attrs = append(attrs, a)
		}
	}
	if e.Referrer != "" {
		attrs = append(attrs, attribute.StringSlice(keyReferrer, []string{e.Referrer}))
	}
	if len(e.Tags) > 0 {
		attrs = append(attrs, attribute.StringSlice(keyTags, e.Tags))
	}
	if e.SampleRate > 0 && e.SampleRate < 1 {
		attrs = append(attrs, attribute.Float64(keySampleRate, e.SampleRate))
	}
	if m := object(e.Metadata); len(m) > 0 {
		attrs = append(attrs, attribute.Map(keyMetadata, m...))
	}
	own := len(attrs)
	for _, a := range object(e.Properties) {
		if !has(attrs[:own], a.Key) {
			attrs = append(attrs, a)
		}
	}
	r.AddAttributes(attrs...)
	return r
}

func severity(s event.Severity) log.Severity {
	switch s {
	case event.Medium:
		return log.SeverityWarn
	case event.High:
		return log.SeverityError
	case event.Critical:
		return log.SeverityFatal
	default:
		return log.SeverityInfo
	}
}

func has(attrs []attribute.KeyValue, key attribute.Key) bool {
	for i := range attrs {
		if attrs[i].Key == key {
			return true
		}
	}
	return false
}

// object reads the members of a JSON object, nil where there is none. Events hold valid JSON of
// bounded depth without duplicate names: that was checked when they came in.
func object(o event.Object) []attribute.KeyValue {
	if len(o) == 0 {
		return nil
	}
	d := jsontext.NewDecoder(bytes.NewReader(o), jsontext.AllowDuplicateNames(true))
	v, err := value(d)
	if err != nil || v.Type() != attribute.MAP {
		return nil
	}
	return v.AsMap()
}

func value(d *jsontext.Decoder) (attribute.Value, error) {
	t, err := d.ReadToken()
	if err != nil {
		return attribute.Value{}, err
	}
	switch t.Kind() {
	case '"':
		return attribute.StringValue(t.String()), nil
	case 't', 'f':
		return attribute.BoolValue(t.Bool()), nil
	case '0':
		return numeric(t), nil
	case '{':
		return members(d)
	case '[':
		return elements(d)
	default: // null
		return attribute.Value{}, nil
	}
}

// numeric keeps whole numbers whole as far as 64 bits go.
func numeric(t jsontext.Token) attribute.Value {
	if n, err := strconv.ParseInt(t.String(), 10, 64); err == nil {
		return attribute.Int64Value(n)
	}
	f, err := strconv.ParseFloat(t.String(), 64)
	if err != nil { // beyond a double's range: kept as it was sent
		return attribute.StringValue(t.String())
	}
	return attribute.Float64Value(f)
}

func members(d *jsontext.Decoder) (attribute.Value, error) {
	var list []attribute.KeyValue
	for d.PeekKind() != '}' {
		name, err := d.ReadToken()
		if err != nil {
			return attribute.Value{}, err
		}
		key := name.String() // the token is void after the next read
		v, err := value(d)
		if err != nil {
			return attribute.Value{}, err
		}
		list = append(list, attribute.KeyValue{Key: attribute.Key(key), Value: v})
	}
	_, err := d.ReadToken()
	return attribute.MapValue(list...), err
}

func elements(d *jsontext.Decoder) (attribute.Value, error) {
	var list []attribute.Value
	for d.PeekKind() != ']' {
		v, err := value(d)
		if err != nil {
			return attribute.Value{}, err
		}
		list = append(list, v)
	}
	_, err := d.ReadToken()
	return attribute.SliceValue(list...), err
}
