package httpapi

import (
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// ServeHTTP answers one request: it gives it an id, runs it, times it and keeps panics from
// the connection.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rw := &response{ResponseWriter: w, request: r, now: s.deps.Now, start: s.deps.Now()}
	rw.id[0] = requestID(r)
	w.Header()[headerRequestID] = rw.id[:]
	aborted := s.guard(rw, r)
	if rw.status == 0 && !aborted {
		rw.WriteHeader(http.StatusOK)
	}
	s.finish(rw, r)
	if aborted {
		panic(http.ErrAbortHandler)
	}
}

// guard runs the request. A panic becomes a 500, or, where the answer has begun, the end of
// the connection: a cut answer must not look like a whole one.
func (s *Server) guard(rw *response, r *http.Request) (aborted bool) {
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		begun := rw.status != 0
		if v == http.ErrAbortHandler { //nolint:errorlint // the value itself is the signal
			aborted = true
			if !begun {
				rw.status = statusClientGone
			}
			return
		}
		s.deps.Logger.ErrorContext(r.Context(), "panic while answering", "route", rw.name(),
			"request_id", rw.id[0], "panic", v, "stack", string(debug.Stack()))
		if begun {
			aborted = true
			rw.status = http.StatusInternalServerError
			return
		}
		newProblem(http.StatusInternalServerError, internalDetail).write(rw)
	}()
	s.mux.ServeHTTP(rw, r)
	return false
}

// name is what timings call the request. Paths nobody serves share one name per known method:
// clients choose paths and methods.
func (w *response) name() string {
	if w.route != nil {
		return w.route.name
	}
	return knownMethod(w.request.Method) + " unmatched"
}

func knownMethod(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
		http.MethodDelete, http.MethodOptions, http.MethodConnect, http.MethodTrace:
		return method
	default:
		return "OTHER"
	}
}

// finish records the request's time, logs it, and may make it an event.
func (s *Server) finish(rw *response, r *http.Request) {
	took := s.deps.Now().Sub(rw.start)
	name := rw.name()
	failed := rw.status >= http.StatusInternalServerError
	s.deps.Operations.Record(name, took, failed)
	s.deps.ObserveOperation(r.Context(), name, took)
	s.label(rw, r, failed)
	s.logRequest(rw, r, name, took)
	s.self.offer(rw, r, took)
}

// label tells the middleware around this server what only this server knows. The route goes into
// the request that came in, whichever copy of it the mux has seen.
func (s *Server) label(rw *response, r *http.Request, failed bool) {
	r.Pattern = ""
	if rw.route != nil {
		r.Pattern = rw.route.name
	}
	if !failed {
		return
	}
	if labeler, ok := otelhttp.LabelerFromContext(r.Context()); ok {
		labeler.Add(semconv.ErrorTypeKey.String(strconv.Itoa(rw.status)))
	}
}

// logRequest writes the access log: one debug line a request, a warning for a slow one.
func (s *Server) logRequest(rw *response, r *http.Request, name string, took time.Duration) {
	level, text := slog.LevelDebug, "request"
	limit := s.deps.Settings.Current().Thresholds.SlowRequestMS
	if ms := float64(took) / float64(time.Millisecond); limit > 0 && ms > limit {
		level, text = slog.LevelWarn, "slow request"
	}
	if !s.deps.Logger.Enabled(r.Context(), level) {
		return
	}
	s.deps.Logger.LogAttrs(r.Context(), level, text, slog.String("route", name), slog.Int("status", rw.status),
		slog.Float64("duration_ms", float64(took)/float64(time.Millisecond)), slog.String("request_id", rw.id[0]))
}
