package otlp

import (
	"strings"
	"testing"

	"github.com/tidemark-obs/tidemark/internal/errs"
)

func TestFromEnv(t *testing.T) {
	const endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT"
	for name, c := range map[string]struct {
		env  map[string]string
		want Settings
		bad  string // part of the error
	}{
		"nothing is set": {},
		"one endpoint for all": {
			env:  map[string]string{endpoint: "http://c:4318"},
			want: Settings{metrics: protocolHTTP, traces: protocolHTTP, logs: protocolHTTP},
		},
		"gRPC for all but one": {
			env: map[string]string{endpoint: "http://c:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
				"OTEL_EXPORTER_OTLP_LOGS_PROTOCOL": "http/protobuf"},
			want: Settings{metrics: protocolGRPC, traces: protocolGRPC, logs: protocolHTTP},
		},
		"one signal only": {
			env:  map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://c"},
			want: Settings{traces: protocolHTTP},
		},
		"metrics are scraped": {
			env:  map[string]string{endpoint: "http://c:4318", "OTEL_METRICS_EXPORTER": "prometheus"},
			want: Settings{traces: protocolHTTP, logs: protocolHTTP},
		},
		"both": {
			env:  map[string]string{endpoint: "http://c:4318", "OTEL_METRICS_EXPORTER": "prometheus, otlp", "OTEL_LOGS_EXPORTER": "none"},
			want: Settings{metrics: protocolHTTP, traces: protocolHTTP},
		},
		"otlp without an endpoint": {env: map[string]string{"OTEL_TRACES_EXPORTER": "otlp"}},
		"disabled":                 {env: map[string]string{endpoint: "http://c:4318", "OTEL_SDK_DISABLED": "TRUE"}},
		"no URL":                   {env: map[string]string{endpoint: "collector:4317"}, bad: endpoint},
		"a scheme that is not sent to": {
			env: map[string]string{"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "ftp://user:secret@c"}, bad: "METRICS_ENDPOINT"},
		"an unknown protocol": {
			env: map[string]string{endpoint: "http://c", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"}, bad: "wants grpc or http/protobuf"},
		"an unknown exporter": {env: map[string]string{endpoint: "http://c", "OTEL_LOGS_EXPORTER": "console"}, bad: "OTEL_LOGS_EXPORTER"},
	} {
		t.Run(name, func(t *testing.T) {
			for k, v := range c.env {
				t.Setenv(k, v)
			}
			got, err := FromEnv()
			if c.bad == "" {
				if err != nil || got != c.want {
					t.Errorf("got %+v, %v; want %+v", got, err, c.want)
				}
				return
			}
			if !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), c.bad) || strings.Contains(err.Error(), "secret") {
				t.Errorf("got %v; want an error that names %q", err, c.bad)
			}
		})
	}
}
