package otlptest

import (
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"strings"

	logsv1 "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	metricsv1 "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	tracev1 "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
)

type traces struct {
	tracev1.UnimplementedTraceServiceServer
	s *Sink
}

func (t traces) Export(ctx context.Context, r *tracev1.ExportTraceServiceRequest) (*tracev1.ExportTraceServiceResponse, error) {
	return &tracev1.ExportTraceServiceResponse{}, t.s.takeSpans(incoming(ctx), r)
}

type logs struct {
	logsv1.UnimplementedLogsServiceServer
	s *Sink
}

func (l logs) Export(ctx context.Context, r *logsv1.ExportLogsServiceRequest) (*logsv1.ExportLogsServiceResponse, error) {
	return &logsv1.ExportLogsServiceResponse{}, l.s.takeLogs(incoming(ctx), r)
}

type metrics struct {
	metricsv1.UnimplementedMetricsServiceServer
	s *Sink
}

func (m metrics) Export(ctx context.Context, r *metricsv1.ExportMetricsServiceRequest) (*metricsv1.ExportMetricsServiceResponse, error) {
	return &metricsv1.ExportMetricsServiceResponse{}, m.s.takeMetrics(incoming(ctx), r)
}

func incoming(ctx context.Context) map[string]string {
	md, _ := metadata.FromIncomingContext(ctx)
	all := map[string]string{}
	for k, v := range md {
		all[k] = strings.Join(v, ",")
	}
	return all
}

// handler takes the same over HTTP.
func (s *Sink) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/traces", func(w http.ResponseWriter, r *http.Request) {
		var m tracev1.ExportTraceServiceRequest
		answer(w, r, &m, &tracev1.ExportTraceServiceResponse{}, func(h map[string]string) error { return s.takeSpans(h, &m) })
	})
	mux.HandleFunc("POST /v1/logs", func(w http.ResponseWriter, r *http.Request) {
		var m logsv1.ExportLogsServiceRequest
		answer(w, r, &m, &logsv1.ExportLogsServiceResponse{}, func(h map[string]string) error { return s.takeLogs(h, &m) })
	})
	mux.HandleFunc("POST /v1/metrics", func(w http.ResponseWriter, r *http.Request) {
		var m metricsv1.ExportMetricsServiceRequest
		answer(w, r, &m, &metricsv1.ExportMetricsServiceResponse{}, func(h map[string]string) error { return s.takeMetrics(h, &m) })
	})
	return mux
}

func answer(w http.ResponseWriter, r *http.Request, into, reply proto.Message, keep func(map[string]string) error) {
	b, err := body(r)
	if err == nil {
		err = proto.Unmarshal(b, into)
	}
	if err == nil {
		headers := map[string]string{}
		for k, v := range r.Header {
			headers[strings.ToLower(k)] = strings.Join(v, ",")
		}
		err = keep(headers)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	b, err = proto.Marshal(reply)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
	_, _ = w.Write(b) // a client that left has its spans here all the same
}

func body(r *http.Request) ([]byte, error) {
	if r.Header.Get("Content-Encoding") != "gzip" {
		return io.ReadAll(r.Body)
	}
	z, err := gzip.NewReader(r.Body)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}
