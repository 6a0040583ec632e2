package client

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
)

// site is a server behind the middleware, and all that is seen of it.
type site struct {
	*httptest.Server
	f      *fake
	c      *Client
	reader *sdkmetric.ManualReader
	spans  *tracetest.InMemoryExporter
}

func newSite(t *testing.T, m MiddlewareConfig, http2 bool, routes map[string]http.HandlerFunc) *site {
	t.Helper()
	s := &site{f: &fake{}, reader: sdkmetric.NewManualReader(), spans: tracetest.NewInMemoryExporter()}
	s.c = s.f.client(t, func(c *Config) { c.Source = "shop" })
	m.MeterProvider = sdkmetric.NewMeterProvider(sdkmetric.WithReader(s.reader))
	m.TracerProvider = sdktrace.NewTracerProvider(sdktrace.WithSyncer(s.spans))
	m.Propagator = propagation.TraceContext{}
	mux := http.NewServeMux()
	for pattern, h := range routes {
		mux.HandleFunc(pattern, h)
	}
	s.Server = httptest.NewUnstartedServer(s.c.Middleware(m)(mux))
	s.Config.ErrorLog = nil
	s.EnableHTTP2 = http2
	if http2 {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s
}

func (s *site) get(t *testing.T, method, path string, header map[string]string, body io.Reader) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, body)
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range header {
		r.Header.Set(k, v)
	}
	res, err := s.Client().Do(r)
	if err != nil {
		return nil, err.Error()
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(res.Body)
	return res, string(text)
}

// events closes server and client and returns what was tracked.
func (s *site) events(t *testing.T) (all []map[string]any) {
	t.Helper()
	s.Close()
	closeNow(t, s.c)
	for _, b := range s.f.batches {
		all = append(all, b...)
	}
	return all
}

// series are the counts of the histogram of requests by their attributes.
func (s *site) series(t *testing.T) map[string]uint64 {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := s.reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	found := map[string]uint64{}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			h, ok := m.Data.(metricdata.Histogram[float64])
			if m.Name != "http.server.request.duration" || !ok {
				continue
			}
			for _, p := range h.DataPoints {
				found[p.Attributes.Encoded(attribute.DefaultEncoder())] += p.Count
			}
		}
	}
	return found
}

func TestARequestBecomesAnEvent(t *testing.T) {
	s := newSite(t, MiddlewareConfig{UserHeader: "X-User", SessionHeader: "X-Session", Exclude: []string{"/healthy", "/static/"}}, false,
		map[string]http.HandlerFunc{
			"POST /users/{id}": func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				WithUser(r.Context(), "known in the handler")
				w.WriteHeader(http.StatusCreated)
				_, _ = io.WriteString(w, "hello")
			},
			"GET /quiet":   func(_ http.ResponseWriter, r *http.Request) { SetRoute(r.Context(), "GET /set/{x}") },
			"GET /fails":   func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) },
			"GET /healthy": func(http.ResponseWriter, *http.Request) {},
			"GET /static/": func(http.ResponseWriter, *http.Request) {},
		})
	res, _ := s.get(t, "POST", "/users/17?secret=1", map[string]string{"X-User": "u1", "X-Session": "s1", "X-Request-ID": "req.1", "User-Agent": "ua"},
		io.MultiReader(strings.NewReader("chunked"))) // of unknown length
	if res.Header.Get("X-Request-ID") != "req.1" || !strings.HasSuffix(res.Header.Get("X-Response-Time"), "ms") {
		t.Errorf("header %v", res.Header)
	}
	res, _ = s.get(t, "GET", "/quiet", map[string]string{"X-Request-ID": "no good", "X-User": "u2"}, nil)
	if id := res.Header.Get("X-Request-ID"); len(id) != 36 || res.Header.Get("X-Response-Time") == "" {
		t.Errorf("header %v", res.Header)
	}
	s.get(t, "GET", "/fails", nil, nil)
	s.get(t, "BREW", "/nowhere/at/all", nil, nil)
	if res, _ := s.get(t, "GET", "/healthy", nil, nil); res.Header.Get("X-Request-ID") != "" {
		t.Error("an excluded path is touched")
	}
	s.get(t, "GET", "/static/a.js", nil, nil)
	events := s.events(t)
	want := []string{
		"POST /users/{id} 201 known in the handler s1 7 5 ua", "GET /set/{x} 200 u2 <nil> 0 0 Go-http-client/1.1",
		"GET /fails 502 <nil> <nil> 0 0 Go-http-client/1.1", "OTHER unmatched 404 <nil> <nil> 0 19 Go-http-client/1.1"}
	var got []string
	for _, e := range events {
		p := e["properties"].(map[string]any)
		got = append(got, fmt.Sprint(e["method"], " ", e["path"], " ", e["status_code"], " ", e["user_id"], " ", e["session_id"], " ",
			p["request_bytes"], " ", p["response_bytes"], " ", e["user_agent"]))
		if p["trace_id"] == nil || p["request_id"] == nil || e["source"] != "shop" {
			t.Errorf("%v", e)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q\nwant %q", got, want)
	}
	base := "network.protocol.name=http,network.protocol.version=1.1,server.address=shop,url.scheme=http"
	series := map[string]uint64{
		"http.request.method=POST,http.response.status_code=201,http.route=/users/{id}," + base:          1,
		"http.request.method=GET,http.response.status_code=200,http.route=/set/{x}," + base:              1,
		"error.type=502,http.request.method=GET,http.response.status_code=502,http.route=/fails," + base: 1,
		"http.request.method=_OTHER,http.response.status_code=404," + base:                               1,
	}
	if got := s.series(t); !maps.Equal(got, series) {
		t.Errorf("series %v", got)
	}
	if spans := s.spans.GetSpans(); len(spans) != 4 || spans[0].Name != "POST /users/{id}" {
		t.Errorf("spans %v", spans)
	}
}

// TestAPanicIsCountedAndGoesOn compares its series with that of an answer that is a 500.
func TestAPanicIsCountedAndGoesOn(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		boom := func(w http.ResponseWriter, r *http.Request) {
			switch r.PathValue("how") {
			case "before":
				panic(http.ErrAbortHandler)
			case "within":
				_, _ = io.WriteString(w, "half")
				_ = http.NewResponseController(w).Flush()
				panic(http.ErrAbortHandler)
			default:
				w.WriteHeader(http.StatusInternalServerError)
			}
		}
		s := newSite(t, MiddlewareConfig{}, http2, map[string]http.HandlerFunc{"GET /x/{how}": boom})
		s.get(t, "GET", "/x/before", nil, nil)
		s.get(t, "GET", "/x/within", nil, nil)
		s.get(t, "GET", "/x/answered", nil, nil)
		events := s.events(t)
		if got := s.series(t); len(got) != 1 || slices.Collect(maps.Values(got))[0] != 3 {
			t.Errorf("HTTP/2 %v: series %v", http2, got)
		}
		panicked := 0
		for _, e := range events {
			if e["status_code"] != 500.0 {
				t.Errorf("%v", e)
			}
			if e["properties"].(map[string]any)["panicked"] == true {
				panicked++
			}
		}
		if len(events) != 3 || panicked != 2 {
			t.Errorf("%d events, %d of panics", len(events), panicked)
		}
		for _, span := range s.spans.GetSpans() {
			if span.Name != "GET /x/{how}" || span.Status.Code.String() != "Error" {
				t.Errorf("span %s %v", span.Name, span.Status)
			}
		}
	}
	h := (*Client)(nil).Middleware(MiddlewareConfig{})(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("boom") }))
	defer func() {
		if v := recover(); v != "boom" {
			t.Errorf("it became %v", v)
		}
	}()
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
}

func TestStreams(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		next := make(chan struct{})
		s := newSite(t, MiddlewareConfig{}, http2, map[string]http.HandlerFunc{"GET /events": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			for i := range 3 {
				fmt.Fprintf(w, "data: %d\n\n", i)
				w.(http.Flusher).Flush()
				select {
				case <-next:
				case <-r.Context().Done():
				}
			}
		}})
		r, _ := http.NewRequestWithContext(t.Context(), "GET", s.URL+"/events", nil)
		res, err := s.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if want := map[bool]int{false: 1, true: 2}[http2]; res.ProtoMajor != want || res.Header.Get("X-Response-Time") == "" {
			t.Errorf("HTTP/%d, %v", res.ProtoMajor, res.Header)
		}
		in := bufio.NewReader(res.Body)
		for i := range 3 {
			line, err := in.ReadString('\n')
			if line != fmt.Sprintf("data: %d\n", i) || err != nil {
				t.Errorf("%q %v", line, err)
			}
			_, _ = in.ReadString('\n')
			next <- struct{}{}
		}
		_, _ = io.Copy(io.Discard, in) // the handler has returned
		_ = res.Body.Close()
		if e := s.events(t); len(e) != 1 || e[0]["status_code"] != 200.0 || e[0]["properties"].(map[string]any)["response_bytes"] != 27.0 {
			t.Errorf("%v", e)
		}
	}
}

func TestAConnectionCanBeTakenOver(t *testing.T) {
	s := newSite(t, MiddlewareConfig{}, false, map[string]http.HandlerFunc{"GET /raw": func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.WriteString(conn, "raw bytes")
		_ = conn.Close()
	}})
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET /raw HTTP/1.1\r\nHost: x\r\n\r\n")
	if text, _ := io.ReadAll(conn); string(text) != "raw bytes" {
		t.Errorf("%q", text)
	}
	await(t, func() bool { return s.c.Stats().Tracked == 1 }) // the server does not wait for who has taken a connection over
	if e := s.events(t); len(e) != 1 || e[0]["status_code"] != 101.0 {
		t.Errorf("%v", e)
	}
}

func TestSampling(t *testing.T) {
	s := newSite(t, MiddlewareConfig{SampleRate: 0.3, SampleRates: map[string]float64{"GET /all": 1, "GET /none": 0}, UserHeader: "X-User"}, false,
		map[string]http.HandlerFunc{"GET /some": func(w http.ResponseWriter, r *http.Request) {
			if r.URL.RawQuery == "fail" {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		}, "GET /all": func(http.ResponseWriter, *http.Request) {}, "GET /none": func(http.ResponseWriter, *http.Request) {}})
	const persons = 60
	for i := range persons {
		h := map[string]string{"X-User": fmt.Sprint("u", i)}
		for _, path := range []string{"/some", "/some", "/all", "/none", "/some?fail"} {
			s.get(t, "GET", path, h, nil)
		}
	}
	counts := map[string]int{}
	ofUser := map[any]int{}
	for _, e := range s.events(t) {
		key := fmt.Sprint(e["path"], " ", e["status_code"], " ", e["sample_rate"])
		counts[key]++
		if key == "/some 200 0.3" {
			ofUser[e["user_id"]]++
		}
	}
	for user, n := range ofUser {
		if n != 2 {
			t.Errorf("%v is half in: %d", user, n)
		}
	}
	some := counts["/some 200 0.3"]
	delete(counts, "/some 200 0.3")
	if some == 0 || some > persons || !maps.Equal(counts, map[string]int{"/all 200 <nil>": persons, "/some 503 <nil>": persons}) {
		t.Errorf("%d, %v", some, counts)
	}
	for _, rate := range []float64{0.1, 0.5, 0.9} {
		in := 0
		for i := range 20000 {
			key := fmt.Sprint("user-", i)
			if within(key, rate) {
				in++
				if !within(key, rate+0.05) {
					t.Error("not kept at a higher rate")
				}
			}
		}
		if share := float64(in) / 20000; share < rate-0.02 || share > rate+0.02 {
			t.Errorf("%v instead of %v", share, rate)
		}
	}
}

func TestParentsOfThePublic(t *testing.T) {
	const parent = "4bf92f3577b34da6a3ce929d0e0e4736"
	for _, public := range []bool{false, true} {
		s := newSite(t, MiddlewareConfig{Public: public}, false, map[string]http.HandlerFunc{"GET /": func(_ http.ResponseWriter, r *http.Request) {
			if id := trace.SpanContextFromContext(r.Context()).TraceID().String(); (id == parent) == public {
				t.Errorf("public %v: trace %s", public, id)
			}
			if RequestID(r.Context()) == "" || RequestID(context.Background()) != "" {
				t.Error("no request id")
			}
		}})
		s.get(t, "GET", "/", map[string]string{"traceparent": "00-" + parent + "-00f067aa0ba902b7-01"}, nil)
	}
}

// door is a middleware around a mux, without a connection.
func door(around func(http.Handler) http.Handler) func() {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /users/{id}", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hello")) })
	h := around(mux)
	r := httptest.NewRequest("GET", "/users/17", nil)
	r.RemoteAddr = "127.0.0.1:40000"
	out := sink{http.Header{}}
	return func() {
		clear(out.header)
		h.ServeHTTP(out, r)
	}
}

type sink struct{ header http.Header }

func (s sink) Header() http.Header         { return s.header }
func (s sink) Write(b []byte) (int, error) { return len(b), nil }
func (s sink) WriteHeader(int)             {}

// doors are bare otelhttp and the middleware with everything, events of every request included.
func doors(tb testing.TB) map[string]func() {
	meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))
	tracers := sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.TraceIDRatioBased(0.01)))
	c := stuck(tb, func(c *Config) { c.WhenFull, c.MaxBuffered = DropOldest, 4<<20 })
	return map[string]func(){
		"bare-otelhttp": door(otelhttp.NewMiddleware("bare", otelhttp.WithMeterProvider(meters), otelhttp.WithTracerProvider(tracers),
			otelhttp.WithPropagators(propagation.TraceContext{}))),
		"whole": door(c.Middleware(MiddlewareConfig{MeterProvider: meters, TracerProvider: tracers, Propagator: propagation.TraceContext{}})),
	}
}

func BenchmarkMiddleware(b *testing.B) {
	for name, ask := range doors(b) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				ask()
			}
		})
	}
}

// TestMiddlewareIsFrugal bounds what the middleware allocates beyond bare otelhttp.
func TestMiddlewareIsFrugal(t *testing.T) {
	d := doors(t)
	bare, whole := testing.AllocsPerRun(2000, d["bare-otelhttp"]), testing.AllocsPerRun(2000, d["whole"])
	if whole > bare+10 {
		t.Errorf("%v allocations a request, bare otelhttp has %v", whole, bare)
	}
	t.Logf("%v allocations a request, bare otelhttp has %v", whole, bare)
}

// TestRoutesBehindCopies has handlers between middleware and router that pass on a copy.
func TestRoutesBehindCopies(t *testing.T) {
	inner := http.NewServeMux()
	inner.HandleFunc("GET /users/{id}", func(_ http.ResponseWriter, r *http.Request) {
		if r.PathValue("id") == "0" {
			panic(http.ErrAbortHandler)
		}
	})
	inner.HandleFunc("GET /named", func(_ http.ResponseWriter, r *http.Request) { SetRoute(r.Context(), "GET /chosen/{x}") })
	known := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r.WithContext(WithUser(r.Context(), "u1")))
		})
	}
	outer := http.NewServeMux()
	outer.Handle("/api/", http.StripPrefix("/api", Routed(inner)))
	for name, m := range map[string]MiddlewareConfig{"events": {}, "metrics alone": {NoEvents: true, NoHeaders: true}} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, m, false, map[string]http.HandlerFunc{"/": known(Routed(outer)).ServeHTTP})
			for _, path := range []string{"/api/users/0", "/api/users/7", "/api/named", "/nowhere"} { // the panic on a new connection: the transport tries no second time
				s.get(t, "GET", path, nil, nil)
			}
			var got []string
			for _, e := range s.events(t) {
				got = append(got, fmt.Sprint(e["path"], " ", e["status_code"], " ", e["user_id"]))
			}
			want := []string{"/users/{id} 500 u1", "/users/{id} 200 u1", "/chosen/{x} 200 u1", "/ 404 u1"}
			if m.NoEvents {
				want = nil
			}
			if !slices.Equal(got, want) {
				t.Errorf("%q", got)
			}
			routes := map[string]uint64{}
			for key, n := range s.series(t) {
				_, rest, _ := strings.Cut(key, "http.route=")
				route, _, _ := strings.Cut(rest, ",")
				routes[route] += n
			}
			if want := map[string]uint64{"/users/{id}": 2, "/chosen/{x}": 1, "/": 1}; !maps.Equal(routes, want) {
				t.Errorf("series of %v", routes)
			}
		})
	}
	Routed(inner).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/users/7", nil)) // outside Middleware
}
