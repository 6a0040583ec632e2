package httpapi

import (
	"net/http"

	"github.com/tidemark-obs/tidemark/internal/access"
)

// prometheusBase is where the Prometheus HTTP API lives.
const prometheusBase = "/api/v1"

// registerPrometheus puts the Prometheus HTTP API behind the same keys, names and timings as
// everything else. Only what reads is let through, each path by itself.
func (s *Server) registerPrometheus() {
	if s.deps.Prometheus == nil {
		return
	}
	for _, path := range []string{"/query", "/query_range", "/query_exemplars", "/series", "/labels"} {
		s.prometheus(http.MethodGet, path)
		s.prometheus(http.MethodPost, path) // a long query goes in a form
	}
	for _, path := range []string{"/label/{name}/values", "/metadata", "/rules", "/alerts", "/targets", "/status/buildinfo"} {
		s.prometheus(http.MethodGet, path)
	}
}

func (s *Server) prometheus(method, path string) {
	s.handle(route{method: method, path: prometheusBase + path, scope: access.Read, prom: true},
		func(w http.ResponseWriter, r *http.Request) error {
			s.deps.Prometheus.ServeHTTP(w, r)
			return nil
		})
}

// prometheusError is a failure in the form that Prometheus' clients read.
type prometheusError struct {
	Status    string `json:"status"`
	ErrorType string `json:"errorType"`
	Error     string `json:"error"`
}

// writePrometheusError answers with a problem in Prometheus' form.
func writePrometheusError(w http.ResponseWriter, p *Problem) {
	for name, values := range p.GetHeaders() {
		w.Header()[name] = values
	}
	kind := map[int]string{
		http.StatusUnauthorized: "unauthorized", http.StatusForbidden: "forbidden",
		http.StatusTooManyRequests: "too_many_requests", http.StatusServiceUnavailable: "unavailable",
	}[p.Status]
	if kind == "" {
		kind = "internal"
	}
	body, err := encode(prometheusError{Status: "error", ErrorType: kind, Error: p.Detail})
	if err != nil { // only texts that are not UTF-8, and those are ours
		body = []byte("{}\n")
	}
	writeRaw(w, p.Status, body)
}
