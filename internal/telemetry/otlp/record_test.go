package otlp

import (
	"context"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/telemetry/otlp/otlptest"
)

// An event with everything arrives with everything.
func TestEventAsLogRecord(t *testing.T) {
	sink := otlptest.Start(t)
	s := setup(t, sink.Endpoint(protocolHTTP), protocolHTTP)
	at := time.Date(2026, 2, 3, 4, 5, 6, 789000, time.UTC)
	span := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled})
	s.Events().Offer(trace.ContextWithSpanContext(context.Background(), span), &event.Event{
		ID: "e1", Name: "signup", Type: event.Custom, Timestamp: at, ReceivedAt: at.Add(time.Second),
		UserID: "u1", AnonymousID: "a1", SessionID: "s1", Severity: event.High, Tags: []string{"x", "y"},
		Source: "web", UserAgent: "curl", IPAddress: "10.0.0.0", Referrer: "https://r", Timezone: "Europe/Berlin", SampleRate: 0.5,
		Properties: event.Object(`{"plan":"pro","n":9007199254740993,"f":1.5,"big":1e400,"ok":true,"none":null,"user.id":"forged","deep":{"a":[1,"b",{"c":2}]}}`),
		Metadata:   event.Object(`{"build":7}`),
	})
	s.Close(t.Context())

	all := sink.Events()
	if len(all) != 1 {
		t.Fatalf("%d events arrived, want 1", len(all))
	}
	r := all[0]
	if r.GetEventName() != "signup" || r.GetBody().GetValue() != nil || r.GetTimeUnixNano() != uint64(at.UnixNano()) ||
		r.GetObservedTimeUnixNano() != uint64(at.Add(time.Second).UnixNano()) || r.GetSeverityNumber() != 17 || r.GetSeverityText() != "high" {
		t.Errorf("the record's own fields: %v", r)
	}
	if trace.TraceID(r.GetTraceId()) != span.TraceID() || trace.SpanID(r.GetSpanId()) != span.SpanID() {
		t.Errorf("the record is not of the request's span: %x %x", r.GetTraceId(), r.GetSpanId())
	}
	want := map[string]string{
		"log.record.uid": `{"stringValue":"e1"}`, "tidemark.event.type": `{"stringValue":"custom"}`,
		"user.id": `{"stringValue":"u1"}`, "enduser.pseudo.id": `{"stringValue":"a1"}`, "session.id": `{"stringValue":"s1"}`,
		"user_agent.original": `{"stringValue":"curl"}`, "client.address": `{"stringValue":"10.0.0.0"}`,
		"http.request.header.referer": `{"arrayValue":{"values":[{"stringValue":"https://r"}]}}`,
		"tidemark.source":             `{"stringValue":"web"}`, "tidemark.timezone": `{"stringValue":"Europe/Berlin"}`,
		"tidemark.tags":        `{"arrayValue":{"values":[{"stringValue":"x"},{"stringValue":"y"}]}}`,
		"tidemark.sample_rate": `{"doubleValue":0.5}`,
		"tidemark.metadata":    `{"kvlistValue":{"values":[{"key":"build","value":{"intValue":"7"}}]}}`,
		"plan":                 `{"stringValue":"pro"}`, "n": `{"intValue":"9007199254740993"}`, "f": `{"doubleValue":1.5}`,
		"big": `{"stringValue":"1e400"}`, "ok": `{"boolValue":true}`, "none": `{}`,
		"deep": `{"kvlistValue":{"values":[{"key":"a","value":{"arrayValue":{"values":[{"intValue":"1"},{"stringValue":"b"},` +
			`{"kvlistValue":{"values":[{"key":"c","value":{"intValue":"2"}}]}}]}}}]}}`,
	}
	got := map[string]string{}
	for _, kv := range r.GetAttributes() {
		if _, twice := got[kv.GetKey()]; twice {
			t.Errorf("%s is there twice", kv.GetKey())
		}
		got[kv.GetKey()] = text(t, kv.GetValue())
	}
	for k, v := range want {
		if got[k] != v {
			t.Errorf("%s = %s, want %s", k, got[k], v)
		}
		delete(got, k)
	}
	for k := range got {
		t.Errorf("%s is there and should not be", k)
	}
}

// text prints a value as compact JSON; protojson itself varies its white space.
func text(t *testing.T, v *commonpb.AnyValue) string {
	t.Helper()
	if v == nil {
		return "{}"
	}
	b, err := protojson.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var compact []byte
	quoted := false
	for _, c := range b {
		quoted = quoted != (c == '"')
		if c != ' ' || quoted {
			compact = append(compact, c)
		}
	}
	return string(compact)
}

func TestBareEvent(t *testing.T) {
	r := Record(&event.Event{ID: "e1", Name: "n", Type: event.PageView, Severity: event.Low, SampleRate: 1})
	if r.AttributesLen() != 2 {
		t.Errorf("an event without context has %d attributes, want its id and type", r.AttributesLen())
	}
	if r.Body().Type() != attribute.EMPTY {
		t.Error("an event has a body")
	}
	for _, c := range []struct {
		severity event.Severity
		number   int
	}{{event.Low, 9}, {event.Medium, 13}, {event.High, 17}, {event.Critical, 21}} {
		if got := int(severity(c.severity)); got != c.number {
			t.Errorf("%s is %d, want %d", c.severity, got, c.number)
		}
	}
}
