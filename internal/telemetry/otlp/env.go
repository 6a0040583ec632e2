package otlp

import (
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/tidemark-obs/tidemark/internal/errs"
)

// The values of OTEL_EXPORTER_OTLP_PROTOCOL that are understood.
const (
	protocolGRPC = "grpc"
	protocolHTTP = "http/protobuf"
)

// Settings say what is exported and how. Endpoints, headers, certificates, compression, timeouts,
// queues and intervals are read from the environment by the exporters themselves.
type Settings struct {
	metrics, traces, logs string // the protocol; empty = off
}

// Any reports whether anything is exported.
func (s Settings) Any() bool { return s != Settings{} }

// Logs reports whether log records are exported.
func (s Settings) Logs() bool { return s.logs != "" }

// FromEnv reads the standard variables. Values that would be passed over in silence are errors:
// a service that seems to export and does not is found out too late.
func FromEnv() (Settings, error) {
	var s Settings
	if Disabled() {
		return s, nil
	}
	for _, signal := range []struct {
		name string
		to   *string
	}{{"METRICS", &s.metrics}, {"TRACES", &s.traces}, {"LOGS", &s.logs}} {
		protocol, err := signalFromEnv(signal.name)
		if err != nil {
			return Settings{}, err
		}
		*signal.to = protocol
	}
	return s, nil
}

// Disabled reports whether OTEL_SDK_DISABLED switches tracing and every export off.
func Disabled() bool { return strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") }

// signalFromEnv returns the protocol of one signal, empty when it is not exported.
func signalFromEnv(signal string) (string, error) {
	on, err := wanted("OTEL_" + signal + "_EXPORTER")
	if err != nil || !on {
		return "", err
	}
	key, endpoint := either("OTEL_EXPORTER_OTLP_"+signal+"_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
	if endpoint == "" {
		return "", nil
	}
	if u, err := url.Parse(endpoint); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return "", invalid(key, "wants a URL as http://collector:4318")
	}
	key, protocol := either("OTEL_EXPORTER_OTLP_"+signal+"_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
	switch protocol {
	case "":
		return protocolHTTP, nil
	case protocolGRPC, protocolHTTP:
		return protocol, nil
	default:
		return "", invalid(key, "wants "+protocolGRPC+" or "+protocolHTTP)
	}
}

// wanted reads OTEL_…_EXPORTER: a list of which otlp is the one that matters here. Prometheus
// scrapes the service in any case.
func wanted(key string) (bool, error) {
	list := os.Getenv(key)
	if list == "" {
		return true, nil
	}
	on := false
	for name := range strings.SplitSeq(list, ",") {
		switch strings.TrimSpace(name) {
		case "otlp":
			on = true
		case "none", "prometheus":
		default:
			return false, invalid(key, "wants otlp, none or prometheus")
		}
	}
	return on, nil
}

func either(first, second string) (key, value string) {
	if v := os.Getenv(first); v != "" {
		return first, v
	}
	return second, os.Getenv(second)
}

// number reads a size that the SDK reads too; 0 where it is not one, as the SDK takes it.
func number(key string) int {
	n, err := strconv.Atoi(os.Getenv(key))
	if err != nil || n <= 0 {
		return 0
	}
	return n
}

// invalid does not repeat the value: endpoints may carry passwords.
func invalid(key, what string) error {
	return errs.New(errs.Invalid, fmt.Sprintf("the environment's %s %s", key, what))
}
