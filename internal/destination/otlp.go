package destination

import (
	"fmt"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/log"
	collogs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	logs "go.opentelemetry.io/proto/otlp/logs/v1"
	resource "go.opentelemetry.io/proto/otlp/resource/v1"
	"google.golang.org/protobuf/proto"

	"github.com/tidemark-obs/tidemark/internal/event"
)

// otlpBody is an OTLP export of log records, one an event.
func otlpBody(record func(*event.Event) log.Record) func([]byte, []event.Event) ([]byte, error) {
	return func(dst []byte, events []event.Event) ([]byte, error) {
		records := make([]*logs.LogRecord, len(events))
		for i := range events {
			r := record(&events[i])
			records[i] = logRecord(&r)
		}
		service := &common.KeyValue{Key: "service.name", Value: textValue("tidemark")}
		return proto.MarshalOptions{}.MarshalAppend(dst, &collogs.ExportLogsServiceRequest{
			ResourceLogs: []*logs.ResourceLogs{{
				Resource: &resource.Resource{Attributes: []*common.KeyValue{service}},
				ScopeLogs: []*logs.ScopeLogs{{
					Scope:      &common.InstrumentationScope{Name: "github.com/tidemark-obs/tidemark"},
					LogRecords: records,
				}},
			}},
		})
	}
}

// otlpAnswer finds out whether a collector took only some of the records. It says not which, and
// wants none of them again.
func otlpAnswer(q quoter) func(status string, reply []byte) (string, error) {
	return func(status string, reply []byte) (string, error) {
		var r collogs.ExportLogsServiceResponse
		if proto.Unmarshal(reply, &r) != nil {
			return status, nil
		}
		p := r.GetPartialSuccess()
		if p.GetRejectedLogRecords() > 0 || p.GetErrorMessage() != "" {
			status = fmt.Sprintf("%s, %d refused: %s", status, p.GetRejectedLogRecords(), q.quote(p.GetErrorMessage()))
		}
		if n := p.GetRejectedLogRecords(); n > 0 {
			return status, &partial{answer: status, refused: n}
		}
		return status, nil
	}
}

func logRecord(r *log.Record) *logs.LogRecord {
	out := &logs.LogRecord{
		TimeUnixNano: uint64(r.Timestamp().UnixNano()), ObservedTimeUnixNano: uint64(r.ObservedTimestamp().UnixNano()),
		SeverityNumber: logs.SeverityNumber(r.Severity()), SeverityText: r.SeverityText(), EventName: r.EventName(),
		Attributes: make([]*common.KeyValue, 0, r.AttributesLen()),
	}
	r.WalkAttributes(func(kv attribute.KeyValue) bool {
		out.Attributes = append(out.Attributes, keyValue(kv))
		return true
	})
	return out
}

func keyValue(kv attribute.KeyValue) *common.KeyValue {
	return &common.KeyValue{Key: string(kv.Key), Value: anyValue(kv.Value)}
}

func textValue(s string) *common.AnyValue {
	return &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: s}}
}

func anyValue(v attribute.Value) *common.AnyValue {
	switch v.Type() {
	case attribute.STRING:
		return textValue(v.AsString())
	case attribute.BOOL:
		return &common.AnyValue{Value: &common.AnyValue_BoolValue{BoolValue: v.AsBool()}}
	case attribute.INT64:
		return &common.AnyValue{Value: &common.AnyValue_IntValue{IntValue: v.AsInt64()}}
	case attribute.FLOAT64:
		return &common.AnyValue{Value: &common.AnyValue_DoubleValue{DoubleValue: v.AsFloat64()}}
	case attribute.STRINGSLICE:
		list := &common.ArrayValue{}
		for _, s := range v.AsStringSlice() {
			list.Values = append(list.Values, textValue(s))
		}
		return &common.AnyValue{Value: &common.AnyValue_ArrayValue{ArrayValue: list}}
	case attribute.SLICE:
		list := &common.ArrayValue{}
		for _, x := range v.AsSlice() {
			list.Values = append(list.Values, anyValue(x))
		}
		return &common.AnyValue{Value: &common.AnyValue_ArrayValue{ArrayValue: list}}
	case attribute.MAP:
		list := &common.KeyValueList{}
		for _, kv := range v.AsMap() {
			list.Values = append(list.Values, keyValue(kv))
		}
		return &common.AnyValue{Value: &common.AnyValue_KvlistValue{KvlistValue: list}}
	}
	return &common.AnyValue{} // null
}
