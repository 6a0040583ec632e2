package client

import (
	"cmp"
	"context"
	"net/http"
	"os"
	"strings"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// MiddlewareConfig says what Middleware does. The zero value is a good one.
type MiddlewareConfig struct {
	// Where metrics and spans go, and how callers name their spans; the global ones when nil.
	MeterProvider  metric.MeterProvider
	TracerProvider trace.TracerProvider
	Propagator     propagation.TextMapPropagator

	// ServerName is the server.address of metrics and spans. Without one it is the client's Source,
	// or the name of the machine: the request's Host would let callers choose labels.
	ServerName string
	// Public is for a server that anybody can reach: a span that a caller names becomes a link, not
	// the parent.
	Public bool

	// Route names the route of a request once it was served, such as "GET /users/{id}"; what
	// http.ServeMux found, or SetRoute or Routed said, when nil.
	Route func(*http.Request) string

	// Headers in which a proxy that you trust says who the caller is; empty = none. The context
	// has the last word.
	UserHeader, AnonymousHeader, SessionHeader string

	// Exclude lists paths that pass untouched; one that ends with a slash stands for all below it.
	Exclude []string

	// SampleRate is the share of requests that become events: 0 = all, below 0 = none but failures.
	// SampleRates has those of single routes, such as "GET /users/{id}". A person is wholly in or
	// out. Failures, from status 500 up, are always events.
	SampleRate  float64
	SampleRates map[string]float64

	// NoEvents leaves events out, NoHeaders X-Response-Time and X-Request-ID.
	NoEvents, NoHeaders bool

	// Served is told of every request, within its span. Whole is false where a panic ended it.
	Served func(r *http.Request, whole bool)
}

// Middleware returns what measures every request of a server: by otelhttp as a histogram and a
// span, and as an api_request or api_error event. Put it around the router, not behind it.
//
// A panic is counted as a 500 and goes on. The ResponseWriter keeps Flusher, Hijacker, Pusher,
// ReaderFrom and CloseNotifier, and leads http.ResponseController to the rest.
func (c *Client) Middleware(m MiddlewareConfig) func(http.Handler) http.Handler {
	w := &middleware{c: c, m: m, events: !c.idle() && !m.NoEvents}
	if w.m.ServerName == "" {
		w.m.ServerName = serverName(c)
	}
	if m.MeterProvider == nil {
		w.m.MeterProvider = otel.GetMeterProvider()
	}
	if m.Propagator == nil {
		w.m.Propagator = otel.GetTextMapPropagator()
	}
	w.watches = w.events || !m.NoHeaders || m.Route == nil
	w.cut = newCutShort(w.m.MeterProvider, w.m.ServerName)
	return w.wrap
}

func serverName(c *Client) string {
	if c != nil && c.cfg.Source != "" {
		return c.cfg.Source
	}
	host, _ := os.Hostname()
	return cmp.Or(host, "unknown")
}

// middleware is what one call of Middleware made.
type middleware struct {
	c       *Client
	m       MiddlewareConfig
	cut     cutShort
	events  bool
	watches bool // the answer
}

func (m *middleware) wrap(next http.Handler) http.Handler {
	inner := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { m.serve(w, r, next) })
	timed := func(more ...otelhttp.Option) http.Handler {
		options := append(more, otelhttp.WithMeterProvider(m.m.MeterProvider), otelhttp.WithPropagators(m.m.Propagator),
			otelhttp.WithServerName(m.m.ServerName+noPort))
		if m.m.TracerProvider != nil {
			options = append(options, otelhttp.WithTracerProvider(m.m.TracerProvider))
		}
		return otelhttp.NewHandler(inner, "http", options...)
	}
	h := timed()
	if m.m.Public {
		public := timed(otelhttp.WithPublicEndpointFn(func(*http.Request) bool { return true }))
		h = byParent{fields: headerNames(m.m.Propagator), without: h, with: public}
	}
	if len(m.m.Exclude) > 0 {
		return excluding{paths: m.m.Exclude, plain: next, measured: h}
	}
	return h
}

// excluding lets some paths pass untouched.
type excluding struct {
	paths           []string
	plain, measured http.Handler
}

func (e excluding) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for _, p := range e.paths {
		if r.URL.Path == p || strings.HasSuffix(p, "/") && strings.HasPrefix(r.URL.Path, p) {
			e.plain.ServeHTTP(w, r)
			return
		}
	}
	e.measured.ServeHTTP(w, r)
}

// byParent keeps from requests that name no parent what it costs to set one aside.
type byParent struct {
	fields        []string
	without, with http.Handler
}

func (b byParent) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for _, f := range b.fields {
		if len(r.Header[f]) > 0 {
			b.with.ServeHTTP(w, r)
			return
		}
	}
	b.without.ServeHTTP(w, r)
}

// headerNames are the headers that a propagator reads.
func headerNames(p propagation.TextMapPropagator) (names []string) {
	for _, f := range p.Fields() {
		names = append(names, http.CanonicalHeaderKey(f))
	}
	return names
}

// serve is within otelhttp: what it adds to the labeler and to the span is seen there.
func (m *middleware) serve(w http.ResponseWriter, r *http.Request, next http.Handler) {
	start, whole := time.Now(), false
	if !m.watches {
		defer func() {
			m.name(r, "")
			m.conclude(r, start, whole)
		}()
		next.ServeHTTP(w, r)
		whole = true
		return
	}
	x := newExchange(w, start)
	if !m.m.NoHeaders {
		x.id = requestID(r, start)
		x.headers(w)
	}
	// The copy that knows who asks; what the router notes in it goes back to otelhttp's own.
	seen := r.WithContext(context.WithValue(r.Context(), identityKey{}, x.identify(r, &m.m)))
	x.watchBody(seen)
	defer func() {
		r.Pattern, r.MultipartForm = seen.Pattern, seen.MultipartForm
		m.name(r, x.routeSet())
		x.end(r, whole)
		m.conclude(r, start, whole)
		if m.events {
			m.track(x, r, whole)
		}
	}()
	next.ServeHTTP(x.writer(), seen)
	whole = true
}

// name notes the route where otelhttp looks for it.
func (m *middleware) name(r *http.Request, set string) {
	if m.m.Route != nil {
		set = m.m.Route(r)
	}
	if set != "" {
		r.Pattern = set
	}
}

// conclude completes the span and counts what otelhttp does not see.
func (m *middleware) conclude(r *http.Request, start time.Time, whole bool) {
	describe(trace.SpanFromContext(r.Context()), r, whole)
	if !whole {
		m.cut.count(r, time.Since(start))
	}
	if m.m.Served != nil {
		m.m.Served(r, whole)
	}
}

// SetRoute names the route of the request that ctx belongs to, such as "GET /users/{id}", for
// routers that do not leave it in the request's Pattern. Outside Middleware it does nothing.
func SetRoute(ctx context.Context, route string) {
	if who := identityOf(ctx); who != nil && who.request != nil {
		who.request.route.Store(&route)
	}
}

// Routed goes around a router, such as http.ServeMux, that leaves the route in the request's Pattern,
// where a handler between Middleware and the router passes on a copy of the request: r.WithContext,
// http.TimeoutHandler and http.StripPrefix make one, and Middleware does not see what is noted in it.
// Of routers within each other the innermost counts, and SetRoute before all.
func Routed(router http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			who, route := identityOf(r.Context()), r.Pattern
			if who != nil && who.request != nil && route != "" {
				who.request.route.CompareAndSwap(nil, &route)
			}
		}()
		router.ServeHTTP(w, r)
	})
}

// RequestID is the X-Request-ID of the request that ctx belongs to; empty outside Middleware.
func RequestID(ctx context.Context) string {
	if who := identityOf(ctx); who != nil && who.request != nil {
		return who.request.id[0]
	}
	return ""
}
