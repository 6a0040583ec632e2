package httpapi

import (
	"net/http"

	"github.com/tidemark-obs/tidemark/internal/access"
)

// handler answers a request or returns the error to answer with; not both.
type handler func(w http.ResponseWriter, r *http.Request) error

// route is one operation.
type route struct {
	method string
	path   string       // as documented
	match  string       // the mux's pattern where it is not the path
	slash  bool         // answers with a slash at the end as well
	scope  access.Scope // what a key must have
	open   bool         // answers everybody
	door   bool         // takes events in; never becomes an event itself
	prom   bool         // answers failures as Prometheus does, for its clients
	name   string       // "METHOD path"; made by handle
}

// handle puts a route on the mux. Its name, not the mux's pattern, is what timings and events
// call it.
func (s *Server) handle(rt route, h handler) {
	rt.name = rt.method + " " + rt.path
	s.routes = append(s.routes, rt.name)
	pattern := rt.path
	if rt.match != "" {
		pattern = rt.match
	}
	answer := func(w http.ResponseWriter, r *http.Request) {
		r.Pattern = rt.name
		rw := w.(*response) // ServeHTTP is the only way here
		rw.route = &rt
		err := s.admit(rw, r)
		if err == nil {
			err = h(w, r)
		}
		if err != nil {
			s.fail(w, r, err)
		}
	}
	s.mux.HandleFunc(rt.method+" "+pattern, answer)
	if rt.slash {
		s.mux.HandleFunc(rt.method+" "+pattern+"/{$}", answer)
	}
}

// admit lets a request in when its key allows it and has not used up its share.
func (s *Server) admit(rw *response, r *http.Request) error {
	if rw.route.open {
		return nil
	}
	p, err := s.deps.Access.Authorize(r, rw.route.scope)
	if err != nil {
		return err
	}
	rw.principal = p
	return s.deps.Access.Admit(r, p, 1)
}

// charge counts the other events of a batch like requests of their own.
func (s *Server) charge(w http.ResponseWriter, r *http.Request, events int) error {
	if rw, ok := w.(*response); ok && events > 1 {
		return s.deps.Access.Admit(r, rw.principal, events-1)
	}
	return nil
}

// fail answers with the problem that err is.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	p := problemOf(err)
	s.logFault(w, r, p)
	if rw, ok := w.(*response); ok && rw.route.prom {
		writePrometheusError(w, p)
		return
	}
	p.write(w)
}

// logFault logs what is our fault; what is the client's, or passes, would fill the log.
func (s *Server) logFault(w http.ResponseWriter, r *http.Request, p *Problem) {
	if p.Status == http.StatusInternalServerError {
		s.deps.Logger.ErrorContext(r.Context(), "request failed", "route", r.Pattern,
			"request_id", requestIDOf(w), "error", p.cause)
	}
}
