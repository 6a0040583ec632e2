package httpapi

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"
	"golang.org/x/sync/singleflight"

	"github.com/tidemark-obs/tidemark/internal/access"
)

// base is where the analytics API lives.
const base = "/api/analytics"

// Server answers the API. It is an http.Handler.
type Server struct {
	deps    Deps
	mux     *http.ServeMux
	api     huma.API
	bodies  *bodies
	intakes intakes
	self    *recorder
	spec    []byte
	routes  []string // as METHOD path
	probe   singleflight.Group
	exports chan struct{} // as many as may run at once
}

// New returns a server for everything the API has. Close it.
func New(d Deps) (*Server, error) {
	if err := d.check(); err != nil {
		return nil, err
	}
	if d.Limits == (Limits{}) {
		d.Limits = DefaultLimits()
	}
	s := &Server{deps: d, mux: http.NewServeMux(), bodies: newBodies(d.Limits), exports: make(chan struct{}, exports)}
	s.api = s.newAPI()
	s.registerDoors()
	s.registerEventReads()
	s.registerQuestions()
	s.registerJourneys()
	s.registerSQL()
	s.registerEventChanges()
	s.registerExport()
	s.registerImport()
	s.registerErasures()
	s.registerService()
	s.registerPerformance()
	s.registerHealth()
	s.registerAccounts()
	s.registerKeys()
	s.registerAlerts()
	s.registerDestinations()
	s.registerMachine()
	s.registerPrometheus()
	spec, err := s.document()
	if err != nil {
		return nil, err
	}
	s.spec = spec
	s.self = newRecorder(d)
	return s, nil
}

// Handler returns the server as what it is.
func (s *Server) Handler() http.Handler { return s }

// Routes names everything there is, as METHOD path: what requests are timed under.
func (s *Server) Routes() []string { return slices.Clone(s.routes) }

// Close hands the recorded requests that wait to the intake, as far as ctx allows, and joins
// what New started. No request may be under way.
func (s *Server) Close(ctx context.Context) error { return s.self.close(ctx) }

// RecordingsDropped is how many of the service's own requests were not recorded as events
// because too many waited.
func (s *Server) RecordingsDropped() uint64 { return s.self.dropped.Load() }

// front is what a browser finds that opens the address. Its links hold below any prefix.
const front = `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Tidemark</title>
<h1>Tidemark</h1>
<p>Where there are access keys, all but the last two of these pages want one.</p>
<ul>
<li><a href="api/analytics/events/recent">the latest events</a>
<li><a href="api/analytics/events/stats">statistics</a>
<li><a href="api/analytics/ledger">what became of all events</a>
<li><a href="api/analytics/alerts">what is wrong, if anything</a>
<li><a href="metrics">metrics</a>
<li><a href="api/openapi.json">everything else: the OpenAPI document</a>
<li><a href="-/ready">whether it is ready</a>
</ul>
</html>
`

// registerMachine puts what programs read beside the API: metrics and the OpenAPI document; and for who only has
// the address, where to go on.
func (s *Server) registerMachine() {
	s.handle(route{method: http.MethodGet, path: "/", match: "/{$}", open: true},
		func(w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_, _ = w.Write([]byte(front)) // a client that left is no error of ours
			return nil
		})
	s.handle(route{method: http.MethodGet, path: "/metrics", scope: access.Read},
		func(w http.ResponseWriter, r *http.Request) error {
			s.deps.Metrics.ServeHTTP(w, r)
			return nil
		})
	s.handle(route{method: http.MethodGet, path: "/api/openapi.json", open: true},
		func(w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("Content-Type", "application/openapi+json")
			_, _ = w.Write(s.spec) // a client that left is no error of ours
			return nil
		})
}

func (d *Deps) check() error {
	for _, missing := range []bool{
		d.Intake == nil, d.Backlog == nil, d.Accounts == nil, d.Events == nil, d.Archive == nil, d.Erasures == nil, d.Upkeep == nil, d.Questions == nil, d.Journeys == nil, d.SQL == nil, d.Settings == nil,
		d.Access == nil, d.Keys == nil, d.Operations == nil, d.System == nil, d.Decoder == nil,
		d.Alerts == nil, d.Silences == nil, d.AlertHistory == nil, d.Destinations == nil,
		d.Reload == nil, d.Metrics == nil, d.ObserveOperation == nil, d.Logger == nil, d.Now == nil,
	} {
		if missing {
			return errors.New("httpapi: a dependency is missing")
		}
	}
	return nil
}
