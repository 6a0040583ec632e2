package telemetry

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/trace"
)

func TestLogLinesNameTheirTrace(t *testing.T) {
	var buf bytes.Buffer
	logger := slog.New(LogHandler(slog.NewTextHandler(&buf, nil))).With("component", "x")
	span := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{0xab}, SpanID: trace.SpanID{0xcd}})
	ctx := trace.ContextWithSpanContext(t.Context(), span)
	logger.InfoContext(ctx, "inside", "key", "value")
	logger.Info("outside")
	lines := strings.Split(buf.String(), "\n")
	want := `msg=inside component=x key=value trace_id=ab000000000000000000000000000000 span_id=cd00000000000000`
	if !strings.HasSuffix(lines[0], want) {
		t.Errorf("inside a span: %s", lines[0])
	}
	if strings.Contains(lines[1], "trace_id") {
		t.Errorf("outside of one: %s", lines[1])
	}
}
