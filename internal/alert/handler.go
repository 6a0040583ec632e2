package alert

import (
	"context"
	"encoding/json"
	"net/http"
)

// maxQueryBody bounds the form that a client may post, in bytes.
const maxQueryBody = 1 << 20

// Handler answers the part of the Prometheus HTTP API that reads, under /api/v1. It bounds how
// many requests are under way, how long one may take and how many samples it may hold.
func (e *Evaluator) Handler() http.Handler { return http.HandlerFunc(e.serve) }

func (e *Evaluator) serve(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), e.timeout)
	defer cancel()
	select {
	case e.slots <- struct{}{}:
		defer func() { <-e.slots }()
	case <-ctx.Done():
		e.metrics.refused.Inc()
		unavailable(w, "too many queries are under way")
		return
	}
	g := e.engine.Load()
	if g == nil || !g.use(ctx, cancel, func(ctx context.Context) {
		r.Body = http.MaxBytesReader(w, r.Body, maxQueryBody)
		g.api.ServeHTTP(w, r.WithContext(ctx))
	}) {
		unavailable(w, "the metric store is not open; the log says why")
	}
}

// unavailable answers in the form that Prometheus' clients read.
func unavailable(w http.ResponseWriter, why string) {
	body, err := json.Marshal(map[string]string{"status": "error", "errorType": "unavailable", "error": why})
	if err != nil {
		return // strings always can
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Retry-After", "5")
	w.WriteHeader(http.StatusServiceUnavailable)
	_, _ = w.Write(body) // a client that left is no error of ours
}

// use runs f while the engine is kept open, and tells whether it is. A close cancels f.
func (g *engine) use(ctx context.Context, cancel context.CancelFunc, f func(context.Context)) bool {
	g.users.RLock()
	defer g.users.RUnlock()
	if g.ctx.Err() != nil {
		return false
	}
	defer context.AfterFunc(g.ctx, cancel)()
	f(ctx)
	return true
}
